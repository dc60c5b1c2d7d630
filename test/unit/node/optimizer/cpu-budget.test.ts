import { expect, test } from 'vitest'
import fc from 'fast-check'
import { createCpuBudget, threadCpuMs } from '../../../../node/optimizer/cpu-budget.ts'

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

test('loading is paid for before the first step', () => {
  let now = 400
  const budget = createCpuBudget(0.1, () => now)
  budget.charge(400)
  expect(budget.waitMs).toBe(3600)
  now += 3600
  expect(budget.waitMs).toBe(0)
  expect(budget.peakShare).toBe(0.04)
})

test('what cannot wait is counted, puts off steps while it fills a window, and is not paid for', () => {
  let now = 0
  const budget = createCpuBudget(0.1, () => now)
  budget.spend(() => {
    now += 100
  })
  now += 9_900
  budget.count(600)
  expect(budget.share).toBeCloseTo(0.07, 6)
  expect(budget.peakShare).toBeCloseTo(0.07, 6)
  expect(budget.waitMs).toBe(0)
  budget.count(600)
  // It leaves the window bit by bit: the next step, as long as the last one, has room when 300 ms of it have.
  expect(budget.waitMs).toBeGreaterThan(9_000)
  now += budget.waitMs
  budget.spend(() => {
    now += 100
  })
  expect(budget.waitMs).toBeLessThanOrEqual(900)
})

/** Training wants to step all the time, beside replays of so long every so often; returns when steps began. */
function besideReplays(replayMs: number, everyMs: number, untilMs: number): number[] {
  let now = 0
  const budget = createCpuBudget(0.1, () => now)
  const steps: number[] = []
  let replayAt = everyMs
  let stepAt = budget.ask()
  while (now < untilMs) {
    now = Math.max(now, Math.min(stepAt, replayAt))
    if (replayAt <= stepAt) {
      now += replayMs
      budget.count(replayMs)
      replayAt += everyMs
    } else if (budget.ask() === 0) {
      steps.push(now)
      budget.spend(() => {
        now += 50
      })
      stepAt = now + budget.ask()
    } else stepAt = now + budget.ask()
  }
  return steps
}

test('replays that go on put off each step by one window at most', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 500, max: 3_000 }),
      fc.integer({ min: 3_500, max: 12_000 }),
      (replayMs, everyMs) => {
        const steps = besideReplays(replayMs, everyMs, 300_000)
        // A step is due 450 ms after the last one; a replay that is under way is waited for.
        const gaps = steps.slice(1).map((at, index) => at - (steps[index] ?? 0))
        expect(Math.max(...gaps)).toBeLessThanOrEqual(50 + 450 + 10_000 + replayMs)
        expect(steps.at(-1)).toBeGreaterThan(280_000)
      }
    )
  )
})

test('a step that is asked for only after a long rest waits for a replay of just before', () => {
  let now = 0
  const budget = createCpuBudget(0.1, () => now)
  budget.spend(() => {
    now += 50
  })
  now += 3_600_000
  budget.count(2_000)
  const wait = budget.ask()
  expect(wait).toBeGreaterThan(8_000)
  now += wait
  expect(budget.ask()).toBe(0)
})

test('however many replays there are, steps alone stay within the share', () => {
  const steps = besideReplays(3_000, 3_500, 600_000)
  for (const from of steps)
    expect(steps.filter((at) => at >= from && at < from + 10_000).length * 50).toBeLessThanOrEqual(1_000)
})

test('what other threads do because of a step is paid for as well', () => {
  let now = 0
  const budget = createCpuBudget(0.5, () => now)
  budget.spend(() => {
    now += 100
  }, 2)
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
