import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { TaskView } from '../../../../scheduler/policy.ts'
import { createStatistics } from '../../../../optimizer/estimator/statistics.ts'
import { ended, node, task } from './support.ts'

const LEVELS = [0.01, 0.1, 0.5, 0.9, 0.99]

const said = fc.record({
  name: fc.constantFrom('a', 'b', 'c'),
  tenant: fc.constantFrom('ann', 'bob'),
  limitMs: fc.constantFrom(0, 1000, 60_000, 3_600_000),
  inputBytes: fc.constantFrom(0, 1, 1_000_000)
})
const step = fc.record({
  said,
  runMs: fc.double({ min: 0, max: 1e12, noNaN: true }),
  end: fc.constantFrom('succeeded', 'failed', 'stopped', 'lost', 'not-started'),
  on: fc.integer({ min: 1, max: 3 }),
  peakMemoryBytes: fc.constantFrom(0, 1, 1e9, 1e15)
})

test('whatever it has seen, predictions are finite, positive, ordered, and below the limit', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), said, (steps, asked) => {
      const estimator = createStatistics()
      let now = 0
      steps.forEach((each, index) => {
        const one = task(index + 1, each.said)
        estimator.placed(one, node(each.on, `p${each.on}`), now)
        now += each.runMs
        estimator.advance(now)
        // Every third goes on running.
        if (index % 3 > 0) estimator.observe(ended(one, each.runMs, each))
      })
      for (const where of [undefined, node(2, 'p2'), node(9, 'new')]) {
        const prediction = estimator.predict(task(1000, asked), where)
        const quantiles = LEVELS.map((q) => prediction.quantileMs(q))
        expect(
          [prediction.meanMs, prediction.medianMs, ...quantiles].every((ms) => ms >= 1 && ms < 1e14)
        ).toBe(true)
        expect([...quantiles].sort((a, b) => a - b)).toEqual(quantiles)
        if (asked.limitMs > 0)
          expect(Math.max(prediction.meanMs, ...quantiles)).toBeLessThanOrEqual(asked.limitMs)
        for (const elapsed of [0, 1, 1e3, 1e6, 1e10]) {
          const left = prediction.remainingMs(elapsed)
          expect(left >= 1 && Number.isFinite(left)).toBe(true)
        }
        expect(prediction.failureProbability).toBeGreaterThanOrEqual(0)
        expect(prediction.failureProbability).toBeLessThanOrEqual(1)
        expect(prediction.memoryBytes(0.5)).toBeLessThanOrEqual(prediction.memoryBytes(0.99))
      }
    }),
    { numRuns: 60 }
  )
})

/** Completions of a class, one after another. */
function teach(
  estimator: ReturnType<typeof createStatistics>,
  times: readonly number[],
  as: Partial<TaskView> = {}
): void {
  times.forEach((runMs, index) => {
    const one = task(index + 1, as)
    estimator.placed(one, node(1), 0)
    estimator.observe(ended(one, runMs))
  })
}

test('a steady class is predicted as it was', () => {
  const estimator = createStatistics()
  teach(estimator, new Array<number>(40).fill(5000))
  const prediction = estimator.predict(task(100))
  expect(prediction.medianMs).toBeGreaterThan(4000)
  expect(prediction.medianMs).toBeLessThan(6000)
  expect(prediction.remainingMs(1000)).toBeLessThan(8000)
})

test('a new class of a known tenant is expected to be like the tenant’s others, not like those of others', () => {
  const estimator = createStatistics()
  teach(estimator, new Array<number>(30).fill(1000), { tenant: 'ann', name: 'short' })
  teach(estimator, new Array<number>(30).fill(1_000_000), { tenant: 'bob', name: 'long' })
  const ofAnn = estimator.predict(task(100, { tenant: 'ann', name: 'new' })).medianMs
  const ofBob = estimator.predict(task(101, { tenant: 'bob', name: 'new' })).medianMs
  expect(ofAnn).toBeLessThan(5000)
  expect(ofBob).toBeGreaterThan(200_000)
})

test('a change of behaviour is believed after a few completions', () => {
  const estimator = createStatistics()
  teach(estimator, new Array<number>(100).fill(1000))
  teach(estimator, new Array<number>(12).fill(100_000))
  expect(estimator.predict(task(200)).medianMs).toBeGreaterThan(50_000)
})

test('siblings that outlive the prediction raise it before any of them is over', () => {
  const estimator = createStatistics()
  teach(estimator, [1000, 1000])
  const waiting = task(500)
  const before = estimator.predict(waiting).medianMs
  for (let id = 100; id < 108; id++) estimator.placed(task(id), node(1), 10_000)
  expect([...estimator.advance(10_500)]).toEqual([])
  const moved = [...estimator.advance(600_000)]
  expect(moved).toContain(estimator.classOf(waiting))
  expect(estimator.predict(waiting).medianMs).toBeGreaterThan(2 * before)
})

test('an attempt that was stopped counts as longer than it ran, one that never started as nothing', () => {
  const stopped = createStatistics()
  teach(stopped, new Array<number>(10).fill(1000))
  const before = stopped.predict(task(99)).quantileMs(0.9)
  stopped.observe(ended(task(50), 0, { end: 'not-started' }))
  expect(stopped.predict(task(99)).quantileMs(0.9)).toBe(before)
  for (let id = 60; id < 66; id++) stopped.observe(ended(task(id), 50_000, { end: 'stopped' }))
  expect(stopped.predict(task(99)).quantileMs(0.9)).toBeGreaterThan(50_000)
})

test('what a class is expected to take is worked out anew at most so often while little changes', () => {
  const estimator = createStatistics()
  const times = Array.from({ length: 64 }, (_, index) => 60_000 + 1000 * index)
  teach(estimator, times)
  const steady = task(100)
  estimator.placed(task(200), node(1), 1)
  const { revision } = estimator.entryOf(estimator.tree.of(steady))
  teach(estimator, [61_000])
  expect(estimator.entryOf(estimator.tree.of(steady)).revision).toBe(revision)
  estimator.placed(task(201), node(1), 60_000)
  expect(estimator.entryOf(estimator.tree.of(steady)).revision).toBeGreaterThan(revision)
})

test('a class is reported when its tenant’s completions moved it, and only if someone asked for it since', () => {
  const estimator = createStatistics()
  const waiting = task(1, { name: 'waiting' })
  estimator.predict(waiting)
  teach(estimator, [5000], { name: 'other' })
  expect([...estimator.advance(10)]).toContain(estimator.classOf(waiting))
  teach(estimator, [6000], { name: 'other' })
  expect([...estimator.advance(20)]).not.toContain(estimator.classOf(waiting))
})

test('failures and peaks of a class become its probability of failing and its memory', () => {
  const estimator = createStatistics()
  expect(estimator.predict(task(1)).memoryBytes(0.95)).toBe(0)
  for (let id = 1; id <= 30; id++) {
    estimator.observe(
      ended(task(id), 1000, { end: id % 2 === 0 ? 'failed' : 'succeeded', peakMemoryBytes: 1e9 })
    )
  }
  const prediction = estimator.predict(task(100))
  expect(prediction.failureProbability).toBeGreaterThan(0.3)
  expect(prediction.failureProbability).toBeLessThan(0.7)
  expect(prediction.memoryBytes(0.5) / 1e9).toBeGreaterThan(0.7)
  expect(prediction.memoryBytes(0.5) / 1e9).toBeLessThan(1.4)
})

test('classes are forgotten when there are too many, the least recently used first', () => {
  const estimator = createStatistics({ classes: 20 })
  for (let id = 1; id <= 500; id++) {
    const one = task(id, { name: id % 5 === 0 ? 'kept' : `once-${id}` })
    estimator.predict(one)
    estimator.observe(ended(one, id % 5 === 0 ? 2000 : 90_000))
  }
  expect(estimator.tree.size).toBeLessThanOrEqual(20)
  expect(estimator.predict(task(1000, { name: 'kept' })).medianMs).toBeLessThan(4000)
})

test('a limit that is shorter than what the name takes is expected to fail, until attempts end within it', () => {
  const statistics = createStatistics()
  const failing = (said: Partial<TaskView>): number => statistics.predict(task(1000, said)).failureProbability
  for (let id = 1; id <= 40; id++) statistics.observe(ended(task(id, { limitMs: 60_000 }), 2000))
  expect(failing({ limitMs: 60_000 })).toBeLessThan(0.02)
  expect(failing({ limitMs: 3000 })).toBeLessThan(0.02)
  expect(failing({})).toBeLessThan(0.02)
  expect(failing({ limitMs: 500 })).toBeGreaterThan(0.95)
  // Nothing is known of other work with so short a limit.
  expect(failing({ limitMs: 500, name: 'other' })).toBeLessThan(0.05)
  for (let id = 50; id < 90; id++) statistics.observe(ended(task(id, { limitMs: 500 }), 400))
  expect(failing({ limitMs: 500 })).toBeLessThan(0.1)
})
