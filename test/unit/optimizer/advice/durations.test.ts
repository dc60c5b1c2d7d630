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
  expect(table.every((value) => value > 0 && value < Infinity)).toBe(true)
})

test('the tail is drawn too, up to the longest of a thousand', () => {
  const prediction = logNormal(1000, 1)
  const table = durationTable(prediction)
  expect(drawMs(table, 0.9999)).toBeGreaterThan(prediction.quantileMs(0.998))
  expect(drawMs(table, 1 - 2 ** -32)).toBeLessThanOrEqual(prediction.quantileMs(0.999))
  const rising = Array.from({ length: 200 }, (_, at) => drawMs(table, 0.98 + at / 10_000))
  expect(rising).toEqual([...rising].sort((a, b) => a - b))
})
