import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createRng } from '../../../../base/prng.ts'
import { fastestRuns, idealTimes } from '../../../../optimizer/lab/ideal.ts'
import { findPolicies } from '../../../../optimizer/lab/catalog.ts'
import { metricsOf, outcomes } from '../../../../optimizer/lab/metrics.ts'
import type { RunMetrics } from '../../../../optimizer/lab/metrics.ts'
import { SYNTHETIC_DEFAULTS, syntheticTrace } from '../../../../optimizer/lab/synthetic.ts'
import type { Instance } from '../../../../optimizer/lab/trace.ts'
import { fixedRunTimes } from '../../../../optimizer/sim/run-models.ts'
import { simulate } from '../../../../optimizer/sim/engine.ts'
import { nodesOf, runPolicy, sketches, workloadOf } from '../../../helpers/workloads.ts'
import { random } from '../../../../optimizer/policies/random.ts'

const second = 1000

/** The policy by this name on tasks of 60 s, one every 200 s, on a node of half speed and one of one and a half. */
function onUnequalNodes(name: string): RunMetrics {
  const cluster = nodesOf([0.5, 1.5]).map((node) => ({ ...node, profile: `node-${node.id}` }))
  const workload = workloadOf(
    Array.from({ length: 20 }, (_, index) => ({ work: 60 * second, at: index * 200 * second }))
  )
  const instance: Instance = {
    workload,
    cluster,
    outages: [],
    model: fixedRunTimes,
    truthMs: () => 60 * second,
    classMeanMs: () => 60 * second,
    speedOf: (node) => (node === 1 ? 0.5 : 1.5),
    idealMs: idealTimes(workload, 'task', fastestRuns(workload, cluster)),
    makespanBoundMs: 1,
    load: 1
  }
  const result = simulate(workload, cluster, findPolicies([name])[0]!.make(instance, createRng(1)), {
    model: fixedRunTimes()
  })
  return metricsOf(result, instance, outcomes(result, 'task', second, instance.idealMs))
}

test('a slow node is a slowdown', () => {
  expect(onUnequalNodes('learned-oracle')).toMatchObject({ meanJctS: 40, boundedSlowdown: 1 })
  const { meanJctS, boundedSlowdown } = onUnequalNodes('fifo-fit')
  expect(meanJctS).toBeGreaterThan(40)
  expect(boundedSlowdown).toBeCloseTo(meanJctS / 40)
})

test('the fastest node is the fastest that may take the task', () => {
  const [slow, fast] = nodesOf([0.5, 2])
  const workload = workloadOf([
    { work: 8 },
    { work: 8, selector: { disk: 'ssd' } },
    { work: 8, cpu: 4 },
    { work: 8, selector: { disk: 'none' } }
  ])
  const cluster = [
    { ...slow!, labels: { disk: 'ssd' }, resources: { cpu: 4 } },
    { ...fast!, resources: { cpu: 2 } }
  ]
  expect([0, 1, 2, 3].map(fastestRuns(workload, cluster))).toEqual([4, 16, 16, 8])
})

test('no run without noise is faster than its ideal, whatever unit is judged', () => {
  const cluster = nodesOf([0.5, 1.5, 1], 2)
  fc.assert(
    fc.property(
      sketches(2),
      fc.constantFrom('task' as const, 'group' as const, 'dag' as const),
      (some, unit) => {
        const result = runPolicy(some, cluster, random(createRng(1)))
        const ideal = idealTimes(result.workload, unit, fastestRuns(result.workload, cluster))
        const { jctMs, index } = outcomes(result, unit, 0, ideal)
        jctMs.forEach((ms, at) => {
          expect(ms).toBeGreaterThanOrEqual(ideal[index[at]!]! - 1e-6)
        })
      }
    )
  )
})

test('with room for everything nearly nothing is slowed down, waiting for parents included', () => {
  const trace = syntheticTrace({ ...SYNTHETIC_DEFAULTS, tasks: 2000 })
  const [instance] = trace.instances(0, 0.05)
  const { workload, cluster } = instance!
  const equal = cluster.map((node) => ({ ...node, speeds: {} }))
  const policy = findPolicies(['fifo-fit'])[0]!.make(instance!, createRng(1))
  const result = simulate(workload, equal, policy, { model: fixedRunTimes() })
  const ideal = idealTimes(workload, 'task', fastestRuns(workload, equal))
  const { boundedSlowdown } = metricsOf(result, instance!, outcomes(result, 'task', 1, ideal))
  expect(boundedSlowdown).toBeLessThan(1.01)
})
