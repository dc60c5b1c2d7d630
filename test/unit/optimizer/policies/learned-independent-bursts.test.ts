import fc from 'fast-check'
import { expect, test } from 'vitest'
import { taskId } from '../../../../base/ids.ts'
import { PointPrediction } from '../../../../optimizer/estimate.ts'
import { beliefOf, Bursts, normalHazard } from '../../../../optimizer/policies/learned/bursts.ts'
import type { LnBelief } from '../../../../optimizer/policies/learned/newcomers.ts'
import { LiveTask } from '../../../../optimizer/sim/view.ts'
import { taskOf } from '../../../helpers/workloads.ts'

/** What comes of a prediction that says: around `medianMs`, by a factor of `spread` either way. */
function wide(medianMs: number, spread: number, meanMs = medianMs): LnBelief {
  return beliefOf({
    meanMs,
    medianMs,
    quantileMs: (q) => medianMs * spread ** (4 * (q - 0.5)),
    remainingMs: () => medianMs,
    failureProbability: 0,
    memoryBytes: () => 0
  })
}

const task = (id: number, at = 0, limit = 0): LiveTask =>
  new LiveTask(taskOf({ work: 1, at, limit }, id - 1), [])

test('a pause makes a new burst, as do another class, width and priority', () => {
  const bursts = new Bursts()
  const first = bursts.ready(task(1, 0), 'c', 1)
  expect(bursts.ready(task(2, 200_000), 'c', 1)).toBe(first)
  expect(bursts.ready(task(3, 400_000), 'c', 1)).toBe(first)
  expect(bursts.ready(task(4, 800_000), 'c', 1)).not.toBe(first)
  expect(bursts.ready(task(5, 400_000), 'd', 1)).not.toBe(first)
  expect(bursts.ready(task(6, 400_000), 'c', 2)).not.toBe(first)
})

test('before its first completion a burst is what the estimator says, then mostly what it showed', () => {
  const bursts = new Bursts()
  const burst = bursts.ready(task(1), 'c', 1)
  bursts.ready(task(2), 'c', 1)
  const before = bursts.estimate(burst, 0, () => wide(10_000, 10))
  expect(Math.exp(before.ln)).toBeCloseTo(10_000, 3)
  bursts.started(taskId(1), 0)
  bursts.ended(taskId(1), 100)
  const after = bursts.estimate(burst, 100, () => wide(10_000, 10))
  expect(Math.exp(after.ln)).toBeLessThan(1000)
  expect(after.lnError).toBeLessThan(before.lnError)
})

test('a running sibling says nothing while it is young, and more the older it gets', () => {
  const bursts = new Bursts()
  const burst = bursts.ready(task(1), 'c', 1)
  bursts.ready(task(2), 'c', 1)
  bursts.started(taskId(1), 0)
  const at = (now: number): number => bursts.estimate(burst, now, () => wide(10_000, 3)).ln
  expect(at(5000)).toBe(at(0))
  expect(at(20_000)).toBeGreaterThan(at(5000))
  expect(at(200_000)).toBeGreaterThan(at(20_000))
})

test('the truth is taken at its word, and the limit caps everything', () => {
  const bursts = new Bursts()
  const burst = bursts.ready(task(1), 'c', 1)
  const truth = beliefOf(new PointPrediction().of(1234))
  expect(bursts.estimate(burst, 0, () => truth)).toMatchObject({ lnError: 0 })
  expect(bursts.estimate(burst, 0, () => wide(1, 1)).meanMs).toBeCloseTo(1234)
  const limited = bursts.ready(task(2, 0, 500), 'd', 1)
  const { ln, meanMs } = bursts.estimate(limited, 0, () => wide(10_000, 10))
  expect([Math.exp(ln), meanMs].map(Math.round)).toEqual([500, 500])
})

test("the mean of a burst that nobody knows is the estimator's, but for what only tails are made of", () => {
  const meanOf = (meanMs: number): number =>
    new Bursts().estimate(new Bursts().ready(task(1), 'c', 1), 0, () => wide(1000, 20, meanMs)).meanMs
  expect(meanOf(1000)).toBeCloseTo(1000, 3)
  expect(meanOf(6000)).toBeCloseTo(6000, 3)
  expect(meanOf(1e9)).toBeCloseTo(1000 * Math.exp(2), 3)
})

test('a task that comes back goes on in its burst; withdrawn ones leave nothing', () => {
  const bursts = new Bursts()
  const burst = bursts.ready(task(1), 'c', 1)
  bursts.started(taskId(1), 0)
  bursts.ready(task(7, 900_000), 'c', 1)
  expect(bursts.ready(task(1), 'c', 1)).toBe(burst)
  expect(burst.running.size).toBe(0)
  bursts.withdrawn(taskId(1))
  expect(bursts.of(taskId(1))).toBeUndefined()
  expect(bursts.get(burst.id)).toBeUndefined()
})

test('waiting and running are counted right whatever happens in whatever order', () => {
  const events = fc.array(
    fc.tuple(fc.constantFrom('ready', 'start', 'end', 'withdraw'), fc.integer({ min: 1, max: 9 }))
  )
  fc.assert(
    fc.property(events, (list) => {
      const bursts = new Bursts()
      const state = new Map<number, 'waiting' | 'running'>()
      list.forEach(([event, id], index) => {
        const is = state.get(id)
        if (event === 'ready' && is !== 'waiting') {
          bursts.ready(task(id, index * 100_000), id % 2, 1)
          state.set(id, 'waiting')
        } else if (event === 'start' && is === 'waiting') {
          bursts.started(taskId(id), index)
          state.set(id, 'running')
        } else if (event === 'end' && is === 'running') {
          bursts.ended(taskId(id), 5)
          state.delete(id)
        } else if (event === 'withdraw' && is === 'waiting') {
          bursts.withdrawn(taskId(id))
          state.delete(id)
        }
      })
      const known = new Set([...state.keys()].map((id) => bursts.of(taskId(id))))
      let waiting = 0
      let running = 0
      for (const burst of known) {
        waiting += burst?.waiting ?? 0
        running += burst?.running.size ?? 0
      }
      const count = (what: string): number => [...state.values()].filter((is) => is === what).length
      expect([waiting, running]).toEqual([count('waiting'), count('running')])
    })
  )
})

test('the hazard of the normal distribution', () => {
  // φ(x) ÷ (1 − Φ(x)) from tables.
  expect(normalHazard(0)).toBeCloseTo(0.79788, 4)
  expect(normalHazard(1)).toBeCloseTo(1.52514, 4)
  expect(normalHazard(3)).toBeCloseTo(3.2831, 3)
})

test('the hazard of the normal distribution lies between x and x + 1/x, and rises', () => {
  const from = fc.double({ min: 0, max: 1000, noNaN: true })
  const further = fc.double({ min: 1e-6, max: 10, noNaN: true })
  fc.assert(
    fc.property(from, further, (x, step) => {
      const hazard = normalHazard(x)
      expect(hazard).toBeGreaterThan(x)
      if (x > 0) expect(hazard).toBeLessThan(x + 1 / x)
      expect(normalHazard(x + step)).toBeGreaterThan(hazard)
    })
  )
  expect(normalHazard(10)).toBeCloseTo(10.09809, 4)
  expect(normalHazard(30)).toBeCloseTo(30.03326, 5)
})
