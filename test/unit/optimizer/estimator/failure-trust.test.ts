import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createRng } from '../../../../base/prng.ts'
import { FailureTrust, LARGEST_ODDS } from '../../../../optimizer/estimator/failure-trust.ts'
import { createLearnedEstimator } from '../../../../optimizer/estimator/learned.ts'
import type { LearnedEstimator } from '../../../../optimizer/estimator/learned.ts'
import { FAILURE_AT, initialWeights, LAYERS } from '../../../../optimizer/estimator/model.ts'
import { ended, node, task } from './support.ts'

/** A model that says nothing but this of failures. */
function saying(logit: number): { weights: Float32Array } {
  const weights = initialWeights(createRng(2))
  weights[weights.length - LAYERS[2][1] + FAILURE_AT] = logit
  return { weights }
}

/** Attempts of 15 ms, one after another; every `failing`-th fails. */
function run(estimator: LearnedEstimator, from: number, count: number, failing = Infinity): void {
  for (let id = from; id < from + count; id++) {
    estimator.placed(task(id), node(1), 100 * id)
    estimator.advance(100 * id + 15)
    estimator.observe(ended(task(id), 15, { end: id % failing === 0 ? 'failed' : 'succeeded' }))
  }
}

/** What is predicted for a task on a typical node. */
function predicted(estimator: LearnedEstimator, id: number): number {
  return estimator.predict(task(id)).failureProbability
}

test.each([500, -500])(
  'a model that is as good at run times as any and says a logit of %s of failures has no say in them',
  (logit) => {
    const [without, estimator] = [createLearnedEstimator(), createLearnedEstimator()]
    for (const each of [without, estimator]) run(each, 1, 60, 5)
    estimator.useModel(saying(logit))
    for (let from = 100; from < 200; from += 10) {
      for (const each of [without, estimator]) run(each, from, 10, 5)
      const ratio = predicted(estimator, 1000 + from) / predicted(without, 1000 + from)
      expect(Math.abs(Math.log(ratio))).toBeLessThan(0.06)
    }
    // Nor does it make a node look bad or good.
    const on = (each: LearnedEstimator): number => each.predict(task(2000), node(1)).failureProbability
    expect(Math.abs(Math.log(on(estimator) / on(without)))).toBeLessThan(0.1)
  }
)

test('a model that says so before the statistics do is believed within three failures', () => {
  const [without, estimator] = [createLearnedEstimator(), createLearnedEstimator()]
  for (const each of [without, estimator]) run(each, 1, 60)
  estimator.useModel(saying(3))
  for (const each of [without, estimator]) run(each, 100, 3, 1)
  const odds = (each: LearnedEstimator): number => predicted(each, 1000) / (1 - predicted(each, 1000))
  expect(odds(estimator) / odds(without)).toBeGreaterThan(10)
})

test('corrections that are right are believed, by this tenant’s outcomes alone, until they are not', () => {
  const trust = new FailureTrust()
  // Two in five fail where the statistics expect one in twenty.
  for (let count = 0; count < 20; count++) trust.observe('ann', 0.05, 2.5, count % 5 < 2)
  expect(trust.corrected('ann', 0.05, 2.5)).toBeGreaterThan(0.3)
  expect(trust.corrected('bob', 0.05, 2.5)).toBeLessThan(0.06)
  for (let count = 0; count < 60; count++) trust.observe('ann', 0.05, 2.5, false)
  expect(trust.corrected('ann', 0.05, 2.5)).toBeLessThan(0.06)
})

test('whatever is said, what comes of it is a probability, within twenty times the odds', () => {
  const anything = fc.oneof(fc.double(), fc.constantFrom(NaN, Infinity, -Infinity, 1e9, -1e9))
  const probability = fc.oneof(fc.double({ min: 0, max: 1, noNaN: true }), fc.constantFrom(0, 1))
  const outcomes = fc.array(fc.tuple(probability, anything, fc.boolean()), { maxLength: 20 })
  fc.assert(
    fc.property(outcomes, probability, anything, (all, expected, logit) => {
      const trust = new FailureTrust()
      for (const outcome of all) trust.observe('ann', ...outcome)
      const got = trust.corrected('ann', expected, logit)
      expect(got >= 0 && got <= 1).toBe(true)
      const odds = Math.exp(LARGEST_ODDS) * (1 + 1e-9)
      expect(got).toBeLessThanOrEqual(expected * odds)
      expect(1 - got).toBeLessThanOrEqual((1 - expected) * odds)
    })
  )
})
