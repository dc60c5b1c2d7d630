import { expect, test } from 'vitest'
import { createRng } from '../../../../base/prng.ts'
import type { TaskView } from '../../../../scheduler/policy.ts'
import { OCTAVES } from '../../../../optimizer/estimator/bins.ts'
import type { PredictionExplanation } from '../../../../optimizer/estimator/explain.ts'
import { createLearnedEstimator } from '../../../../optimizer/estimator/learned.ts'
import type { LearnedEstimator } from '../../../../optimizer/estimator/learned.ts'
import { HAZARDS_AT, LAYERS, WEIGHT_COUNT } from '../../../../optimizer/estimator/model.ts'
import { EXPERT_COUNT } from '../../../../optimizer/estimator/rows.ts'
import { ended, node, task } from './support.ts'

/** Ends of many tasks by turns, each near its time on the node. */
function taught(
  kinds: readonly { said: Partial<TaskView>; runMs: number; on?: number }[],
  rounds = 40
): LearnedEstimator {
  const estimator = createLearnedEstimator({ rows: false })
  const rng = createRng(7)
  let id = 0
  for (let round = 0; round < rounds; round++) {
    for (const { said, runMs, on = 1 } of kinds) {
      const one = task(++id, { resources: {}, ...said })
      estimator.placed(one, node(on), id)
      estimator.observe(ended(one, runMs * (0.95 + 0.1 * rng.nextFloat()), { on }))
    }
  }
  return estimator
}

const asked = (said: Partial<TaskView>): TaskView => task(100_000, { resources: {}, ...said })
const factorOf = ({ features }: PredictionExplanation, start: string): number =>
  features.find(({ name }) => name.startsWith(start))?.factor ?? 1

function expectToAddUp({ typicalMs, features, medianMs }: PredictionExplanation): void {
  const product = features.reduce((ms, { factor }) => ms * factor, typicalMs)
  expect(Math.abs(Math.log(product / medianMs))).toBeLessThan(0.01)
  for (const { factor } of features) expect(Math.abs(Math.log(factor))).toBeGreaterThanOrEqual(0.0099)
}

const MODEL = (): { weights: Float32Array } => {
  const rng = createRng(2)
  return { weights: Float32Array.from({ length: WEIGHT_COUNT }, () => 0.4 * (rng.nextFloat() - 0.5)) }
}

/** Goes by its own distribution, in which what lasts as long as an octave mostly lasts longer. */
const DELAYING = (): { weights: Float32Array } => {
  const weights = new Float32Array(WEIGHT_COUNT)
  const biases = WEIGHT_COUNT - LAYERS[2][1]
  weights[biases + EXPERT_COUNT] = 4
  weights.fill(-2, biases + HAZARDS_AT, biases + HAZARDS_AT + OCTAVES)
  return { weights }
}

test('without a model, factors lead from tasks of all kinds over the tenant and the name to the prediction', () => {
  const estimator = taught([
    { said: { name: 'fast' }, runMs: 50 },
    { said: { name: 'mid' }, runMs: 400 },
    { said: { name: 'slow' }, runMs: 1500 },
    { said: { name: 'fast', tenant: 'bob' }, runMs: 60 }
  ])
  for (const [name, least, most] of [
    ['fast', 0.05, 0.5],
    ['slow', 2, 10]
  ] as const) {
    const explained = estimator.explain(asked({ name }))
    expectToAddUp(explained)
    const ofName = explained.features.find((feature) => feature.name === `name ${name}`)?.factor
    expect(ofName).toBeGreaterThan(least)
    expect(ofName).toBeLessThan(most)
  }
  expect(estimator.explain(asked({ name: 'slow' })).features.map(({ name }) => name)).not.toContain('network')
  expect(factorOf(estimator.explain(asked({ name: 'fast', tenant: 'bob' })), 'tenant bob')).toBeLessThan(0.99)
})

test.each([
  ['resources cpu 8000', { resources: { cpu: 8000 } }, { resources: { cpu: 1000 } }],
  ['input size 65536 B', { inputBytes: 100_000 }, { inputBytes: 1_000 }],
  ['timeout 60 s', { limitMs: 60_000 }, { limitMs: 3_600_000 }]
])('what tells tasks of one name apart is said: %s', (start, special, usual) => {
  const estimator = taught([
    { said: special, runMs: 9000 },
    { said: usual, runMs: 900 }
  ])
  const explained = estimator.explain(asked(special))
  expectToAddUp(explained)
  expect(factorOf(explained, start)).toBeGreaterThan(1.8)
})

test('a node counts last, and one row says what the network changes', () => {
  const estimator = taught([
    { said: {}, runMs: 1000, on: 1 },
    { said: {}, runMs: 3000, on: 2 }
  ])
  const slow = estimator.explain(asked({}), node(2))
  expectToAddUp(slow)
  expect(slow.features.at(-1)?.name).toBe('node 2')
  expect(slow.features.at(-1)?.factor).toBeCloseTo(slow.nodeFactor, 6)
  estimator.useModel(DELAYING())
  const asWell = estimator.explain(asked({}), node(2))
  expectToAddUp(asWell)
  expect(asWell.medianMs).toBe(estimator.predict(asked({}), node(2)).medianMs)
  expect(asWell.features.filter(({ name }) => name === 'network')).toHaveLength(1)
})

test('where all tasks are alike nothing is said to move a prediction, and a new class is told for what it is', () => {
  const estimator = taught([{ said: {}, runMs: 1000 }], 200)
  const explained = estimator.explain(asked({}))
  expectToAddUp(explained)
  expect(explained.features.filter(({ factor }) => Math.abs(Math.log(factor)) > 0.1)).toEqual([])
  const strange = estimator.explain(asked({ name: 'new', tenant: 'zoe', limitMs: 100 }))
  expectToAddUp(strange)
  expect(strange.medianMs).toBeLessThanOrEqual(100)
  expect(createLearnedEstimator().explain(asked({})).features).toEqual([])
})

test('an explanation names experts and components, and agrees with the prediction', () => {
  const estimator = taught([{ said: {}, runMs: 5000 }], 30)
  estimator.useModel(MODEL())
  const explained = estimator.explain(asked({}), node(1))
  expect(explained.medianMs).toBe(estimator.predict(asked({}), node(1)).medianMs)
  expect(explained.classCompletions).toBe(30)
  expect(explained.experts.length).toBeGreaterThan(3)
  expect(Object.values(explained.components).reduce((sum, weight) => sum + weight, 0)).toBeCloseTo(1)
})
