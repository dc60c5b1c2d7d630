import fc from 'fast-check'
import { expect, test } from 'vitest'
import { durationTable, drawMs, drawRemainingMs, shareBelow } from '../../../../optimizer/advice/durations.ts'
import { logNormal } from '../../../helpers/forecasts.ts'

const shares = fc.double({ min: 0, max: 0.999_999, noNaN: true })

test('draws rise with their share and give back the distribution', () => {
  const table = durationTable(logNormal(1000, 1))
  expect(drawMs(table, 0.5)).toBeCloseTo(1000, -2)
  fc.assert(
    fc.property(shares, shares, (a, b) => {
      expect(drawMs(table, Math.min(a, b))).toBeLessThanOrEqual(drawMs(table, Math.max(a, b)))
    })
  )
  fc.assert(
    fc.property(fc.double({ min: 0.02, max: 0.98, noNaN: true }), (u) => {
      expect(shareBelow(table, drawMs(table, u))).toBeCloseTo(u, 5)
    })
  )
})

test('what is left is always more than nothing, and rises with its share', () => {
  const table = durationTable(logNormal(1000, 1))
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 10_000_000 }), shares, shares, (elapsedMs, a, b) => {
      const low = drawRemainingMs(table, elapsedMs, Math.min(a, b))
      const high = drawRemainingMs(table, elapsedMs, Math.max(a, b))
      expect(low).toBeGreaterThanOrEqual(1)
      expect(high).toBeGreaterThanOrEqual(low)
      expect(high).toBeLessThan(Infinity)
    })
  )
})

test('what is left follows the distribution, given how long an attempt has run', () => {
  const prediction = logNormal(1000, 1)
  const table = durationTable(prediction)
  for (const [elapsed, u] of [
    [0.2, 0.5],
    [0.5, 0.5],
    [0.5, 0.1],
    [0.7, 0.6]
  ] as const) {
    const elapsedMs = prediction.quantileMs(elapsed)
    const expected = prediction.quantileMs(elapsed + u * (1 - elapsed)) - elapsedMs
    expect(Math.abs(drawRemainingMs(table, elapsedMs, u) / expected - 1)).toBeLessThan(0.05)
  }
})

test('quantiles that cross or are not numbers do not spoil a table', () => {
  const odd = { ...logNormal(1000, 1), quantileMs: (q: number) => (q < 0.3 ? NaN : q < 0.6 ? 500 : 100) }
  const table = durationTable(odd)
  expect([...table]).toEqual([...table].sort((a, b) => a - b))
  expect([0, 0.2, 0.5, 0.9, 0.9999].every((u) => drawMs(table, u) >= 1 && drawMs(table, u) <= 501)).toBe(true)
})

test('the tail is drawn too, up to the longest of a thousand', () => {
  const prediction = logNormal(1000, 1)
  const table = durationTable(prediction)
  expect(drawMs(table, 0.9999)).toBeGreaterThan(prediction.quantileMs(0.998))
  expect(drawMs(table, 1 - 2 ** -32)).toBeCloseTo(prediction.quantileMs(0.999), 3)
  const rising = Array.from({ length: 200 }, (_, at) => drawMs(table, 0.98 + at / 10_000))
  expect(rising).toEqual([...rising].sort((a, b) => a - b))
})

/** What a class of 35 to 70 ms was predicted to take after 20 runs of six classes: above the 99th percentile lies what nobody expects. */
const young = {
  ...logNormal(50, 1),
  quantileMs: (q: number) =>
    q < 0.99 ? logNormal(50, 0.2).quantileMs(q) : 70 * Math.exp((11.13 * (q - 0.99)) / 0.009)
}

test('a tail that grows a thousandfold is not drawn as if most of it lay near its end', () => {
  const table = durationTable(young)
  for (const u of [0.993, 0.995, 0.9965, 0.998])
    expect(Math.abs(Math.log(drawMs(table, u) / young.quantileMs(u)))).toBeLessThan(0.05)
})

test('above the level that the runs of a class are evidence of, its tail goes on as a log-normal one where that is shorter', () => {
  for (const seen of [0, 5, 20]) {
    const table = durationTable(young, seen)
    expect(drawMs(table, 0.999)).toBeLessThan(1.05 * logNormal(50, 0.2).quantileMs(0.999))
    expect(drawMs(table, 0.5)).toBeCloseTo(50, 0)
  }
  // Two thousand runs are evidence of all of it; and no tail is made longer than it is predicted.
  expect(drawMs(durationTable(young, 2000), 0.998)).toBeCloseTo(young.quantileMs(0.998), -2)
  const capped = { ...young, quantileMs: (q: number) => Math.min(60, young.quantileMs(q)) }
  expect(drawMs(durationTable(capped, 5), 0.999)).toBeCloseTo(60, 6)
})

test('a stretched tail begins at the ninetieth percentile, and is known for what it is when an attempt runs in it', () => {
  const table = durationTable(logNormal(1000, 1))
  fc.assert(
    fc.property(shares, fc.double({ min: 0.3, max: 3, noNaN: true }), (u, stretch) => {
      const drawn = drawMs(table, u, stretch)
      if (u < 0.89) expect(drawn).toBe(drawMs(table, u))
      else if (u > 0.91) expect(drawn > drawMs(table, u)).toBe(stretch > 1)
      if (u > 0.01 && u < 0.998) expect(shareBelow(table, drawn, stretch)).toBeCloseTo(u, 6)
    })
  )
  const left = (stretch: number): number => drawRemainingMs(table, 2000, 0.9, stretch)
  expect(left(1.5)).toBeGreaterThan(1.2 * left(1))
})
