/** What a backlog does to promised quantiles: thousands of promises are open at once, and are heard of in order. */
import { expect, test } from 'vitest'
import { taskId } from '../../../../base/ids.ts'
import { createRng } from '../../../../base/prng.ts'
import { Conformal } from '../../../../optimizer/estimator/conformal.ts'
import { familiarityOf } from '../../../../optimizer/estimator/familiarity.ts'
import type { Maker } from '../../../../optimizer/estimator/conformal.ts'
import { createLearnedEstimator } from '../../../../optimizer/estimator/learned.ts'
import { LARGEST_LOGIT, logit } from '../../../../optimizer/estimator/levels.ts'
import { ended, node, task } from './support.ts'

const BACKLOG = 10_000
const KNOWN = familiarityOf(1000, 1000)

/** A class whose runs bear out levels up to `most`, on the logit. */
function known(most = LARGEST_LOGIT): Maker {
  return { tenant: 'ann', familiarity: KNOWN, byNetwork: false, support: [most, LARGEST_LOGIT] }
}

/** Has all promises of a backlog be missed, which were made before any was heard of. */
function missed(conformal: Conformal, maker: Maker): void {
  for (let id = 1; id <= BACKLOG; id++) conformal.promise(taskId(id), maker, 10, 10)
  for (let id = 1; id <= BACKLOG; id++) {
    conformal.begin(taskId(id), 0)
    conformal.end(taskId(id), 20, false)
  }
}

test('what is missed throughout a backlog moves a class no further than its own runs bear out, and p99 stays above p90', () => {
  const conformal = new Conformal()
  const [slow, steady] = [known(), known(logit(0.96))]
  missed(conformal, slow)
  expect(conformal.level(slow, 0.9)).toBeGreaterThan(0.99)
  expect(conformal.level(steady, 0.9)).toBeLessThanOrEqual(0.96 + 1e-9)
  expect(conformal.level(steady, 0.99)).toBeGreaterThan(conformal.level(steady, 0.9))
})

test('nothing is learned beyond the bounds: two backlogs of misses are taken back by as many outcomes as one', () => {
  const outcomesBack = (backlogs: number): number => {
    const conformal = new Conformal()
    for (let round = 0; round < backlogs; round++) missed(conformal, known())
    let outcomes = 0
    for (; conformal.level(known(), 0.9) > 0.99 && outcomes < 10_000; outcomes++) {
      conformal.promise(taskId(1), known(), 10, 10)
      conformal.begin(taskId(1), 0)
      conformal.end(taskId(1), 5, false)
    }
    return outcomes
  }
  const once = outcomesBack(1)
  expect(once).toBeLessThan(1000)
  expect(outcomesBack(2)).toBeLessThan(1.1 * once)
})

test('a short class is promised twice its own p90 at most while a backlog of others is missed by far', () => {
  const rng = createRng(4)
  const estimator = createLearnedEstimator()
  const on = node(1)
  let id = 0
  let now = 0
  const runs = (name: string, drawMs: () => number, waiting = [task(++id, { name })]): void => {
    for (const each of waiting) {
      estimator.placed(each, on, now)
      const runMs = drawMs()
      now += runMs
      estimator.advance(now)
      estimator.observe(ended(each, runMs))
    }
  }
  const shortMs = (): number => 50 + 40 * rng.nextFloat()
  for (let index = 0; index < 300; index++) {
    runs('short', shortMs)
    runs('long', () => 500 + 100 * rng.nextFloat())
  }
  const backlog = Array.from({ length: BACKLOG / 5 }, () => task(++id, { name: 'long' }))
  for (const each of backlog) estimator.predict(each)
  // Each takes far longer than the one before it.
  let missedMs = 600
  for (let from = 0; from < backlog.length; from += 10) {
    missedMs = Math.min(3_600_000, missedMs * 1.05)
    runs('long', () => missedMs, backlog.slice(from, from + 10))
    runs('short', shortMs)
    expect(estimator.predict(task(++id, { name: 'short' })).quantileMs(0.9)).toBeLessThan(2 * 86)
  }
})

test('a class that becomes slower is promised a p90 of what it takes now, however long it was quick', () => {
  let held = 0
  let promised = 0
  for (let seed = 0; seed < 6; seed++) {
    const rng = createRng(900 + seed)
    const estimator = createLearnedEstimator()
    const on = node(1)
    let id = 0
    let now = 0
    const run = (runMs: number): number => {
      const one = task(++id, { name: 'a' })
      const p90Ms = estimator.predict(one).quantileMs(0.9)
      estimator.placed(one, on, now)
      now += runMs
      estimator.advance(now)
      estimator.observe(ended(one, runMs))
      return p90Ms
    }
    const normal = (): number => Array.from({ length: 12 }, () => rng.nextFloat()).reduce((a, b) => a + b) - 6
    for (let index = 0; index < 1000; index++) run(1000 * (0.9 + 0.2 * rng.nextFloat()))
    for (let index = 0; index < 24; index++) {
      const runMs = 100_000 * Math.exp(0.7 * normal())
      const p90Ms = run(runMs)
      if (index < 4) continue
      promised++
      if (runMs <= p90Ms) held++
    }
  }
  expect(held / promised).toBeGreaterThan(0.65)
})
