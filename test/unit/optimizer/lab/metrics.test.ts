import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createRng } from '../../../../base/prng.ts'
import { policyFactory } from '../../../../scheduler/policies/index.ts'
import { calibrate } from '../../../../optimizer/lab/calibration.ts'
import { idealTimes } from '../../../../optimizer/lab/ideal.ts'
import { metricsOf, outcomes } from '../../../../optimizer/lab/metrics.ts'
import { plotData } from '../../../../optimizer/lab/plot-data.ts'
import { lastTwo, oracle } from '../../../../optimizer/policies/predictors.ts'
import type { Instance } from '../../../../optimizer/lab/trace.ts'
import type { SimResult } from '../../../../optimizer/sim/types.ts'
import { fixedRunTimes } from '../../../../optimizer/sim/run-models.ts'
import { machineOf, runPolicy } from '../../../helpers/workloads.ts'
import type { TaskSketch } from '../../../helpers/workloads.ts'

const second = 1000
/** On two processors: the first two run at once, the third waits 20 s, the fourth 18 s. */
const TASKS: readonly TaskSketch[] = [
  { work: 20 * second, cpu: 1, tenant: 'a' },
  { work: 20 * second, cpu: 1, tenant: 'a' },
  { work: 2 * second, cpu: 1, tenant: 'b' },
  { work: 40 * second, cpu: 1, at: 2 * second, tenant: 'b' }
]

const IDEAL = Float64Array.from(TASKS, ({ work }) => work)

function run(): { result: SimResult; instance: Instance } {
  const cluster = machineOf(2)
  const result = runPolicy(TASKS, cluster, policyFactory('fifo')(createRng(1)))
  const instance: Instance = {
    workload: result.workload,
    cluster,
    outages: [],
    model: fixedRunTimes,
    truthMs: (id) => TASKS[id - 1]!.work,
    classMeanMs: () => 1,
    speedOf: () => 1,
    idealMs: IDEAL,
    makespanBoundMs: 50 * second,
    load: 1
  }
  return { result, instance }
}

test('JCT, bounded slowdown, wait, makespan and utilisation of a schedule worked out by hand', () => {
  const { result, instance } = run()
  const judged = outcomes(result, 'task', 10 * second, IDEAL)
  expect(Array.from(judged.jctMs)).toEqual([20_000, 20_000, 22_000, 58_000])
  expect(Array.from(judged.slowdown)).toEqual([1, 1, 2.2, 58 / 40])
  const metrics = metricsOf(result, instance, judged)
  expect(metrics.meanJctS).toBe(30)
  expect(metrics.boundedSlowdown).toBeCloseTo((1 + 1 + 2.2 + 1.45) / 4)
  expect(metrics.meanWaitS).toBe((20 + 18) / 4)
  expect(metrics.makespanRatio).toBe(60 / 50)
  expect(metrics.utilisation).toBeCloseTo(82 / 120)
  expect(metrics.fairness).toBeCloseTo((1 + 1.825) ** 2 / (2 * (1 + 1.825 ** 2)))
  expect(metrics.wasted).toBe(0)
})

test('a part of the units can be judged alone', () => {
  const { result, instance } = run()
  const judged = outcomes(result, 'task', 10 * second, IDEAL)
  expect(metricsOf(result, instance, judged, 2).meanJctS).toBe(40)
})

test('a group counts once, from its submission to its last end, against its critical path', () => {
  const sketches = [
    { work: 4 * second, cpu: 1, group: 1 },
    { work: 6 * second, cpu: 1, group: 1, needs: [1] },
    { work: 9 * second, cpu: 1, at: second }
  ]
  const result = runPolicy(sketches, machineOf(1), policyFactory('fifo')(createRng(1)))
  const judged = outcomes(result, 'group', second, Float64Array.from([10 * second, 0, 9 * second]))
  expect(Array.from(judged.jctMs)).toEqual([19_000, 12_000])
  expect(Array.from(judged.slowdown)).toEqual([1.9, 12 / 9])
})

test('tasks that need one another are judged as one, whatever else is in the trace, and arrays by task', () => {
  const sketches = [
    { work: 4 * second, cpu: 1, group: 1 },
    { work: 6 * second, cpu: 1, group: 1, needs: [1] },
    { work: 9 * second, cpu: 1, at: second, group: 3 },
    { work: 2 * second, cpu: 1, at: second, group: 3 }
  ]
  const ideal = Float64Array.from([10 * second, 0, 9 * second, 2 * second])
  const result = runPolicy(sketches, machineOf(1), policyFactory('fifo')(createRng(1)))
  const { jctMs, slowdown, groups } = outcomes(result, 'dag', second, ideal)
  expect(Array.from(jctMs)).toEqual([21_000, 12_000, 14_000])
  expect(Array.from(slowdown)).toEqual([2.1, 12 / 9, 7])
  expect(groups).toBe(1)
})

test('a trace of nothing but DAGs, or of nothing but tasks, is judged as it ever was', () => {
  const some = fc.array(fc.record({ work: fc.integer({ min: 1, max: 9 }), at: fc.nat(20) }), {
    minLength: 1,
    maxLength: 20
  })
  fc.assert(
    fc.property(some, (drafts) => {
      const tasks = [...drafts].sort((a, b) => a.at - b.at)
      const chains = tasks.flatMap((draft, index) => [
        { ...draft, group: 2 * index + 1 },
        { ...draft, group: 2 * index + 1, needs: [2 * index + 1] }
      ])
      for (const [sketches, unit] of [
        [tasks, 'task'],
        [chains, 'group']
      ] as const) {
        const result = runPolicy(sketches, machineOf(2), policyFactory('fifo')(createRng(1)))
        const [dag, own] = (['dag', unit] as const).map((judged) =>
          outcomes(
            result,
            judged,
            1,
            idealTimes(result.workload, judged, (index) => sketches[index]!.work)
          )
        )
        expect(dag).toEqual(own)
      }
    })
  )
})

test('utilisation over time and the Gantt chart follow the attempts', () => {
  const { result, instance } = run()
  const judged = outcomes(result, 'task', 10 * second, IDEAL)
  const metrics = metricsOf(result, instance, judged)
  const data = plotData(
    [{ policy: 'fifo', seed: 0, index: 0, instance, result, judged, metrics, tookUs: 0 }],
    [],
    []
  )
  const points = data.utilisation[0]!.points.map(([, share]) => share)
  expect(points[0]).toBeCloseTo(1)
  expect(points.at(-1)).toBeCloseTo(0.5)
  expect(points.reduce((sum, share) => sum + share, 0) / points.length).toBeCloseTo(82 / 120)
  expect(data.gantt[0]!.bars.map(({ lane, from, to }) => [lane, from, to])).toEqual([
    [0, 0, 20],
    [1, 0, 20],
    [0, 20, 22],
    [1, 20, 60]
  ])
  expect(data.jct[0]!.points.at(-1)).toEqual([58, 1])
})

test('the truth is perfectly calibrated, and last-two knows nothing before a completion', () => {
  const { result } = run()
  const perfect = calibrate(
    result,
    oracle((id) => TASKS[id - 1]!.work)
  )
  expect(perfect).toMatchObject({ predictions: 4, maeLn: 0, coverage90: 1 })
  // All four are predicted before the first one ends, so an estimator that saw completions at once would do better.
  const late = calibrate(result, lastTwo({ unknownMs: 20 * second }))
  expect(late.maeLn).toBeCloseTo((Math.log(10) + Math.log(2)) / 4)
  expect(calibrate(result, lastTwo(), [], 3).predictions).toBe(3)
})
