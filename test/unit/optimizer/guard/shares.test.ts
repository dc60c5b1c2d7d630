import { expect, test } from 'vitest'
import { judge } from '../../../../optimizer/guard/promotion.ts'
import { changeText, intervalText, shareText } from '../../../../optimizer/guard/shares.ts'
import { EVERYTHING } from '../../../../optimizer/lab/statistics.ts'

test.each([
  [0.0421, '4.2 %', '+4.2 %'],
  [-0.0421, '-4.2 %', '-4.2 %'],
  [0, '0.0 %', '0.0 %'],
  [Infinity, '?', '?'],
  [-Infinity, '?', '?'],
  [NaN, '?', '?']
])('of a share of %d', (share, plain, signed) => {
  expect(shareText(share)).toBe(plain)
  expect(changeText(share)).toBe(signed)
})

test('an interval has both ends, or is not known', () => {
  expect(intervalText({ low: 0.01, high: 0.042 })).toBe('[1.0 %, 4.2 %]')
  expect(intervalText({ low: -0.01, high: 0.042 }, changeText)).toBe('[-1.0 %, +4.2 %]')
  expect(intervalText(EVERYTHING)).toBe('[?]')
  expect(intervalText({ low: 0.01, high: Infinity })).toBe('[1.0 %, ?]')
})

test('a verdict on what nothing is known of says so', () => {
  const jct = { difference: 1, relative: 0.1, ...EVERYTHING, relativeInterval: EVERYTHING }
  const evidence = { incumbent: [2], challenger: [1], replay: { jct, slowdown: jct, isMostlyKnown: true } }
  expect(judge(evidence, true).reason).toBe(
    'completion times in the replay +10.0 % [?]; loss -50.0 % [?] on 1 attempts'
  )
})
