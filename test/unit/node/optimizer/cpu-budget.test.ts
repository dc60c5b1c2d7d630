import { expect, test } from 'vitest'
import fc from 'fast-check'
import { createCpuBudget } from '../../../../node/optimizer/cpu-budget.ts'

test('whatever steps cost, work stays within its share', () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0.01, max: 1, noNaN: true }),
      fc.array(fc.integer({ min: 0, max: 90 }), { minLength: 1, maxLength: 200 }),
      (share, costs) => {
        let now = 0
        let worked = 0
        const budget = createCpuBudget(share, () => now)
        for (const cost of costs) {
          const waitMs = budget.spend(() => {
            now += cost
            worked += cost
          })
          now += waitMs
        }
        expect(worked).toBeLessThanOrEqual(share * now + 1e-6)
        if (now > 0 && now < 60_000) expect(budget.share).toBeCloseTo(worked / now, 6)
      }
    )
  )
})

test('what is spent is forgotten after a minute, and one slow step does not stop work for longer than seconds', () => {
  let now = 0
  const budget = createCpuBudget(0.1, () => now)
  const waitMs = budget.spend(() => {
    now += 30_000
  })
  expect(waitMs).toBe(10_000)
  expect(budget.share).toBe(1)
  now += 60_001
  expect(budget.share).toBe(0)
})

test('a step that throws is paid for, and its error is seen', () => {
  let now = 0
  const budget = createCpuBudget(0.5, () => now)
  expect(() =>
    budget.spend(() => {
      now += 10
      throw new Error('broken')
    })
  ).toThrow('broken')
  now += 10
  expect(budget.share).toBe(0.5)
})
