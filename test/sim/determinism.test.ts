import { expect, test } from 'vitest'
import { runScenario } from '../../sim/scenario.ts'

test.each([3, 5])('a seed gives the same trace each time, with %i nodes', async (nodes) => {
  const options = { seed: 11, nodes, faultMs: 12_000, tasks: 40 }
  const first = await runScenario(options)
  const again = await runScenario(options)
  expect(again).toEqual(first)
})

test('another seed gives another trace', async () => {
  const options = { nodes: 3, faultMs: 3_000, tasks: 5 }
  const first = await runScenario({ ...options, seed: 21 })
  const other = await runScenario({ ...options, seed: 22 })
  expect(other.traceHash).not.toBe(first.traceHash)
})
