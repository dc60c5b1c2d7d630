import { expect, test } from 'vitest'
import fc from 'fast-check'
import { Survival } from '../../../../optimizer/guard/survival.ts'

/** What becomes of a hundred alike, from the longest to the shortest. */
function hundred(survival: Survival, age = 0): number[] {
  return Array.from({ length: 100 }, (_, at) => survival.lasts(age, (at + 0.5) / 100))
}
const count = (values: readonly number[], time: number): number =>
  values.filter((value) => value === time).length

test('where all are over, each time comes as often as it was seen', () => {
  const drawn = hundred(new Survival([1, 2, 2, 5], []))
  expect([1, 2, 5].map((time) => count(drawn, time))).toEqual([25, 50, 25])
})

test('what has lasted a while lasts longer than that, as those of its like did that lasted longer', () => {
  const drawn = hundred(new Survival([1, 2, 3, 4, 8], []), 2)
  expect([3, 4, 8].map((time) => count(drawn, time))).toEqual([33, 34, 33])
})

test('the share of what goes on is redistributed to all that lasted longer', () => {
  // Of 1, 2, 2+, 3, 4 the third will last 3 or 4: each counts 1/5 + 1/10.
  const drawn = hundred(new Survival([1, 2, 3, 4], [2]))
  expect([1, 2, 3, 4].map((time) => count(drawn, time))).toEqual([20, 20, 30, 30])
})

test('beyond all that was seen the share that lasts longer falls as 1 ÷ time, up to sixteen times', () => {
  const survival = new Survival([1, 2], [10])
  const drawn = hundred(survival)
  expect([count(drawn, 1), count(drawn, 2)]).toEqual([33, 34])
  const beyond = drawn.filter((time) => time > 2)
  expect(beyond.every((time) => time > 10 && time <= 160)).toBe(true)
  // A third lasts longer than 2, and of these (1/2 − 1/16) ÷ (1 − 1/16) = 7/15 longer than twice 10.
  expect(survival.lasts(0, 7 / 15 / 3)).toBeCloseTo(20)
  expect(survival.lasts(40, 0.999)).toBeCloseTo(40, 0)
  expect(survival.lasts(40, 0)).toBe(640)
  // As much when nothing at all has lasted as long.
  expect(new Survival([1, 2], []).lasts(40, 0)).toBe(640)
})

test('nothing that has begun ends before its age, and a lower share lasts no shorter', () => {
  const times = fc.array(fc.integer({ min: 1, max: 50 }), { maxLength: 8 })
  fc.assert(
    fc.property(times, times, fc.integer({ min: 1, max: 60 }), (over, open, age) => {
      const survival = new Survival(over, open)
      const drawn = hundred(survival, age)
      for (const time of drawn) expect(time).toBeGreaterThan(age)
      expect(drawn).toEqual([...drawn].sort((a, b) => b - a))
    })
  )
})
