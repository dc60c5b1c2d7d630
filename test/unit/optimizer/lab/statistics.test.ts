import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createRng } from '../../../../base/prng.ts'
import { jain, mean, quantileSorted } from '../../../../optimizer/lab/metrics.ts'
import {
  blockLength,
  bootstrap,
  holm,
  meanInterval,
  pairedDifference
} from '../../../../optimizer/lab/statistics.ts'

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
      const everyRound = bootstrap([ones], ([sum = 0]) => sum, { rounds: 20, block, confidence: 1 })
      expect(everyRound).toEqual({ low: count, high: count })
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
      const { low, high } = bootstrap(columns, ([one = 0, other = 0]) => one / other, {
        ...options,
        confidence: 1
      })
      expect(low / Math.min(...ratios)).toBeCloseTo(1, 9)
      expect(high / Math.max(...ratios)).toBeCloseTo(1, 9)
    })
  )
})

test('a value that is no number costs the rounds that hold it, and no others', () => {
  const values = Array.from({ length: 100 }, (_, index) => (index === 0 ? NaN : 1))
  const { low } = meanInterval(values, { block: 5 })
  expect(low).toBe(1)
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

test('block length is the cube root of the number of units', () => {
  expect([0, 1, 27, 1000].map(blockLength)).toEqual([1, 1, 3, 10])
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
