import { expect, test } from 'vitest'
import fc from 'fast-check'
import { TimeBudget } from '../../../../node/optimizer/time-budget.ts'

test('work takes no more than its share, but for the burst and the last piece', () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0.01, max: 0.5, noNaN: true }),
      fc.array(fc.record({ idle: fc.nat(20), cost: fc.nat(5) }), { minLength: 1, maxLength: 300 }),
      (share, pieces) => {
        let now = 0
        let worked = 0
        const budget = new TimeBudget(share, 10, () => now)
        for (const { idle, cost } of pieces) {
          now += idle
          budget.run(() => {
            now += cost
            worked += cost
          })
          expect(worked).toBeLessThanOrEqual(10 + share * now + 5 + 1e-6)
        }
      }
    )
  )
})

test('what is skipped is not done later, and time brings the budget back', () => {
  let now = 0
  let done = 0
  const budget = new TimeBudget(0.1, 10, () => now)
  const work = (): void => {
    done++
    now += 20
  }
  expect(budget.run(work)).toBe(true)
  expect(budget.run(work)).toBe(false)
  now += 200
  expect(budget.run(work)).toBe(true)
  expect(done).toBe(2)
})
