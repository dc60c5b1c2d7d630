import { expect, test } from 'vitest'
import { formatAge, formatDuration, formatPairs, formatTable } from '../../../node/cli/format.ts'

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
