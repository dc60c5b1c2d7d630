import '@tensorflow/tfjs-backend-wasm'
import { memory, setBackend } from '@tensorflow/tfjs-core'
import { beforeAll, expect, test } from 'vitest'
import { createRng } from '../../../../base/prng.ts'
import type { Rng } from '../../../../base/prng.ts'
import { OCTAVES } from '../../../../optimizer/estimator/bins.ts'
import { ForwardPass } from '../../../../optimizer/estimator/forward.ts'
import { initialWeights, WEIGHT_COUNT } from '../../../../optimizer/estimator/model.ts'
import { Network } from '../../../../optimizer/estimator/network.ts'
import {
  CENSORED_AT,
  EXPERT_COUNT,
  FAILED_AT,
  FEATURE_COUNT,
  GATE_COUNT,
  HAZARD_OFFSETS_AT,
  INPUT_COUNT,
  LIKELIHOOD_AT,
  LN_AT,
  MEMORY_AT,
  NO_MEMORY,
  octavesOf,
  OFFSETS_AT,
  ROW_LENGTH
} from '../../../../optimizer/estimator/rows.ts'
import type { TrainingRow } from '../../../../optimizer/estimator/rows.ts'
import { BATCH, ROWS_PER_STEP, Trainer } from '../../../../optimizer/estimator/trainer.ts'

beforeAll(async () => {
  await setBackend('wasm')
})

/** A row in which the first feature tells which of two experts is right. */
function row(rng: Rng): TrainingRow {
  const made = new Float32Array(ROW_LENGTH)
  for (let index = 0; index < FEATURE_COUNT; index++) made[index] = 2 * rng.nextFloat() - 1
  made.fill(-Math.log(EXPERT_COUNT), OFFSETS_AT, HAZARD_OFFSETS_AT)
  for (let at = HAZARD_OFFSETS_AT; at < INPUT_COUNT; at++) made[at] = rng.nextFloat()
  made.fill(0.001, LIKELIHOOD_AT, LIKELIHOOD_AT + EXPERT_COUNT)
  made[LIKELIHOOD_AT + (made[0]! > 0 ? 3 : 5)] = 0.9
  made[LN_AT] = 8 + made[0]!
  made[FAILED_AT] = made[1]! > 0 ? 1 : 0
  made.fill(NO_MEMORY, MEMORY_AT)
  return made
}

function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  return Math.max(...Array.from(a, (value, index) => Math.abs(value - (b[index] ?? NaN))))
}

test('the plain forward pass equals TensorFlow’s, whatever the weights', () => {
  for (const seed of [1, 2, 3]) {
    const rng = createRng(seed)
    const weights = Float32Array.from({ length: WEIGHT_COUNT }, () => 0.6 * (rng.nextFloat() - 0.5))
    const rows = Array.from({ length: 20 }, () => row(rng))
    const network = new Network(weights, 0.001)
    const { gates, octaves } = network.outputs(rows)
    const forward = new ForwardPass(weights)
    rows.forEach((each, index) => {
      const plain = forward.run(each)
      expect(
        largestDifference(plain.gates, gates.slice(index * GATE_COUNT, (index + 1) * GATE_COUNT))
      ).toBeLessThan(1e-4)
      expect(
        largestDifference(plain.octaves, octaves.slice(index * OCTAVES, (index + 1) * OCTAVES))
      ).toBeLessThan(1e-4)
      expect(Math.abs(plain.octaves.reduce((sum, mass) => sum + mass, 0) - 1)).toBeLessThan(1e-5)
    })
    expect(network.weights()).toEqual(weights)
    network.dispose()
  }
})

test('fresh weights leave the mixture to the statistics', () => {
  const rng = createRng(4)
  const { gates } = new ForwardPass(initialWeights(rng)).run(row(rng))
  for (let expert = 1; expert < EXPERT_COUNT; expert++) expect(gates[expert]).toBeCloseTo(gates[0]!, 5)
  expect(gates[EXPERT_COUNT]).toBeLessThan(0.05)
})

test('a window of an outcome weighs an octave and a quarter, a censored one all above it', () => {
  const rng = createRng(5)
  const made = row(rng)
  const sum = (): number => octavesOf(made).reduce((total, share) => total + share, 0)
  expect(sum()).toBeCloseTo(1.25, 4)
  made[CENSORED_AT] = 1
  expect(sum()).toBeCloseTo(OCTAVES - made[LN_AT]! / Math.LN2, 4)
})

test('training learns which expert is right, beats the statistics on rows held back, and frees what it used', () => {
  const before = memory().numTensors
  const rng = createRng(6)
  const trainer = new Trainer({ rng: createRng(7), learningRate: 0.01 })
  for (let count = 0; count < 60 * ROWS_PER_STEP; count++) {
    trainer.add(row(rng))
    trainer.step()
  }
  const evaluation = trainer.evaluation()
  expect(evaluation.steps).toBe(60)
  expect(evaluation.gainLow).toBeGreaterThan(0.1)
  const forward = new ForwardPass(trainer.weights())
  const right = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].filter(() => {
    const each = row(rng)
    const { gates } = forward.run(each)
    return each[0]! > 0 === gates[3]! > gates[5]!
  })
  expect(right.length).toBeGreaterThanOrEqual(8)
  trainer.dispose()
  expect(memory().numTensors).toBe(before)
})

test('rows that the weights were trained on are learned from, and not judged', () => {
  const rng = createRng(10)
  const trainer = new Trainer({ rng: createRng(11), weights: initialWeights(createRng(12)), knownRows: 640 })
  const add = (rows: number): number => {
    for (let count = 0; count < rows; count++) {
      trainer.add(row(rng))
      trainer.step()
    }
    return trainer.evaluation().rows
  }
  expect(add(640)).toBe(0)
  expect(trainer.evaluation()).toMatchObject({ steps: 10, trainedOn: 640 })
  expect(add(320)).toBe(64)
  trainer.dispose()
})

test('equal rows give equal weights, and rows that are not numbers are ignored', () => {
  const train = (spoil: boolean): Float32Array => {
    const rng = createRng(8)
    const trainer = new Trainer({ rng: createRng(9) })
    for (let count = 0; count < BATCH; count++) {
      trainer.add(row(rng))
      if (spoil) {
        trainer.add(new Float32Array(ROW_LENGTH).fill(NaN))
        trainer.add(new Float32Array(3))
      }
      trainer.step()
    }
    const weights = trainer.weights()
    trainer.dispose()
    return weights
  }
  expect(train(true)).toEqual(train(false))
})
