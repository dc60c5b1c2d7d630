import { expect, test } from 'vitest'
import fc from 'fast-check'
import { PolicyChoice, REPLAY_EVERY } from '../../../../optimizer/guard/policy-choice.ts'
import type { Extent, RecentComparison } from '../../../../optimizer/guard/recent.ts'

type Evidence = Extent & Pick<RecentComparison, 'results' | 'failures'>

/** A replay in which the challenger changes completion times by so much, give or take `half`. */
function replay(relative: number, half = 0.01, unended = 0, drawn = 0): Evidence {
  const interval = { low: relative - half, high: relative + half }
  const jct = { difference: relative, relative, ...interval, relativeInterval: interval }
  const result = { name: '', meanJctMs: 1, p95JctMs: 1, p99JctMs: 1, boundedSlowdown: 1, jct, slowdown: jct }
  const results = [result, result]
  return {
    ...{ tasks: 9 + drawn, drawn, leftOut: 0, unended },
    ...{ results, failures: [] }
  }
}
const broken = (): Evidence => ({
  ...replay(0),
  results: replay(0).results.slice(0, 1),
  failures: [{ name: 'daring', message: 'NaN' }]
})
const choice = (): PolicyChoice => new PolicyChoice('safe', 'daring')

test.each([
  ['safe', replay(-0.031), 'daring'],
  ['safe', replay(-0.029), undefined],
  ['safe', replay(-0.2, 0.19), undefined],
  ['safe', replay(0.5), undefined],
  ['safe', replay(NaN), undefined],
  ['safe', broken(), undefined],
  ['another', replay(-0.2), 'daring'],
  ['daring', replay(-0.2), undefined],
  ['daring', replay(0.06), undefined],
  ['daring', replay(0.065), 'safe'],
  ['daring', replay(0.2, 0.19), undefined],
  // Of survivors: they lead to no challenger, and still away from it.
  ['safe', replay(-0.2, 0.01, 4), 'daring'],
  ['safe', replay(-0.2, 0.01, 5), undefined],
  ['daring', replay(0.2, 0.01, 5), 'safe'],
  // What is held is not missing, however much it is.
  ['safe', replay(-0.2, 0.01, 90, 90), 'daring'],
  ['safe', replay(-0.2, 0.01, 5, 1), 'daring'],
  ['safe', replay(-0.2, 0.01, 90, 30), undefined],
  // Of one unit nothing is known, and an interval may reach beyond what can be saved.
  ['safe', replay(-0.5, Infinity), undefined],
  ['daring', replay(-0.5, Infinity), undefined],
  ['daring', replay(0.5, Infinity), undefined],
  ['daring', replay(-0.5, 0.6), undefined],
  ['daring', replay(-0.4, 0.6), undefined],
  ['daring', broken(), 'safe']
] as const)('under %s, case %#', (current, evidence, expected) => {
  expect(choice().judge(current, evidence)?.to).toBe(expected)
})

test('a gain is told from the side of what is switched to', () => {
  const back = choice().judge('daring', replay(0.25, 0.05))
  expect(back?.gain?.mean).toBeCloseTo(0.2)
  expect(back?.gain?.low).toBeCloseTo(1 - 1 / 1.2)
  expect(back?.gain?.high).toBeCloseTo(1 - 1 / 1.3)
})

test('after a return nothing is tried within a rest, which each return makes longer', () => {
  const tried = choice()
  const stretches = (): number => {
    tried.looked()
    let count = 1
    while (!tried.ended(REPLAY_EVERY, 'safe')) count++
    return count
  }
  expect(stretches()).toBe(1)
  const rests = Array.from({ length: 7 }, () => {
    tried.failed('it threw')
    return stretches()
  })
  expect(rests).toEqual([2, 4, 8, 16, 32, 64, 64])
})

test('a challenger that was switched to is looked at soon, and then less and less often, rest or not', () => {
  const tried = choice()
  tried.failed('it threw')
  tried.judge('safe', replay(-0.2))
  const looks = Array.from({ length: 8 }, () => {
    let count = 1
    while (!tried.ended(1, 'daring')) count++
    tried.looked()
    return count
  })
  expect(looks).toEqual([32, 64, 128, 256, 512, 1024, 1024, 1024])
})

test('it never goes both ways on one replay', () => {
  fc.assert(
    fc.property(fc.double({ min: -0.9, max: 5 }), fc.double({ min: 0, max: 1 }), (relative, half) => {
      const evidence = replay(relative, half)
      const there = choice().judge('safe', evidence)
      const back = choice().judge('daring', evidence)
      expect(there !== undefined && back !== undefined).toBe(false)
    })
  )
})
