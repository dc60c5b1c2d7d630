import '@tensorflow/tfjs-backend-wasm'
import { setBackend } from '@tensorflow/tfjs-core'
import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { createRng } from '../../../../base/prng.ts'
import type { Rng } from '../../../../base/prng.ts'
import { ForwardPass } from '../../../../optimizer/estimator/forward.ts'
import { createLearnedEstimator } from '../../../../optimizer/estimator/learned.ts'
import type { LearnedEstimator } from '../../../../optimizer/estimator/learned.ts'
import { MemoryTrust } from '../../../../optimizer/estimator/memory-trust.ts'
import { initialWeights, LAYERS, MEMORY_HEAD_AT } from '../../../../optimizer/estimator/model.ts'
import {
  EXPERT_COUNT,
  FEATURE_COUNT,
  HAZARD_OFFSETS_AT,
  LIKELIHOOD_AT,
  LN_AT,
  MEMORY_AT,
  MEMORY_QUANTILES,
  NO_MEMORY,
  OFFSETS_AT,
  ROW_LENGTH
} from '../../../../optimizer/estimator/rows.ts'
import type { TrainingRow } from '../../../../optimizer/estimator/rows.ts'
import { ROWS_PER_STEP, Trainer } from '../../../../optimizer/estimator/trainer.ts'
import { ended, node, task } from './support.ts'

const MB = 1_000_000

beforeAll(async () => {
  await setBackend('wasm')
})

describe('training', () => {
  /** A row whose peak lies this far above the quantiles that were expected, in ln. */
  function row(rng: Rng, above: (first: number) => number[]): TrainingRow {
    const made = new Float32Array(ROW_LENGTH)
    for (let index = 0; index < FEATURE_COUNT; index++) made[index] = 2 * rng.nextFloat() - 1
    made.fill(-Math.log(EXPERT_COUNT), OFFSETS_AT, HAZARD_OFFSETS_AT)
    made.fill(0.5, LIKELIHOOD_AT, LIKELIHOOD_AT + EXPERT_COUNT)
    made[LIKELIHOOD_AT + (made[1]! > 0 ? 3 : 5)] = 0.9
    made[LN_AT] = 8
    made.set(above(made[0]!), MEMORY_AT)
    return made
  }

  /** Corrections by the model after each step: means over rows like those learned from. */
  function corrections(steps: number, above: (rng: Rng) => (first: number) => number[]): number[][] {
    const rng = createRng(6)
    const trainer = new Trainer({ rng: createRng(7) })
    const asked = Array.from({ length: 50 }, () => row(rng, above(rng)))
    const result: number[][] = []
    for (let step = 0; step < steps; step++) {
      for (let count = 0; count < ROWS_PER_STEP; count++) trainer.add(row(rng, above(rng)))
      trainer.step()
      const forward = new ForwardPass(trainer.weights())
      const said = asked.map((each) => forward.run(each).memoryLn)
      result.push(
        MEMORY_QUANTILES.map((_, index) => said.reduce((sum, each) => sum + each[index]! / asked.length, 0))
      )
    }
    trainer.dispose()
    return result
  }

  test('peaks that never exceed what is expected do not drive it up', () => {
    // 55 MB ± 1.5 MB, in bins of 18 %: no peak is above the statistics' p95 and p99.
    const all = corrections(100, (rng) => () => {
      const at = 0.12 * (rng.nextFloat() - 0.5)
      return [at, at - 0.16, at - 0.22]
    })
    for (const [, p95 = NaN, p99 = NaN] of all) expect(Math.max(p95, p99)).toBeLessThan(0.03)
    const [, p95 = NaN, p99 = NaN] = all.at(-1) ?? []
    expect(Math.abs(p95 + 0.1)).toBeLessThan(0.04)
    expect(Math.abs(p99 + 0.16)).toBeLessThan(0.04)
  })

  test('peaks that are twice what is expected are learned, and hardly passed', () => {
    const [p50 = NaN, p95 = NaN, p99 = NaN] = corrections(100, () => () => [0.7, 0.7, 0.7]).at(-1) ?? []
    expect(Math.abs(p50 - 0.7)).toBeLessThan(0.15)
    expect(Math.abs(p95 - 0.7)).toBeLessThan(0.15)
    expect(Math.abs(p99 - 0.7)).toBeLessThan(0.25)
  })
})

/** A model that corrects all memory by this factor, and nothing else. */
function correcting(factor: number): { weights: Float32Array } {
  const weights = initialWeights(createRng(2))
  const at = weights.length - LAYERS[2][1] + MEMORY_HEAD_AT
  weights.fill(Math.log(factor), at, at + MEMORY_QUANTILES.length)
  return { weights }
}

/** Runs of 15 ms that peak at so many bytes each. */
function run(estimator: LearnedEstimator, from: number, peaks: readonly number[]): void {
  peaks.forEach((peakMemoryBytes, index) => {
    const one = task(from + index)
    estimator.placed(one, node(1), 100 * (from + index))
    estimator.advance(100 * (from + index) + 15)
    estimator.observe(ended(one, 15, { peakMemoryBytes }))
  })
}

/** Predicted p95 over that of the statistics. */
function raise(estimator: LearnedEstimator, id: number): number {
  const asked = task(id)
  return estimator.predict(asked).memoryBytes(0.95) / estimator.predictByClass(asked).memoryBytes(0.95)
}

/** Like 53 MB ± 1.5 MB. */
function steady(count: number, rng = createRng(3)): number[] {
  return Array.from({ length: count }, () => (51.5 + 3 * rng.nextFloat()) * MB)
}

test('a model that says 2.5 times the memory has no say, from its first prediction on', () => {
  const estimator = createLearnedEstimator({ rows: false })
  run(estimator, 1, steady(40))
  estimator.useModel(correcting(2.5))
  for (let from = 100; from < 400; from += 10) {
    expect(raise(estimator, 1000 + from)).toBeLessThan(1.03)
    run(estimator, from, steady(10))
  }
  expect(raise(estimator, 2000)).toBeLessThan(1.01)
})

test('a model that is right where the statistics are not is believed, until it is not', () => {
  const estimator = createLearnedEstimator({ rows: false })
  run(estimator, 1, steady(40))
  estimator.useModel(correcting(2.5))
  // Each run needs more than those before it ever did, as far as the grid goes.
  const growing = Array.from({ length: 10 }, (_, index) => 60 * MB * 2.5 ** index)
  run(estimator, 100, growing)
  expect(raise(estimator, 1000)).toBeGreaterThan(2)
  run(estimator, 200, steady(400))
  expect(raise(estimator, 2000)).toBeLessThan(1.25)
})

test('a new model earns its own weight, whatever the last one did and still ends', () => {
  const estimator = createLearnedEstimator({ rows: false })
  run(estimator, 1, steady(40))
  estimator.useModel(correcting(2.5))
  run(
    estimator,
    100,
    Array.from({ length: 10 }, (_, index) => 60 * MB * 2.5 ** index)
  )
  const late = task(500)
  estimator.placed(late, node(1), 50_000)
  estimator.useModel(correcting(3))
  estimator.observe(ended(late, 15, { peakMemoryBytes: 1e13 }))
  expect(raise(estimator, 1000)).toBeLessThan(1.03)
})

test('rows teach no more than a correction may be, and nothing where no peak is known', () => {
  const estimator = createLearnedEstimator()
  run(estimator, 1, steady(40))
  estimator.drainSamples()
  run(estimator, 100, [1e12, 1, 0])
  const peaks = estimator.drainSamples().map((each) => [...each.subarray(MEMORY_AT)])
  const most = Math.fround(Math.log(4))
  expect(peaks).toEqual([most, -most, NO_MEMORY].map((ln) => [ln, ln, ln]))
})

describe('trust', () => {
  const expected = [50 * MB, 60 * MB, 65 * MB]
  const told = (factor: number): Float32Array => new Float32Array(3).fill(Math.log(factor))

  test('a right correction of what is 2.5 times too large has half the weight within 50 outcomes', () => {
    const trust = new MemoryTrust()
    for (let count = 0; count < 50; count++) trust.observe('ann', expected, told(0.4), 24 * MB)
    expect(trust.correctionLn('ann', told(0.4), 0.95)).toBeLessThan(Math.log(0.4) / 2)
  })

  test('of what is 2.5 times too small within three, of this tenant alone', () => {
    const trust = new MemoryTrust()
    for (let count = 0; count < 3; count++) trust.observe('ann', expected, told(2.5), 150 * MB)
    expect(trust.correctionLn('ann', told(2.5), 0.95)).toBeGreaterThan(Math.log(2.5) / 2)
    expect(trust.correctionLn('bob', told(2.5), 0.95)).toBeLessThan(0.03)
  })

  test('one that earned all of it loses it where it stops to be right', () => {
    const trust = new MemoryTrust()
    for (let count = 0; count < 20; count++) trust.observe('ann', expected, told(2.5), 150 * MB)
    let left = 0
    while (trust.correctionLn('ann', told(2.5), 0.95) > Math.log(1.25) && left < 1000) {
      trust.observe('ann', expected, told(2.5), 55 * MB)
      left++
    }
    expect(left).toBeLessThan(300)
  })

  test('whatever it is told, corrections are finite, bounded, and rise with the quantile', () => {
    const anything = fc.oneof(fc.double(), fc.constantFrom(NaN, Infinity, -Infinity, 1e9, -1e9))
    const three = fc.array(anything, { minLength: 3, maxLength: 3 })
    fc.assert(
      fc.property(fc.array(fc.tuple(three, three, anything), { maxLength: 20 }), three, (outcomes, said) => {
        const trust = new MemoryTrust()
        for (const [quantiles, corrections, bytes] of outcomes) {
          trust.observe('ann', quantiles, Float32Array.from(corrections), bytes)
        }
        trust.observe('ann', [], new Float32Array(3), 1)
        const at = [0, 0.5, 0.7, 0.95, 0.97, 0.99, 1].map((q) =>
          trust.correctionLn('ann', Float32Array.from(said), q)
        )
        expect(at.every((each) => Math.abs(each) <= Math.log(4) + 1e-9)).toBe(true)
        expect([...at].sort((a, b) => a - b)).toEqual(at)
      }),
      // Rounded up between two that are next to nothing.
      { examples: [[[], [-1.08420223710899e-19, -7.006492321624087e-46, NaN]]] }
    )
  })
})
