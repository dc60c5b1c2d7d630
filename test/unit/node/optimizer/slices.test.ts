import { expect, test } from 'vitest'
import fc from 'fast-check'
import { createCpuBudget } from '../../../../node/optimizer/cpu-budget.ts'
import { MOST_MS, OtherWorkFailed, Slices } from '../../../../node/optimizer/slices.ts'

const SHARE = 0.1
const WINDOW_MS = 10_000

/** A thread in virtual time; training has as many steps to do as there are lengths. Windows are counted apart from the budget. */
function thread(steps: readonly number[] = []) {
  let now = 0
  const todo = [...steps]
  const used: { readonly from: number; readonly to: number }[] = []
  const alive: number[] = []
  const budget = createCpuBudget(SHARE, () => now)
  const compute = (ms: number): void => {
    used.push({ from: now, to: now + ms })
    now += ms
  }
  const training = {
    get waitMs() {
      return todo.length === 0 ? undefined : budget.waitMs
    },
    work: () =>
      budget.spend(() => {
        compute(todo.shift() ?? 0)
      })
  }
  const slices = new Slices({
    budget,
    now: () => now,
    cpuNow: () => used.reduce((sum, { from, to }) => sum + to - from, 0),
    block: (ms) => {
      now += ms
    },
    alive: () => alive.push(now),
    other: () => training
  })
  return {
    slices,
    compute,
    alive,
    now: () => now,
    stepsLeft: () => todo.length,
    /** The largest share of any window that ends with work. */
    peak: () =>
      Math.max(
        ...used.map(
          ({ to }) =>
            used.reduce(
              (sum, each) => sum + Math.max(0, Math.min(each.to, to) - Math.max(each.from, to - WINDOW_MS)),
              0
            ) / WINDOW_MS
        )
      )
  }
}

/** So much work, with a pause offered after each piece. */
function work({ slices, compute }: ReturnType<typeof thread>, pieces: readonly number[]): void {
  slices.run(() => {
    for (const ms of pieces) {
      compute(ms)
      slices.pace()
    }
  })
}

test('a replay that costs 1.3 s is spread over 13 s, and no ten seconds are above the share', () => {
  const bench = thread()
  work(bench, new Array<number>(650).fill(2))
  expect(bench.now()).toBeGreaterThanOrEqual(12_500)
  expect(bench.now()).toBeLessThan(15_000)
  expect(bench.peak()).toBeLessThanOrEqual(SHARE)
})

test('training that is due has its half meanwhile, and the replay ends within thrice its cost ÷ the share', () => {
  const bench = thread(new Array<number>(1000).fill(90))
  work(bench, new Array<number>(650).fill(2))
  expect(bench.now()).toBeLessThan(3 * 13_000)
  const trained = (1000 - bench.stepsLeft()) * 90
  expect(trained).toBeGreaterThan(1_100)
  expect(trained).toBeLessThan(1_500)
  expect(bench.peak()).toBeLessThanOrEqual(SHARE)
})

test('judgements and replays that follow each other starve no training, and stay within the share with it', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 3, maxLength: 6 }),
      fc.integer({ min: 20, max: 120 }),
      fc.integer({ min: 1, max: 6 }),
      (requests, stepMs, pieceMs) => {
        const bench = thread(new Array<number>(5000).fill(stepMs))
        let replayed = 0
        for (const pieces of requests) {
          work(bench, new Array<number>(pieces).fill(pieceMs))
          replayed += pieces * pieceMs
        }
        const trained = (5000 - bench.stepsLeft()) * stepMs
        expect(bench.now()).toBeLessThan((3 * replayed) / SHARE + WINDOW_MS)
        expect(Math.abs(trained - replayed)).toBeLessThanOrEqual(stepMs + 26)
        expect(bench.peak()).toBeLessThanOrEqual(SHARE + 1e-9)
      }
    ),
    { numRuns: 30 }
  )
})

test('a replay after a rest in which training worked waits for its room', () => {
  const bench = thread()
  bench.slices.run(() => {
    bench.compute(900)
  })
  const before = bench.now()
  work(bench, [5])
  expect(bench.now() - before).toBeGreaterThanOrEqual(8_100)
})

test('while it waits the thread says that it lives, at least once a second', () => {
  const bench = thread()
  work(bench, [15, 900, 15])
  const gaps = bench.alive.slice(1).map((at, index) => at - (bench.alive[index] ?? 0))
  expect(bench.now()).toBeGreaterThan(9_000)
  expect(Math.max(...gaps)).toBeLessThanOrEqual(1_000)
})

test('a part that does not end has failed, what it took is paid for once, and the next part has a bound of its own', () => {
  const bench = thread()
  const { slices, compute } = bench
  let done = 0
  slices.run(() => {
    expect(() => {
      for (;;) {
        compute(50)
        done += 50
        slices.pace()
      }
    }).toThrow(`got no end within ${MOST_MS} ms`)
    slices.part()
    work(bench, [50])
  })
  expect(done).toBe(MOST_MS + 50)
  expect(bench.now()).toBeLessThan(((MOST_MS + 100) / SHARE) * 1.3)
  expect(bench.now()).toBeGreaterThan(MOST_MS / SHARE)
})

test('an error in training is not taken for one of the work, whoever catches it there', () => {
  let now = 0
  const broken = new Error('broken')
  const slices = new Slices({
    budget: createCpuBudget(SHARE, () => now),
    now: () => now,
    cpuNow: () => now,
    block: (ms) => {
      now += ms
    },
    alive: () => undefined,
    other: () => ({
      waitMs: 0,
      work: () => {
        throw broken
      }
    })
  })
  let caught = 0
  const attempt = (): string =>
    slices.run(() => {
      for (let contender = 0; contender < 2; contender++) {
        try {
          for (let piece = 0; piece < 10; piece++) {
            now += 15
            slices.pace()
          }
        } catch {
          caught++
        }
      }
      return 'an answer'
    })
  expect(attempt).toThrow(OtherWorkFailed)
  expect(attempt).toThrow(expect.objectContaining({ cause: broken }) as Error)
  expect(caught).toBe(2)
})
