import { expect, test } from 'vitest'
import { findPolicies } from '../../../../optimizer/lab/catalog.ts'
import { runProtocol } from '../../../../optimizer/lab/protocol.ts'
import { SYNTHETIC_DEFAULTS, syntheticTrace } from '../../../../optimizer/lab/synthetic.ts'
import type { Trace } from '../../../../optimizer/lab/trace.ts'
import { warmUp } from '../../../../optimizer/lab/warm-up.ts'
import type { RunModel } from '../../../../optimizer/sim/types.ts'

const policies = findPolicies(['fifo-fit', 'learned'])

/** The trace, counting in `seen` the workloads that runs were made of. */
function counted(trace: Trace, seen: number[]): Trace {
  return {
    ...trace,
    *instances(seed, load) {
      for (const instance of trace.instances(seed, load)) {
        yield {
          ...instance,
          model: (): RunModel => {
            const model = instance.model()
            const run = seen.push(0) - 1
            return {
              ...model,
              start: (...told) => {
                seen[run]!++
                model.start(...told)
              }
            }
          }
        }
      }
    }
  }
}

test('each policy ends about so many tasks, and no measured figure is another for it', () => {
  const trace = syntheticTrace({ ...SYNTHETIC_DEFAULTS, tasks: 400 })
  const measured = (): unknown =>
    runProtocol(trace, { policies, load: undefined, seeds: 1 }).policies.map(({ meanJctS, p99JctS }) => [
      meanJctS,
      p99JctS
    ])
  const before = measured()
  const attempts: number[] = []
  warmUp(counted(trace, attempts), { policies, load: undefined, tasks: 100, clockUs: () => 0 })
  expect(attempts).toHaveLength(policies.length)
  for (const count of attempts) expect(count).toBeGreaterThanOrEqual(100)
  for (const count of attempts) expect(count).toBeLessThan(200)
  expect(measured()).toEqual(before)
})

test('a trace of fewer tasks is run again until so many have ended', () => {
  const trace = syntheticTrace({ ...SYNTHETIC_DEFAULTS, tasks: 40 })
  const attempts: number[] = []
  warmUp(counted(trace, attempts), { policies, load: undefined, tasks: 100, clockUs: () => 0 })
  expect(attempts).toHaveLength(3 * policies.length)
  for (const count of [attempts.slice(0, 3), attempts.slice(3)])
    expect(count.reduce((sum, one) => sum + one, 0)).toBeGreaterThanOrEqual(100)
})
