import { expect, test } from 'vitest'
import fc from 'fast-check'
import { createRng } from '../../../../base/prng.ts'
import type { PairedDifference } from '../../../../optimizer/lab/statistics.ts'
import { judge, LOOKS, nextLook, type Evidence } from '../../../../optimizer/guard/promotion.ts'
import { boundedLoss, lossOf, MAX_LOSS } from '../../../../optimizer/guard/score.ts'

/** Losses around a level, the same luck for both sides. */
function losses(level: number, count = 512, seed = 1): Float64Array {
  const rng = createRng(seed)
  return Float64Array.from({ length: count }, () => boundedLoss(level + rng.nextFloat() - 0.5))
}

const difference = (relative: number, half = 0.001): PairedDifference => ({
  difference: relative,
  relative,
  low: relative - half,
  high: relative + half,
  relativeInterval: { low: relative - half, high: relative + half }
})

const replayOf = (relative: number, half?: number, isMostlyKnown = true): Evidence['replay'] => ({
  jct: difference(relative, half),
  slowdown: difference(relative, half),
  isMostlyKnown
})

function verdictOf(challenger: Float64Array, replay: Evidence['replay'], last = false): string {
  return judge({ incumbent: losses(2), challenger, replay }, last).verdict
}

test.each([
  ['predicts better and does no harm', losses(1.8), replayOf(0), 'promote'],
  ['predicts better where there is no history', losses(1.8), undefined, 'promote'],
  ['schedules better and predicts alike', losses(2), replayOf(-0.05), 'promote'],
  ['predicts better by too little', losses(1.98), replayOf(0), 'wait'],
  ['schedules better by too little', losses(2), replayOf(-0.015), 'wait'],
  ['schedules better by luck', losses(2), replayOf(-0.05, 0.04), 'wait'],
  ['schedules what is mostly drawn better', losses(2), replayOf(-0.05, 0.001, false), 'wait'],
  ['predicts better beside what is mostly drawn', losses(1.8), replayOf(-0.05, 0.001, false), 'promote'],
  ['does harm to what is mostly drawn', losses(1.5), replayOf(0.01, 0.001, false), 'reject'],
  ['predicts better and does harm', losses(1.5), replayOf(0.01), 'reject'],
  ['predicts better and does a little harm for sure', losses(1.5), replayOf(0.004), 'reject'],
  ['schedules better and predicts worse', losses(2.4), replayOf(-0.2), 'reject'],
  ['fails in the replay', losses(1), { failed: 'NaN' }, 'reject']
] as const)('a model that %s', (_, challenger, replay, expected) => {
  expect(verdictOf(challenger, replay)).toBe(expected)
})

test('what has not won by the last look is rejected', () => {
  expect(verdictOf(losses(1.98), replayOf(0), true)).toBe('reject')
  expect(nextLook(0)).toBe(LOOKS[0])
  expect(nextLook(LOOKS.at(-1)!)).toBeUndefined()
})

test('a model that is only lucky is promoted at few looks', () => {
  let promoted = 0
  for (let seed = 1; seed <= 30; seed++) {
    const noise = losses(2, 512, seed)
    const other = losses(2, 512, seed + 1000)
    const verdicts = LOOKS.map((look) =>
      judge({ incumbent: noise.slice(0, look), challenger: other.slice(0, look), replay: replayOf(0) }, false)
    )
    if (verdicts.some(({ verdict }) => verdict === 'promote')) promoted++
  }
  expect(promoted).toBeLessThanOrEqual(2)
})

test.each([
  ['NaN everywhere', () => NaN],
  ['a constant that is wrong', () => MAX_LOSS],
  ['infinity', () => Infinity],
  ['the reverse of what is likely', (at: number) => 6 - (losses(2)[at] ?? 0)]
])('a model that answers %s is rejected', (_, loss) => {
  const challenger = Float64Array.from({ length: 512 }, (_value, at) => boundedLoss(loss(at)))
  expect(verdictOf(challenger, replayOf(0))).toBe('reject')
})

test('a loss is finite and within bounds whatever the probability', () => {
  fc.assert(
    fc.property(fc.double(), (value) => {
      for (const loss of [lossOf(value), boundedLoss(value)]) {
        expect(loss).toBeGreaterThanOrEqual(0)
        expect(loss).toBeLessThanOrEqual(MAX_LOSS)
      }
    })
  )
  expect(lossOf(1)).toBe(0)
  expect(lossOf(NaN)).toBe(MAX_LOSS)
})
