/** One task that is unlike all others must not decide what is expected of those others. */
import { describe, expect, test } from 'vitest'
import type { Estimator } from '../../../../optimizer/estimate.ts'
import { createLearnedEstimator } from '../../../../optimizer/estimator/learned.ts'
import { createStatistics } from '../../../../optimizer/estimator/statistics.ts'
import { ended, node, task } from './support.ts'

const here = node(1)
const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000

/** A task of the class runs for `runMs` from `at`. */
function runs(estimator: Estimator, id: number, at: number, runMs: number, said = {}): void {
  const one = task(id, said)
  estimator.predict(one)
  estimator.placed?.(one, here, at)
  estimator.advance?.(at + runMs)
  estimator.observe(ended(one, runMs))
}

const KINDS = [
  ['statistics', () => createStatistics()],
  ['learned', () => createLearnedEstimator()]
] as const

describe.each(KINDS)('%s', (_name, create) => {
  /** 600 runs of 5 to 60 ms, around a few that began after 300 of them and have not ended, looked at `later` ms on. */
  function withStuck(stuck: number, later: number) {
    const estimator = create()
    let now = 0
    for (let id = 1; id <= 600; id++) {
      for (let one = 0; one < stuck && id === 300; one++) estimator.placed(task(1000 + one), here, now)
      runs(estimator, id, now, 5 + ((id * 37) % 56))
      now += 5
    }
    estimator.advance(now + later)
    return estimator.predict(task(2000))
  }

  test.each([
    [1, 4000],
    [1, MINUTE_MS],
    [4, 4000],
    [4, 30 * MINUTE_MS]
  ])(
    '%i tasks that have been stuck for %i ms say little of a class that went on as before',
    (stuck, later) => {
      const prediction = withStuck(stuck, later)
      expect(prediction.medianMs).toBeLessThan(60)
      expect(prediction.quantileMs(0.75)).toBeLessThan(90)
      expect(prediction.quantileMs(0.9)).toBeLessThan(150)
    }
  )

  test('what has outlived all others is expected to take about as long again, or a few times that', () => {
    const prediction = withStuck(1, 10_000)
    expect(prediction.quantileMs(0.99)).toBeLessThan(2 * MINUTE_MS)
    const left = prediction.remainingMs(10_000)
    expect(left).toBeGreaterThan(1000)
    expect(left).toBeLessThan(10 * MINUTE_MS)
  })

  test('a burst that hangs as a whole raises what is expected, as none of it has ended', () => {
    const estimator = create()
    for (let id = 1; id <= 100; id++) runs(estimator, id, 5 * id, 20 + (id % 20))
    const before = estimator.predict(task(2000)).medianMs
    for (let id = 200; id < 220; id++) estimator.placed(task(id), here, 1000)
    estimator.advance(10 * MINUTE_MS)
    expect(estimator.predict(task(2001)).quantileMs(0.9)).toBeGreaterThan(5 * MINUTE_MS)
    expect(before).toBeLessThan(60)
  })

  test('names and tenants that are new are expected to be like most classes, not like the one that ended last', () => {
    const estimator = create()
    let id = 1
    let now = 0
    for (let name = 0; name < 4; name++) {
      for (let run = 0; run < 50; run++)
        runs(estimator, id++, now++, 1, { name: `n${name}`, tenant: `t${name}` })
    }
    runs(estimator, id++, now, MINUTE_MS, { name: 'long', tenant: 'long' })
    const fresh = estimator.predict(task(id++, { name: 'fresh', tenant: 'fresh' }))
    expect(fresh.medianMs).toBeLessThan(100)
    expect(fresh.meanMs).toBeLessThan(MINUTE_MS)
    expect(fresh.quantileMs(0.75)).toBeLessThan(2 * MINUTE_MS)
  })

  test('after one run of a minute, nobody expects hours of what is new', () => {
    const estimator = create()
    runs(estimator, 1, 0, MINUTE_MS, { name: 'long', tenant: 'long' })
    const fresh = estimator.predict(task(2, { name: 'fresh', tenant: 'fresh' }))
    expect(fresh.medianMs).toBeLessThan(3 * MINUTE_MS)
    expect(fresh.meanMs).toBeLessThan(HOUR_MS)
  })
})
