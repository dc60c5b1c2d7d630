import { expect, test } from 'vitest'
import {
  formatAge,
  formatBytes,
  formatDuration,
  formatExpected,
  formatPairs,
  formatPercent,
  formatTable,
  formatUntil
} from '../../../node/cli/format.ts'

test.each([
  [0, '0ms'],
  [999, '999ms'],
  [1_000, '1.0s'],
  [59_999, '59.9s'],
  [60_000, '1m 0s'],
  [3_599_999, '59m 59s'],
  [3_600_000, '1h 0m'],
  [86_399_999, '23h 59m'],
  [90_000_000, '1d 1h']
])('%i ms is %s', (ms, text) => {
  expect(formatDuration(ms)).toBe(text)
})

test('an age is never negative', () => {
  expect(formatAge(2_000, 1_000)).toBe('0ms ago')
})

test('columns line up and trailing space is cut', () => {
  expect(
    formatTable(
      ['A', 'LONG', 'C'],
      [
        ['xyz', '1', ''],
        ['x', '2', 'end']
      ]
    )
  ).toEqual(['A    LONG  C', 'xyz  1', 'x    2     end'])
})

test('control characters cannot break out of a cell', () => {
  expect(formatTable(['A'], [['a\u001b[2J\nfake']])).toEqual(['A', 'a [2J fake'])
})

test('pairs without a value are left out', () => {
  expect(
    formatPairs([
      ['a', '1'],
      ['bcd', undefined],
      ['ef', '2']
    ])
  ).toEqual(['a   1', 'ef  2'])
})

test.each([
  [0, '0 %'],
  [-0.0004, '0.0 %'],
  [-0.031, '-3.1 %'],
  [0.045, '4.5 %'],
  [0.995, '100 %'],
  [0.42, '42 %']
])('%d is %s', (share, text) => {
  expect(formatPercent(share)).toBe(text)
})

test('amounts of bytes and points of time are short', () => {
  expect([0, 1023, 1536, 12 * 2 ** 20, 2 ** 40].map(formatBytes)).toEqual([
    '0 B',
    '1023 B',
    '1.5 KiB',
    '12 MiB',
    '1 TiB'
  ])
  expect([formatUntil(3_000, 1_000), formatUntil(1_000, 3_000)]).toEqual(['in 2.0s', '2.0s ago'])
  const at = { p50At: 3_000, p90At: 9_000 }
  expect([1_000, 5_000, 10_000].map((now) => formatExpected(at, now))).toEqual([
    'in 2.0s (p50), in 8.0s (p90)',
    'any moment (p50), in 4.0s (p90)',
    'any moment'
  ])
})
