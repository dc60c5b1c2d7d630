import { expect, test } from 'vitest'
import fc from 'fast-check'
import { createCpuBudget, dependable, threadCpuMs } from '../../../../node/optimizer/cpu-budget.ts'

/** Runs steps of these lengths one after another, each as soon as the budget lets it, and returns when each ended. */
function run(share: number, costs: readonly number[]) {
  let now = 0
  const budget = createCpuBudget(share, () => now)
  const ends = costs.map((cost) => {
    now += budget.waitMs
    budget.spend(() => {
      now += cost
    })
    return now
  })
  now += budget.waitMs
  return { budget, ends, now }
}

const shares = fc.double({ min: 0.02, max: 1, noNaN: true })

test('whatever steps cost, work stays within its share', () => {
  fc.assert(
    fc.property(
      shares,
      fc.array(fc.integer({ min: 0, max: 90 }), { minLength: 1, maxLength: 200 }),
      (share, costs) => {
        const { budget, now } = run(share, costs)
        const worked = costs.reduce((sum, cost) => sum + cost, 0)
        expect(worked).toBeLessThanOrEqual(share * now + 1e-6)
        if (now > 10_000 && now < 60_000) expect(budget.share).toBeCloseTo(worked / now, 6)
      }
    )
  )
})

test('the share holds over any ten seconds, from the first on, and the largest is known', () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0.05, max: 0.5, noNaN: true }),
      // Steps of one length: what a step costs is foreseen by the last one.
      fc.integer({ min: 1, max: 400 }),
      (share, cost) => {
        const costs = new Array<number>(80).fill(cost)
        const { budget, ends } = run(share, costs)
        let most = 0
        for (const end of ends) {
          const used = ends.reduce(
            (sum, at) => sum + Math.max(0, Math.min(cost, at - (end - 10_000))) * (at <= end ? 1 : 0),
            0
          )
          most = Math.max(most, used)
        }
        expect(budget.peakShare).toBeCloseTo(most / 10_000, 6)
        expect(most).toBeLessThanOrEqual(Math.max(cost, share * 10_000) + 1e-6)
      }
    )
  )
})

test('the share holds over any ten seconds where steps and short pieces alternate, and may be a fourth longer than before', () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0.05, max: 0.5, noNaN: true }),
      fc.array(fc.record({ isStep: fc.boolean(), longer: fc.double({ min: 1, max: 1.25, noNaN: true }) }), {
        minLength: 50,
        maxLength: 150
      }),
      (share, pieces) => {
        let now = 0
        const budget = createCpuBudget(share, () => now)
        for (const { isStep, longer } of pieces) {
          now += budget.waitMs
          budget.spend(() => {
            now += (isStep ? 100 : 20) * longer
          })
        }
        expect(budget.peakShare).toBeLessThanOrEqual(share + 1e-9)
      }
    )
  )
})

test('a piece is foreseen by the longest of the last minute, and the first one to fill half of a window', () => {
  let now = 0
  const budget = createCpuBudget(0.1, () => now)
  budget.charge(600)
  // The rest in proportion is over after 5,400 ms; 100 ms of it have left the window 400 ms before another 500 would end.
  expect(budget.waitMs).toBe(9_000)
  now += 9_000
  budget.spent(80)
  now += 100
  budget.spent(4)
  now += 20_000
  budget.charge(950)
  now += 8_600
  // Room for 80 ms and a fourth of it comes after 9,000: what was loaded is in the window, and says nothing of what comes.
  expect(budget.waitMs).toBe(400)
})

test('loading is paid for before the first step', () => {
  let now = 400
  const budget = createCpuBudget(0.1, () => now)
  budget.charge(400)
  expect(budget.waitMs).toBe(3600)
  now += 3600
  expect(budget.waitMs).toBe(0)
  expect(budget.peakShare).toBe(0.04)
})

test('what other threads do because of a step is paid for as well', () => {
  let now = 0
  const budget = createCpuBudget(0.5, () => now)
  const paid = budget.spend(() => {
    now += 100
  }, 2)
  expect(paid).toBe(200)
  expect(budget.waitMs).toBe(200)
})

test('what is spent is forgotten after a minute, and one slow step does not stop work for longer than that', () => {
  let now = 0
  const budget = createCpuBudget(0.1, () => now)
  budget.spend(() => {
    now += 30_000
  })
  expect(budget.waitMs).toBe(60_000)
  expect(budget.share).toBe(1)
  now += 60_001
  expect(budget.share).toBe(0)
  expect(budget.peakShare).toBe(1)
})

test('the CPU time of a thread is measured where the system tells it', () => {
  const cpuMs = threadCpuMs()
  if (cpuMs === undefined) return
  const before = cpuMs()
  let sum = 0
  while (cpuMs() - before < 20) for (let at = 0; at < 10_000; at++) sum += Math.sqrt(at)
  expect(sum).toBeGreaterThan(0)
  expect(cpuMs() - before).toBeLessThan(2_000)
})

test('a step that throws is paid for, and its error is seen', () => {
  let now = 0
  const budget = createCpuBudget(0.5, () => now)
  expect(() => {
    budget.spend(() => {
      now += 10
      throw new Error('broken')
    })
  }).toThrow('broken')
  expect(budget.waitMs).toBe(10)
})

test('a CPU clock that fails for a while is replaced by elapsed time, goes on, and never runs backwards', () => {
  let now = 0
  let cpu = 5
  let works = true
  const clock = dependable(
    () => (works ? cpu : NaN),
    () => now
  )
  const after = (elapsed: number, used: number): number => {
    now += elapsed
    cpu += used
    return clock()
  }
  expect(after(10, 4)).toBe(9)
  works = false
  expect(after(10, 1)).toBe(19)
  expect(after(10, 1)).toBe(29)
  works = true
  expect(after(10, 2)).toBe(29)
  expect(after(10, 3)).toBe(32)
})

test('a budget whose clock fails once lets work go on', () => {
  let now = 0
  const budget = createCpuBudget(0.1, () => now)
  budget.spent(NaN)
  budget.charge(Infinity)
  expect(budget.waitMs).toBeLessThan(10_000)
  budget.spend(() => {
    now += 10
  })
  expect(budget.share).toBeCloseTo(0.001)
  expect(budget.peakShare).toBeCloseTo(0.001)
})

test('waits in proportion do not add up to more than a minute', () => {
  const budget = createCpuBudget(0.001, () => 0)
  for (let piece = 0; piece < 10; piece++) budget.charge(2000)
  expect(budget.waitMs).toBeLessThanOrEqual(60_000)
})
