/** Predictions that mislead are found out by what they promised, soon; those that are right, or merely no better, are left alone. */
import { expect, test } from 'vitest'
import { nodeId } from '../../../../base/ids.ts'
import { createRng } from '../../../../base/prng.ts'
import type { Estimator } from '../../../../optimizer/estimate.ts'
import { createLearnedEstimator } from '../../../../optimizer/estimator/learned.ts'
import { feedbackOf, viewOf } from '../../../../optimizer/guard/history.ts'
import { PredictionWatch } from '../../../../optimizer/guard/prediction-watch.ts'
import { plainStatistics } from '../../../../optimizer/lab/plain-statistics.ts'
import { poisoned, type Poison } from '../../../../optimizer/lab/poisoned.ts'
import { LiveNode } from '../../../../optimizer/sim/view.ts'
import { finished } from './fixture.ts'

const host = new LiveNode({
  ...{ id: nodeId(1), labels: {}, zone: '', profile: 'any', slots: 8, resources: {}, speeds: {} }
})

/** Rounds of `together` attempts of six classes from 0.1 s to 100 s, and what the watch found after how many ends. */
function watch(estimator: Estimator, { rounds = 200, together = 1, seed = 1 } = {}): number[] {
  const rng = createRng(seed)
  const watched = new PredictionWatch(estimator)
  const alarms: number[] = []
  for (let round = 0, now = 0; round < rounds; round++) {
    const kind = Math.floor(6 * rng.nextFloat())
    const shift = together === 1 ? 1 : 0.2 + 4 * rng.nextFloat()
    const tasks = Array.from({ length: together }, (_, index) => {
      const runMs = Math.round(100 * 4 ** kind * shift * (0.5 + rng.nextFloat()))
      return finished(round * together + index + 1, { name: `kind ${kind}`, runMs })
    })
    for (const task of tasks) {
      watched.began(viewOf(task), host)
      estimator.placed?.(viewOf(task), host, now)
    }
    now += 200_000
    for (const task of tasks) {
      estimator.observe(feedbackOf(task))
      if (watched.ended(feedbackOf(task)) !== undefined) alarms.push(task.id)
    }
  }
  return alarms
}

test.each<Poison>(['inverted', 'constant', 'nan', 'huge'])('%s predictions are found out', (poison) => {
  const [first = Infinity] = watch(poisoned(createLearnedEstimator(), poison))
  expect(first).toBeLessThan(100)
})

test.each<Poison>(['inverted', 'constant', 'nan', 'huge'])(
  '%s from the 3,000th on: within 100 ends',
  (poison) => {
    let ends = 0
    const inner = poisoned(createLearnedEstimator(), poison, () => ends >= 3_000)
    const estimator: Estimator = {
      ...inner,
      observe: (feedback) => {
        ends++
        inner.observe(feedback)
      }
    }
    const [first = Infinity] = watch(estimator, { rounds: 3_200 })
    expect(first).toBeGreaterThan(3_000)
    expect(first).toBeLessThan(3_100)
  }
)

test('what stays bad is found again', () => {
  expect(watch(poisoned(createLearnedEstimator(), 'inverted'), { rounds: 600 }).length).toBeGreaterThan(3)
})

test.each([1, 2, 3])('the learned estimator and plain means themselves raise no alarm, seed %i', (seed) => {
  for (const together of [1, 20]) {
    const rounds = 4_000 / together
    expect(watch(createLearnedEstimator(), { rounds, together, seed })).toEqual([])
    expect(watch(plainStatistics(), { rounds, together, seed })).toEqual([])
  }
})

test('one burst that surprises is no proof, however large', () => {
  const watched = new PredictionWatch(poisoned(plainStatistics(), 'inverted'))
  const tasks = Array.from({ length: 1_000 }, (_, index) => finished(index + 1, { runMs: 3_600_000 }))
  for (const task of tasks) watched.began(viewOf(task), host)
  for (const task of tasks) expect(watched.ended(feedbackOf(task))).toBeUndefined()
})
