import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createRng } from '../../../../base/prng.ts'
import { createLearnedEstimator } from '../../../../optimizer/estimator/learned.ts'
import type { LearnedEstimator } from '../../../../optimizer/estimator/learned.ts'
import { HAZARDS_AT, LAYERS, WEIGHT_COUNT } from '../../../../optimizer/estimator/model.ts'
import { EXPERT_COUNT, ROW_LENGTH } from '../../../../optimizer/estimator/rows.ts'
import { calibrate } from '../../../../optimizer/lab/calibration.ts'
import { plainStatistics } from '../../../../optimizer/lab/plain-statistics.ts'
import { SYNTHETIC_DEFAULTS, syntheticTrace } from '../../../../optimizer/lab/synthetic.ts'
import { simulate } from '../../../../optimizer/sim/engine.ts'
import { policyFactory } from '../../../../scheduler/policies/index.ts'
import { ended, node, task } from './support.ts'

const step = fc.record({
  name: fc.constantFrom('a', 'b', 'c'),
  tenant: fc.constantFrom('ann', 'bob'),
  limitMs: fc.constantFrom(0, 1000, 3_600_000),
  inputBytes: fc.constantFrom(0, 10, 1_000_000),
  runMs: fc.double({ min: 0, max: 1e12, noNaN: true }),
  end: fc.constantFrom('succeeded', 'failed', 'stopped', 'lost', 'not-started', 'superseded'),
  on: fc.integer({ min: 1, max: 3 }),
  peakMemoryBytes: fc.constantFrom(0, 1e9)
})
/** From harmless to absurd: whatever the bytes of a model may hold. */
const scale = fc.constantFrom(0, 0.1, 1, 100, 1000)

test('whatever it has seen and whatever the model says, predictions are finite, positive, ordered, and below the limit', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), scale, fc.integer(), (steps, size, seed) => {
      const estimator = createLearnedEstimator()
      const rng = createRng(seed)
      const weights = Float32Array.from({ length: WEIGHT_COUNT }, () => size * (2 * rng.nextFloat() - 1))
      let now = 0
      steps.forEach((each, index) => {
        if (index === 10) estimator.useModel({ weights })
        const one = task(index + 1, each)
        estimator.placed(one, node(each.on, `p${each.on}`), now)
        now += each.runMs
        estimator.advance(now)
        if (index % 4 > 0) estimator.observe(ended(one, each.runMs, each))
      })
      for (const asked of [task(1000, steps[0] ?? {}), task(1001, { limitMs: 5000 })]) {
        for (const where of [undefined, node(1, 'p1')]) {
          const prediction = estimator.predict(asked, where)
          const quantiles = [0.01, 0.5, 0.9, 0.95, 0.99, 0.999].map((q) => prediction.quantileMs(q))
          expect(
            [prediction.meanMs, prediction.medianMs, ...quantiles].every((ms) => ms >= 1 && ms < 1e15)
          ).toBe(true)
          expect([...quantiles].sort((a, b) => a - b)).toEqual(quantiles)
          if (asked.limitMs > 0) expect(quantiles.at(-1)).toBeLessThanOrEqual(asked.limitMs)
          expect(prediction.remainingMs(1e5) >= 1).toBe(true)
          expect(prediction.failureProbability >= 0 && prediction.failureProbability <= 1).toBe(true)
          expect(prediction.memoryBytes(0.95)).toBeGreaterThanOrEqual(0)
          expect(prediction.memoryBytes(0.99)).toBeGreaterThanOrEqual(prediction.memoryBytes(0.5))
        }
      }
      const rows = estimator.drainSamples()
      expect(rows.every((row) => row.length === ROW_LENGTH && row.every(Number.isFinite))).toBe(true)
    }),
    { numRuns: 40 }
  )
})

/** Teaches `count` runs of the class. */
function teach(estimator: LearnedEstimator, count: number, runMs: number, from = 1): void {
  for (let id = from; id < from + count; id++) {
    estimator.placed(task(id), node(1), id)
    estimator.observe(ended(task(id), runMs))
  }
}

test('samples are handed out once, and only for attempts that were seen to begin', () => {
  const estimator = createLearnedEstimator()
  teach(estimator, 5, 1000)
  estimator.observe(ended(task(99), 1000))
  expect(estimator.drainSamples()).toHaveLength(5)
  expect(estimator.drainSamples()).toHaveLength(0)
})

test('a model that is wrong loses its weight, and the prediction stays where the runs are', () => {
  const estimator = createLearnedEstimator()
  // Every gate but the network's own is shut, and that says “at once”.
  const weights = new Float32Array(WEIGHT_COUNT)
  const biases = WEIGHT_COUNT - LAYERS[2][1]
  weights[biases + EXPERT_COUNT] = 50
  weights[biases + HAZARDS_AT] = 50
  estimator.useModel({ weights })
  teach(estimator, 200, 60_000)
  expect(estimator.status().hedge['network']).toBeLessThan(0.05)
  const median = estimator.predict(task(500)).medianMs
  expect(median).toBeGreaterThan(45_000)
  expect(median).toBeLessThan(80_000)
})

test('without a model the network has no weight; with one it has some', () => {
  const estimator = createLearnedEstimator()
  teach(estimator, 3, 1000)
  expect(estimator.status().hedge['network']).toBe(0)
  expect(estimator.explain(task(900)).components['network']).toBe(0)
  estimator.useModel({ weights: new Float32Array(WEIGHT_COUNT) })
  expect(estimator.status().hedge['network']).toBeGreaterThan(0)
  estimator.useModel(undefined)
  expect(estimator.status().hedge['network']).toBe(0)
})

test('a copy that won too late has run to its end: its run time counts whole, and as no failure', () => {
  const [late, won] = (['superseded', 'succeeded'] as const).map((end) => {
    const estimator = createLearnedEstimator()
    for (let id = 1; id <= 20; id++) {
      estimator.placed(task(id), node(1), id)
      estimator.observe(ended(task(id), 5000, { end }))
    }
    const { medianMs, failureProbability } = estimator.predict(task(99))
    return { medianMs, failureProbability, rows: estimator.drainSamples() }
  })
  expect(late).toEqual(won)
})

test('a new model is told to those who asked, once', () => {
  const estimator = createLearnedEstimator()
  const waiting = task(1)
  estimator.predict(waiting)
  estimator.useModel({ weights: new Float32Array(WEIGHT_COUNT) })
  expect([...estimator.advance(1)]).toContain(estimator.classOf(waiting))
  expect([...estimator.advance(2)]).toEqual([])
  estimator.useModel(undefined)
  expect(estimator.status().model).toBe(false)
})

test('whatever class is asked about, new, drifting, or that of a tenant without records, a model in use can be explained', () => {
  const estimator = createLearnedEstimator()
  estimator.useModel({ weights: new Float32Array(WEIGHT_COUNT) })
  teach(estimator, 60, 5000)
  teach(estimator, 12, 5_000_000, 100)
  expect(estimator.explain(task(900)).drifting).toBe(true)
  for (const asked of [task(900), task(901, { name: 'new' }), task(902, { tenant: 'zoe', limitMs: 1000 })]) {
    const { components, experts, medianMs, p99Ms } = estimator.explain(asked, node(2, 'other'))
    expect(components['network'] ?? 0).toBeGreaterThanOrEqual(0)
    expect(experts.length).toBeGreaterThan(3)
    expect(p99Ms).toBeGreaterThanOrEqual(medianMs)
  }
})

test('while tasks wait, promised quantiles are kept by what became of those that waited', () => {
  const estimator = createLearnedEstimator()
  teach(estimator, 300, 1000)
  const before = estimator.predict(task(5000)).quantileMs(0.9)
  // Each is asked about while it waits; what it takes is heard only when all wait, and is ten times as long.
  for (let round = 0; round < 10; round++) {
    const ids = Array.from({ length: 100 }, (_, index) => 1000 + 100 * round + index)
    for (const id of ids) estimator.predict(task(id, { name: `round ${round}` }))
    for (const id of ids) {
      const one = task(id, { name: `round ${round}` })
      estimator.placed(one, node(1), id)
      estimator.observe(ended(one, 10_000 * 2 ** round))
    }
  }
  const asked = task(6000, { name: 'next' })
  const waiting = estimator.predict(asked).quantileMs(0.9)
  const beginning = estimator.predict(asked, node(1)).quantileMs(0.9)
  expect(before).toBeLessThan(3000)
  expect(waiting).toBeGreaterThan(beginning)
})

test('on a made-up trace it predicts better than plain statistics at the start of a run, with honest quantiles', () => {
  const [instance] = syntheticTrace({ ...SYNTHETIC_DEFAULTS, tasks: 4000 }).instances(3, 0.9)
  const result = simulate(instance!.workload, instance!.cluster, policyFactory('fifo')(createRng(0)), {
    model: instance!.model()
  })
  const learned = calibrate(result, createLearnedEstimator(), instance!.cluster)
  const plain = calibrate(result, plainStatistics(), instance!.cluster)
  expect(learned.atStart.maeLn).toBeLessThan(0.95 * plain.atStart.maeLn)
  expect(Math.abs(learned.atStart.coverage90 - 0.9)).toBeLessThan(0.02)
  expect(Math.abs(learned.atStart.coverage99 - 0.99)).toBeLessThan(0.006)
})

/** The p90 that a waiting task is told, after hundreds of attempts that take longer than all before. */
function p90AfterSurprises(asksOfEnded: boolean): number {
  const estimator = createLearnedEstimator({ rows: false })
  const rng = createRng(3)
  for (let id = 1, now = 0; id <= 600; id++) {
    const one = task(id, {})
    estimator.predict(one)
    estimator.placed(one, node(1), now)
    const runMs = Math.exp(7 + (id > 300 ? 3 : 0.2) * rng.nextFloat())
    now += runMs
    estimator.advance(now)
    estimator.observe(ended(one, runMs, {}))
    if (asksOfEnded) estimator.predict({ ...one, attempts: 1 })
  }
  return estimator.predict(task(1_000, {})).quantileMs(0.9)
}

test('who asks of a task that has run is promised nothing, so that levels go on learning as fast', () => {
  expect(p90AfterSurprises(true)).toBe(p90AfterSurprises(false))
})

test('by class alone, what a tenant runs otherwise does not move the mean of a class that has run', () => {
  const estimator = createLearnedEstimator()
  const slow = { name: 'slow' }
  const fast = { name: 'fast' }
  for (let run = 1; run <= 40; run++) estimator.observe(ended(task(run, slow), 1e6))
  const fresh = task(99, fast)
  expect(estimator.predictByClass(fresh).meanMs).toBe(estimator.predict(fresh).meanMs)
  for (let run = 41; run <= 80; run++) estimator.observe(ended(task(run, fast), 1000))
  expect(estimator.predictByClass(task(100, fast)).meanMs).toBeLessThan(2500)
  const byAll = estimator.predict(task(101, fast)).meanMs
  expect(estimator.predictByClass(task(102, fast)).meanMs).toBeLessThan(byAll)
})

test('whether rows to train on are gathered changes no prediction, with a model or without', () => {
  const medians = (rows: boolean): number[] => {
    const estimator = createLearnedEstimator({ rows })
    const rng = createRng(5)
    const seen: number[] = []
    for (let id = 1, now = 0; id <= 300; id++) {
      if (id === 100) {
        const drawn = createRng(6)
        estimator.useModel({
          weights: Float32Array.from({ length: WEIGHT_COUNT }, () => 0.2 * (2 * drawn.nextFloat() - 1))
        })
      }
      const one = task(id, { name: id % 2 === 0 ? 'a' : 'b' })
      estimator.placed(one, node(1), now)
      const runMs = Math.exp((id % 2 === 0 ? 6 : 9) + rng.nextFloat())
      now += runMs
      estimator.advance(now)
      estimator.observe(ended(one, runMs, {}))
      const prediction = estimator.predict(task(10_000 + id, { name: 'a' }))
      seen.push(prediction.medianMs, prediction.quantileMs(0.9))
    }
    expect(estimator.drainSamples().length).toBe(rows ? 300 : 0)
    return seen
  }
  expect(medians(false)).toEqual(medians(true))
})
