import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createRng } from '../../../../base/prng.ts'
import type { Rng } from '../../../../base/prng.ts'
import { jain, mean, quantileSorted } from '../../../../optimizer/lab/metrics.ts'
import {
  blockLength,
  holm,
  meanInterval,
  pairedDifference,
  resampled
} from '../../../../optimizer/lab/statistics.ts'
import { studentQuantile } from '../../../../optimizer/lab/student.ts'

const EVERYTHING = { low: -Infinity, high: Infinity }

test('quantiles interpolate between neighbours', () => {
  expect([0, 0.25, 0.5, 0.9, 1].map((q) => quantileSorted([1, 2, 3, 4], q))).toEqual([1, 1.75, 2.5, 3.7, 4])
  expect(quantileSorted([], 0.5)).toBe(0)
})

test("Jain's index is 1 for equal values and 1/n when one has everything", () => {
  expect(jain([3, 3, 3])).toBe(1)
  expect(jain([5, 0, 0, 0])).toBe(0.25)
})

test('a bootstrap interval of the mean is close to the normal one', () => {
  const rng = createRng(11)
  const values = Array.from({ length: 400 }, () => rng.nextFloat())
  const standardError = Math.sqrt(1 / 12 / values.length)
  const { low, high } = meanInterval(values)
  expect(low).toBeCloseTo(mean(values) - 1.96 * standardError, 2)
  expect(high).toBeCloseTo(mean(values) + 1.96 * standardError, 2)
})

test('about 95 % of intervals hold the true mean', () => {
  let held = 0
  for (let seed = 0; seed < 200; seed++) {
    const rng = createRng(1000 + seed)
    const { low, high } = meanInterval(
      Array.from({ length: 60 }, () => rng.nextFloat()),
      { rounds: 300, seed }
    )
    if (low <= 0.5 && 0.5 <= high) held++
  }
  expect(held).toBeGreaterThanOrEqual(180)
  expect(held).toBeLessThanOrEqual(199)
})

test('neighbours that move together need blocks: the interval becomes wider', () => {
  const rng = createRng(2)
  let level = 0
  const values = Array.from({ length: 1000 }, () => (level = 0.95 * level + rng.nextFloat() - 0.5))
  const width = (block: number): number => {
    const { low, high } = meanInterval(values, { block })
    return high - low
  }
  expect(width(50)).toBeGreaterThan(2 * width(1))
})

test('a resample has as many units as there are, whatever the block', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 80 }), (count, block) => {
      const ones = new Float64Array(count).fill(1)
      const [sums] = resampled([ones], [([sum = 0]) => sum], { rounds: 20, block })
      expect(sums).toEqual(new Float64Array(20).fill(count))
    })
  )
})

/** The values of a statistic over resamples whose units are walked one by one. */
function walked(
  columns: readonly (readonly number[])[],
  statistic: (sums: number[]) => number,
  { rounds, block }: { rounds: number; block: number }
): number[] {
  const rng = createRng(1)
  const count = columns[0]!.length
  const length = Math.min(block, count)
  return Array.from({ length: rounds }, () => {
    const units: number[] = []
    while (units.length < count) {
      const start = rng.nextInt(count - length + 1)
      for (let offset = 0; offset < length && units.length < count; offset++) units.push(start + offset)
    }
    return statistic(columns.map((column) => units.reduce((sum, unit) => sum + column[unit]!, 0)))
  })
}

test('sums of blocks are those of their units, drawn as ever', () => {
  const column = fc.double({ min: 1, max: 1e6, noNaN: true })
  const pairs = fc.array(fc.tuple(column, column), { minLength: 1, maxLength: 60 })
  fc.assert(
    fc.property(pairs, fc.integer({ min: 1, max: 80 }), (units, block) => {
      const columns = [units.map(([one]) => one), units.map(([, other]) => other)]
      const options = { rounds: 25, block }
      const ratios = walked(columns, ([one, other]) => one! / other!, options)
      const [values] = resampled(columns, [([one = 0, other = 0]) => one / other], options)
      ratios.forEach((ratio, round) => {
        expect(values![round]! / ratio).toBeCloseTo(1, 9)
      })
    })
  )
})

test('a value that is no number costs the rounds that hold it, and no others, but no interval stands on them', () => {
  const values = Array.from({ length: 100 }, (_, index) => (index === 0 ? NaN : 1))
  const [means] = resampled([values], [([sum = 0]) => sum / 100], { block: 5 })
  const known = means!.filter((value) => !Number.isNaN(value))
  expect(known.length).toBeGreaterThan(0)
  expect(new Set(known)).toEqual(new Set([1]))
  expect(meanInterval(values, { block: 5 })).toEqual(EVERYTHING)
})

test('one measurement says nothing of the next', () => {
  expect(meanInterval([5])).toEqual(EVERYTHING)
  const { difference, relative, p, low, high, relativeInterval } = pairedDifference([10], [9])
  expect({ difference, relative, p }).toEqual({ difference: -1, relative: -0.1, p: 1 })
  expect({ low, high }).toEqual(EVERYTHING)
  expect(relativeInterval).toEqual(EVERYTHING)
  // Nor do a hundred neighbours that are one block.
  expect(pairedDifference(new Array(100).fill(2), new Array(100).fill(1), { block: 100 }).p).toBe(1)
})

/** A roughly normal deviate. */
function normal(rng: Rng): number {
  let sum = -6
  for (let each = 0; each < 12; each++) sum += rng.nextFloat()
  return sum
}

test('of a few measurements as well, about 95 % of intervals hold the truth, and 5 % of tests find what is not there', () => {
  for (const [count, least, mostP] of [
    [3, 0.92, 0],
    [5, 0.92, 0],
    [10, 0.92, 0.065]
  ] as const) {
    let held = 0
    let found = 0
    const repeats = 1000
    for (let seed = 0; seed < repeats; seed++) {
      const rng = createRng(77 + seed)
      const incumbent = Array.from({ length: count }, () => 10 + normal(rng))
      const { low, high, p } = pairedDifference(
        incumbent,
        incumbent.map((value) => value + normal(rng)),
        { rounds: 300, seed }
      )
      if (low <= 0 && 0 <= high) held++
      if (p <= 0.05) found++
    }
    expect(held / repeats, `${count} measurements`).toBeGreaterThan(least)
    expect(found / repeats, `${count} measurements`).toBeLessThanOrEqual(mostP)
  }
})

test('a change that all of five measurements show has p = 1 in 16', () => {
  expect(pairedDifference([10, 11, 12, 13, 14], [5, 5, 5, 5, 5]).p).toBe(1 / 16)
})

test('waits of a busy queue: most intervals of one long run hold the true mean', () => {
  // M/M/1 at 0.9: a mean wait of 9 service times, and neighbours that are alike over hundreds of tasks.
  let held = 0
  const repeats = 100
  for (let seed = 0; seed < repeats; seed++) {
    const rng = createRng(500 + seed)
    let wait = 0
    const waits = Array.from({ length: 30_000 }, () => {
      const before = wait
      wait = Math.max(0, wait - Math.log(1 - rng.nextFloat()) + Math.log(1 - rng.nextFloat()) / 0.9)
      return before
    })
    const { low, high } = meanInterval(waits, { block: blockLength(waits.length), rounds: 200 })
    if (low <= 9 && 9 <= high) held++
  }
  expect(held).toBeGreaterThanOrEqual(80)
})

test("Student's quantiles are those of the tables", () => {
  const degrees = [1, 2, 3, 4, 9, 30]
  expect(degrees.map((each) => studentQuantile(0.95, each).toFixed(3))).toEqual([
    '12.706',
    '4.303',
    '3.182',
    '2.776',
    '2.262',
    '2.042'
  ])
  expect(studentQuantile(0.99, 5)).toBeCloseTo(4.032, 3)
  expect(studentQuantile(0.95, 1e9)).toBeCloseTo(1.962, 2)
})

test('pairing finds a small change that differences of means would miss', () => {
  const rng = createRng(5)
  const incumbent = Array.from({ length: 40 }, () => 100 + 50 * rng.nextFloat())
  const challenger = incumbent.map((value) => value * 0.98)
  const { difference, relative, relativeInterval, high } = pairedDifference(incumbent, challenger)
  expect(difference).toBeCloseTo(-0.02 * mean(incumbent))
  expect(relative).toBeCloseTo(-0.02)
  expect(high).toBeLessThan(0)
  expect(relativeInterval.high).toBeLessThan(-0.019)
})

test('blocks are a twentieth of the units, of few units their cube root', () => {
  expect([0, 1, 27, 60, 1000, 30_000].map(blockLength)).toEqual([1, 1, 3, 4, 50, 1500])
})

test('a p-value is small for a change that pairing shows, and large for none', () => {
  const rng = createRng(8)
  const incumbent = Array.from({ length: 40 }, () => 100 + 50 * rng.nextFloat())
  const noise = incumbent.map((value) => value + rng.nextFloat() - 0.5)
  expect(pairedDifference(incumbent, noise).p).toBeGreaterThan(0.05)
  expect(
    pairedDifference(
      incumbent,
      noise.map((value) => value - 2)
    ).p
  ).toBeLessThan(0.005)
  expect(pairedDifference(incumbent, incumbent).p).toBe(1)
})

test('Holm multiplies the smallest p-value by all, the next by one less, and keeps their order', () => {
  expect(holm([0.01, 0.04, 0.03, 0.005])).toEqual([0.03, 0.06, 0.06, 0.02])
  expect(holm([0.5, 0.9])).toEqual([1, 1])
  expect(holm([])).toEqual([])
})
