import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createRng } from '../../../../base/prng.ts'
import { taskId } from '../../../../base/ids.ts'
import { FINE_BINS, lnOfBin, quantileLn, shareBelowLn } from '../../../../optimizer/estimator/bins.ts'
import { Conformal } from '../../../../optimizer/estimator/conformal.ts'
import { familiarityOf } from '../../../../optimizer/estimator/familiarity.ts'
import { createLearnedEstimator } from '../../../../optimizer/estimator/learned.ts'
import { levelOf, promisedAt } from '../../../../optimizer/estimator/levels.ts'
import { Reliability, toldOf } from '../../../../optimizer/estimator/reliability.ts'
import type { Judged } from '../../../../optimizer/estimator/reliability.ts'
import { ended, node, task } from './support.ts'

const share = fc.double({ min: 0.001, max: 0.999, noNaN: true })
const levels = fc
  .record({
    centre: fc.double({ min: 0.1, max: 0.9, noNaN: true }),
    low: fc.double({ min: 0, max: 4, noNaN: true }),
    high: fc.double({ min: 0, max: 4, noNaN: true })
  })
  .map(({ centre, low, high }) => {
    const least = Math.log(centre / (1 - centre))
    return { centre, low: least + low, high: least + low + high }
  })

test('the way back from a level finds the quantile that it was asked for, and rises with the level', () => {
  fc.assert(
    fc.property(levels, share, share, (corrected, q, other) => {
      const level = levelOf(corrected, q)
      // Where corrections meet, several quantiles ask for one level.
      expect(levelOf(corrected, promisedAt(corrected, level))).toBeCloseTo(level, 9)
      const [less, more] = [Math.min(level, other), Math.max(level, other)]
      expect(promisedAt(corrected, less)).toBeLessThanOrEqual(promisedAt(corrected, more) + 1e-12)
    })
  )
  const plain = { centre: 0.5, low: Math.log(9), high: Math.log(99) }
  for (const at of [0, 0.3, 0.5, 0.7, 0.9, 0.95, 0.99, 0.999, 1])
    expect(promisedAt(plain, at)).toBeCloseTo(at)
  const met = { centre: 0.5, low: 0, high: 0 }
  expect([0, 0.5, 0.6, 1].every((at) => promisedAt(met, at) >= 0)).toBe(true)
})

/** A log-normal around one minute, on the grid. */
function masses(sigma: number): Float64Array {
  const raw = Float64Array.from({ length: FINE_BINS }, (_, bin) =>
    Math.exp(-0.5 * ((lnOfBin(bin) - Math.log(60_000)) / sigma) ** 2)
  )
  const sum = raw.reduce((total, mass) => total + mass, 0)
  return raw.map((mass) => mass / sum)
}

test('where the distribution is far too wide and its levels make up for it, what was promised is seen to hold', () => {
  const rng = createRng(7)
  const believed = masses(1.6)
  const truth = masses(0.8)
  const maker = { tenant: 'ann', familiarity: familiarityOf(1000, 1000), byNetwork: false }
  const conformal = new Conformal()
  const reliability = new Reliability()
  let within = 0
  const count = 12_000
  for (let id = 1; id <= count; id++) {
    const ms = (q: number): number => Math.exp(quantileLn(believed, conformal.level(maker, q)))
    conformal.promise(taskId(id), maker, ms(0.9), ms(0.99))
    conformal.begin(taskId(id), 0)
    const ln = quantileLn(truth, rng.nextFloat())
    if (shareBelowLn(believed, ln) <= 0.9) within++
    const promised = conformal.end(taskId(id), Math.exp(ln), false)
    reliability.observe(toldOf(believed, promised!, Infinity, ln))
  }
  expect(within / count).toBeGreaterThan(0.98)
  const { levels: held, coverage90, coverage99, spread99, pit } = reliability.judged!
  for (const { level, observed } of held.slice(-3)) expect(Math.abs(observed - level)).toBeLessThan(0.02)
  // Both judge the last two thousand, one of them by a mean that fades.
  expect(Math.abs(coverage90 - conformal.coverage(0)!)).toBeLessThan(0.015)
  expect(Math.abs(coverage99 - conformal.coverage(1)!)).toBeLessThan(0.006)
  expect(pit[9]).toBeCloseTo((1 - coverage90) * 2000)
  // Not the width of the distribution: e^(2.33 × 1.6).
  expect(spread99).toBeLessThan(20)
})

/** Whether a quantile is ever said to have held less often than a lower one, or the figures of a row contradict each other. */
function contradiction({ levels: held, coverage90, coverage95, coverage99, pit, count }: Judged): boolean {
  const observed = held.map((each) => each.observed)
  const rises = observed.every((each, at) => each >= 0 && each <= 1 && each >= (observed[at - 1] ?? 0))
  const tenths = pit.reduce((sum, each) => sum + each, 0) === count && pit.every((each) => each >= 0)
  const same = held.at(-3)?.observed === coverage90 && held.at(-1)?.observed === coverage99
  return !(rises && tenths && same && coverage90 <= coverage95 && coverage95 <= coverage99)
}

test('whatever happens, in no row did a higher quantile hold less often than a lower one', () => {
  const step = fc.record({
    name: fc.constantFrom('a', 'b', 'c'),
    tenant: fc.constantFrom('ann', 'bob'),
    limitMs: fc.constantFrom(0, 1000, 3_600_000),
    runMs: fc.double({ min: 0, max: 1e9, noNaN: true }),
    end: fc.constantFrom('succeeded', 'failed', 'stopped', 'lost', 'not-started', 'superseded'),
    on: fc.integer({ min: 1, max: 3 }),
    times: fc.constantFrom(1, 5, 400)
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
      const estimator = createLearnedEstimator({ rows: false })
      let id = 0
      let ran = 0
      for (const each of steps) {
        for (let run = 0; run < each.times; run++) {
          const one = task(++id, each)
          estimator.placed(one, node(each.on), id)
          estimator.observe(ended(one, each.runMs, each))
        }
        if (['succeeded', 'failed', 'superseded'].includes(each.end)) ran += each.times
      }
      const { all, tenants } = estimator.status().reliability
      const rows = [all, ...tenants.values()].map(({ judged }) => judged)
      expect(rows[0]?.count ?? 0).toBe(Math.min(2000, ran))
      expect(rows.every((row) => row === undefined || !contradiction(row))).toBe(true)
    }),
    { numRuns: 15 }
  )
})

test('each attempt is judged by what was said of it as it began', () => {
  const estimator = createLearnedEstimator({ rows: false })
  const rng = createRng(11)
  const qs = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99]
  const held = qs.map(() => 0)
  let spreadLn = 0
  let errorLn = 0
  const count = 1500
  for (let id = 1, now = 0; id <= count; id++) {
    const one = task(id, { name: `n${id % 7}`, tenant: id % 3 === 0 ? 'bob' : 'ann' })
    estimator.placed(one, node(1), now)
    const said = estimator.predict(one, node(1))
    const [quantiles, median] = [qs.map((q) => said.quantileMs(q)), said.medianMs]
    const runMs = Math.exp(8 + (id % 7) / 3 + rng.nextFloat() * rng.nextFloat() * 4)
    quantiles.forEach((ms, at) => (held[at]! += runMs <= ms ? 1 : 0))
    spreadLn += Math.log(quantiles.at(-1)! / median)
    errorLn += Math.abs(Math.log(runMs / median))
    now += runMs
    estimator.advance(now)
    estimator.observe(ended(one, runMs))
  }
  const { reliability, maeLn } = estimator.status()
  const { levels: judged, spread99 } = reliability.all.judged!
  expect(judged.map(({ level }) => level)).toEqual(qs)
  judged.forEach(({ observed }, at) => {
    expect(Math.abs(observed * count - held[at]!)).toBeLessThanOrEqual(1)
  })
  expect(Math.log(spread99)).toBeCloseTo(spreadLn / count, 6)
  expect(maeLn).toBeCloseTo(errorLn / count, 6)
})

test('a bad first hour is forgotten, and a good one does not hide what is bad since', () => {
  const reliability = new Reliability()
  const judge = (kept: number, times: number): void => {
    for (let time = 0; time < times; time++) reliability.observe({ errorLn: 0, kept, spread99Ln: 1 })
  }
  judge(0.999, 5000)
  expect(reliability.judged).toMatchObject({ count: 2000, coverage99: 0 })
  judge(0.25, 1000)
  expect(reliability.judged).toMatchObject({ coverage90: 0.5, coverage99: 0.5 })
  judge(0.25, 1000)
  expect(reliability.judged).toMatchObject({
    count: 2000,
    coverage90: 1,
    pit: [0, 0, 2000, 0, 0, 0, 0, 0, 0, 0]
  })
  judge(0.93, 1000)
  expect(reliability.judged).toMatchObject({ coverage90: 0.5, coverage95: 1 })
})

test('before anything has ended there are no figures', () => {
  const estimator = createLearnedEstimator()
  estimator.placed(task(1), node(1), 1)
  const { outcomes, maeLn, coverage90, coverage99, logScore, reliability } = estimator.status()
  expect(outcomes).toBe(0)
  expect([maeLn, coverage90, coverage99, logScore, reliability.all.judged]).toEqual(Array(5).fill(undefined))
  expect(reliability.tenants.size).toBe(0)
})
