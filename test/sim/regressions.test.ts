/** Seeds that once found something, under the faults that found it or those that have replaced them. */
import { expect, test } from 'vitest'
import { runScenario } from '../../sim/scenario.ts'

interface Found {
  readonly seed: number
  readonly nodes: number
  readonly faultMs: number
  readonly tasks: number
  readonly what: string
}

const FOUND: readonly Found[] = [
  {
    seed: 7,
    nodes: 3,
    faultMs: 20_000,
    tasks: 60,
    what: 'a proposal refused during a transfer is not spun on'
  },
  {
    seed: 16,
    nodes: 3,
    faultMs: 20_000,
    tasks: 60,
    what: 'an attempt refused near the end of the lease is reported'
  },
  { seed: 1, nodes: 3, faultMs: 20_000, tasks: 60, what: 'state time does not follow a clock that jumped' },
  { seed: 15, nodes: 3, faultMs: 20_000, tasks: 60, what: 'a wrong clock does not make keys expire' },
  { seed: 8, nodes: 5, faultMs: 30_000, tasks: 100, what: 'a new leader stamps by nobody but the voters' },
  {
    seed: 31,
    nodes: 3,
    faultMs: 20_000,
    tasks: 60,
    what: 'tasks end after a jump of state time was prevented'
  }
]

test.each(FOUND)('$what (seed $seed of $nodes nodes)', async ({ seed, nodes, faultMs, tasks }) => {
  expect((await runScenario({ seed, nodes, faultMs, tasks })).violations).toEqual([])
})
