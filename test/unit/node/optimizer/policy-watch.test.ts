import { expect, test } from 'vitest'
import { PolicyWatch, type LoggedSwitch, type PolicyInUse } from '../../../../node/optimizer/policy-watch.ts'
import { REPLAY_EVERY } from '../../../../optimizer/guard/policy-choice.ts'
import type { PolicyMode } from '../../../../scheduler/types.ts'
import type { ReplayAnswer } from '../../../../node/optimizer/protocol.ts'

/** A replay in which the other policy changes completion times by so much, give or take 1 %. */
function answer(relative: number): ReplayAnswer {
  const interval = { low: relative - 0.01, high: relative + 0.01 }
  const jct = { difference: relative, relative, ...interval, relativeInterval: interval }
  const figures = { meanJctMs: 1, p95JctMs: 1, p99JctMs: 1, boundedSlowdown: 1, jct, slowdown: jct }
  const results = [
    { name: 'learned', ...figures },
    { name: 'least-loaded', ...figures }
  ]
  return {
    base: 'learned',
    units: { tasks: 9, dags: 0 },
    tasks: 9,
    drawn: 0,
    fromAt: 0,
    toAt: 1,
    load: 1,
    leftOut: 0,
    unended: 0,
    lastArrivalAt: 0,
    recorded: undefined,
    failures: [],
    results
  }
}

const inUse = (policy: string, policyMode: PolicyMode, policyChoice = 7): PolicyInUse => ({
  ...{ policy, policyMode, policyChoice }
})
const NOTHING_PAST = { policy: 'least-loaded', mode: 'auto', returns: 0, ended: 0 } as const
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('an alarm stands while the default policy would be faster for sure', async () => {
  const answers = [answer(-0.2), answer(-0.055), undefined, answer(-0.2)]
  const asked: string[] = []
  const watch = new PolicyWatch({
    change: () => Promise.reject(new Error('not asked for')),
    replay: ({ policies: [base, other] }) => {
      asked.push(`${base} ${other}`)
      return Promise.resolve(answers[asked.length - 1])
    }
  })
  const alarms: boolean[] = []
  for (let round = 0; round < 4; round++) {
    watch.observe(REPLAY_EVERY - 1, inUse('learned', 'fixed'))
    await settled()
    expect(asked).toHaveLength(round)
    watch.observe(1, inUse('learned', 'fixed'))
    await settled()
    alarms.push(watch.alarm !== undefined)
  }
  expect(alarms).toEqual([true, false, false, true])
  expect(new Set(asked)).toEqual(new Set(['learned least-loaded']))
  expect(watch.alarm).toContain('20.0 % less under least-loaded')
  watch.observe(0, inUse('easy', 'fixed'))
  expect(watch.alarm).toBeUndefined()
})

test('the default is not compared with itself, and a replay that fails says nothing', async () => {
  let asked = 0
  const watch = new PolicyWatch({
    change: () => Promise.reject(new Error('not asked for')),
    replay: () => {
      asked++
      return Promise.reject(new Error('the thread is gone'))
    }
  })
  watch.observe(10 * REPLAY_EVERY, inUse('least-loaded', 'fixed'))
  expect(asked).toBe(0)
  watch.observe(REPLAY_EVERY, inUse('learned', 'fixed'))
  watch.observe(REPLAY_EVERY, inUse('learned', 'fixed'))
  expect(asked).toBe(1)
  await settled()
  expect(watch.alarm).toBeUndefined()
  watch.observe(1, inUse('learned', 'fixed'))
  expect(asked).toBe(2)
})

/** A reigning watch whose changes take effect at once. */
class Bench {
  policy = 'least-loaded'
  relative = 0
  /** Whether the log takes changes. */
  takes = true
  readonly asked: string[] = []
  /** For each replay, whether it also held what has not ended. */
  readonly held: boolean[] = []
  readonly changes: LoggedSwitch[] = []
  readonly watch = new PolicyWatch({
    replay: ({ policies: [base, other], holdsUnended }) => {
      this.held.push(holdsUnended)
      this.asked.push(`${base} ${other}`)
      return Promise.resolve(answer(this.relative))
    },
    change: (change) => {
      this.changes.push(change)
      if (this.takes) this.policy = change.to
      return Promise.resolve(this.takes)
    }
  })

  constructor() {
    this.watch.reign(NOTHING_PAST)
  }

  /** So many stretches end with the challenger changing completion times by this much. */
  async end(stretches: number, relative: number): Promise<void> {
    this.relative = relative
    for (let left = stretches; left > 0; left--) {
      this.watch.observe(REPLAY_EVERY, inUse(this.policy, 'auto'))
      await settled()
    }
  }
}

test('in mode auto the policy follows the replays, with a rest after a return', async () => {
  const bench = new Bench()
  await bench.end(2, -0.025)
  expect(bench.changes).toEqual([])
  await bench.end(1, -0.2)
  expect(bench.policy).toBe('learned')
  expect(bench.changes[0]?.reason).toContain('20.0 % [19.0 %, 21.0 %] less than under least-loaded')
  await bench.end(1, 0.06)
  expect(bench.policy).toBe('learned')
  await bench.end(1, 0.5)
  expect(bench.policy).toBe('least-loaded')
  await bench.end(1, -0.2)
  expect(bench.policy).toBe('least-loaded')
  expect(bench.changes).toHaveLength(2)
  expect(bench.watch.changes).toBe(2)
  expect(new Set(bench.asked)).toEqual(new Set(['least-loaded learned']))
  // Three times to go over, and at each look whether to leave what has ended says so alone.
  expect(bench.held.slice(0, 5)).toEqual([true, true, true, false, false])
})

test('in mode auto a policy that fails is taken out of the log; elsewhere that is for operators', () => {
  const bench = new Bench()
  bench.watch.failed('it threw', inUse('learned', 'fixed'))
  bench.watch.failed('it threw', inUse('easy', 'auto'))
  expect(bench.changes).toEqual([])
  bench.watch.failed('it threw', inUse('learned', 'auto'))
  const change = { to: 'least-loaded', reason: 'it threw', gain: undefined, returns: 1, choice: 7 }
  expect(bench.changes).toEqual([change])
})

test('a replay that a change of mode has overtaken changes nothing', async () => {
  const bench = new Bench()
  bench.relative = -0.2
  bench.watch.observe(REPLAY_EVERY, inUse('least-loaded', 'auto'))
  bench.watch.observe(0, inUse('least-loaded', 'fixed'))
  await settled()
  expect(bench.asked).toHaveLength(1)
  expect(bench.changes).toEqual([])
})

test('a new leader keeps the rest that the last one took after a return', async () => {
  /** Stretches until a new leader looks, when the challenger was given up so often, with so many tasks ended since. */
  const stretchesAfter = async (returns: number, ended: number): Promise<number> => {
    const bench = new Bench()
    bench.watch.reign({ policy: 'least-loaded', mode: 'auto', returns, ended })
    let stretches = 0
    while (bench.asked.length === 0 && stretches < 50) {
      await bench.end(1, 0)
      stretches++
    }
    return stretches
  }
  expect(await stretchesAfter(0, 0)).toBe(1)
  expect(await stretchesAfter(1, 0)).toBe(2)
  expect(await stretchesAfter(1, REPLAY_EVERY)).toBe(1)
  expect(await stretchesAfter(3, 0)).toBe(8)
  expect(await stretchesAfter(3, 5 * REPLAY_EVERY)).toBe(3)
})

test('returns are counted across leaders, and an operator makes it forget them', async () => {
  const bench = new Bench()
  bench.policy = 'learned'
  bench.watch.reign({ policy: 'learned', mode: 'auto', returns: 2, ended: 0 })
  await bench.end(1, 0.5)
  expect(bench.changes.map(({ to, returns }) => [to, returns])).toEqual([['least-loaded', 3]])
  bench.watch.reign({ policy: 'learned', mode: 'fixed', returns: 0, ended: 0 })
  bench.policy = 'learned'
  await bench.end(1, 0.5)
  expect(bench.changes.at(-1)?.returns).toBe(1)
})

test('a new leader looks soon at a challenger that it finds in use', async () => {
  const bench = new Bench()
  bench.policy = 'learned'
  bench.watch.reign({ policy: 'learned', mode: 'auto', returns: 0, ended: 0 })
  bench.relative = 0.5
  for (let left = 32; left > 0; left--) bench.watch.observe(1, inUse(bench.policy, 'auto'))
  await settled()
  expect(bench.policy).toBe('least-loaded')
})

test('one bad stretch is one return, and an operator who leaves the choice to it anew makes it forget', async () => {
  const bench = new Bench()
  bench.policy = 'learned'
  bench.watch.reign({ policy: 'learned', mode: 'auto', returns: 0, ended: 0 })
  for (let fault = 0; fault < 5; fault++) bench.watch.failed('it threw', inUse('learned', 'auto'))
  await settled()
  expect(bench.changes.map(({ returns }) => returns)).toEqual([1])
  bench.watch.chosen()
  bench.watch.failed('it threw', inUse('learned', 'auto'))
  expect(bench.changes.map(({ returns }) => returns)).toEqual([1, 1])
})

/** A reigning watch whose changes are answered by the test. */
function slow(replay: () => Promise<ReplayAnswer | undefined>) {
  const changes: LoggedSwitch[] = []
  const answers: ((taken: boolean) => void)[] = []
  const watch = new PolicyWatch({
    replay,
    change: (change) =>
      new Promise((resolve) => {
        changes.push(change)
        answers.push(resolve)
      })
  })
  watch.reign(NOTHING_PAST)
  return { watch, changes, answers }
}

test('a change names the choice that it rests on, and one of before does not hold up one of after it', async () => {
  const { watch, changes, answers } = slow(() => Promise.resolve(answer(-0.2)))
  const choices = (): number[] => changes.map(({ choice }) => choice)
  watch.failed('it threw', inUse('learned', 'auto', 1))
  // An operator leaves the choice to it anew while that is on its way, and the policy fails again.
  watch.chosen()
  watch.failed('it threw', inUse('learned', 'auto', 2))
  expect(choices()).toEqual([1, 2])
  answers[0]?.(true)
  await settled()
  watch.failed('it threw', inUse('learned', 'auto', 2))
  expect(choices()).toEqual([1, 2])
  answers[1]?.(true)
  await settled()
  watch.observe(3 * REPLAY_EVERY, inUse('least-loaded', 'auto', 3))
  await settled()
  expect(choices()).toEqual([1, 2, 3])
})

test.each([
  ['the log says that it took the change', true],
  ['the answer is lost', false]
])('a challenger that fails as it is switched to is taken back once %s', async (_, taken) => {
  const { watch, changes, answers } = slow(() => Promise.resolve(answer(-0.2)))
  watch.observe(REPLAY_EVERY, inUse('least-loaded', 'auto'))
  await settled()
  expect(changes.map(({ to }) => to)).toEqual(['learned'])
  watch.failed('it is unknown', inUse('learned', 'auto'))
  await settled()
  expect(changes).toHaveLength(1)
  answers[0]?.(taken)
  await settled()
  const back = { to: 'least-loaded', reason: 'it is unknown', gain: undefined, returns: 1, choice: 7 }
  expect(changes.slice(1)).toEqual([back])
  answers[1]?.(true)
  await settled()
  expect(changes).toHaveLength(2)
})

test.each(['an operator', 'another reign'])(
  'a failure of before %s is not acted on when the change is answered',
  async (by) => {
    const { watch, changes, answers } = slow(() => Promise.resolve(answer(-0.2)))
    watch.observe(REPLAY_EVERY, inUse('least-loaded', 'auto'))
    await settled()
    watch.failed('it threw', inUse('learned', 'auto'))
    if (by === 'an operator') watch.chosen()
    else watch.reign({ ...NOTHING_PAST, policy: 'learned' })
    answers[0]?.(true)
    await settled()
    expect(changes).toHaveLength(1)
  }
)

test('a challenger that fails before its reign is told of is taken back then, as one more return', async () => {
  const bench = new Bench()
  bench.watch.reign(undefined)
  bench.policy = 'learned'
  bench.watch.failed('it is unknown', inUse('learned', 'auto'))
  expect(bench.changes).toEqual([])
  bench.watch.reign({ policy: 'learned', mode: 'auto', returns: 2, ended: 0 })
  expect(bench.changes.map(({ to, returns }) => [to, returns])).toEqual([['least-loaded', 3]])
  await settled()
  // It rests, though this leader has not looked at the challenger yet.
  bench.relative = -0.2
  for (let left = 32; left > 0; left--) bench.watch.observe(1, inUse(bench.policy, 'auto'))
  await settled()
  expect(bench.asked).toEqual([])
  bench.watch.reign(undefined)
  bench.watch.reign({ policy: 'learned', mode: 'auto', returns: 3, ended: 0 })
  expect(bench.changes).toHaveLength(1)
})

test('a return that the log did not take is none: neither the number nor the rest grows', async () => {
  const bench = new Bench()
  bench.policy = 'learned'
  bench.takes = false
  for (let left = 3; left > 0; left--) {
    bench.watch.failed('it threw', inUse('learned', 'auto'))
    await settled()
  }
  bench.takes = true
  bench.watch.failed('it threw', inUse('learned', 'auto'))
  await settled()
  expect(bench.changes.map(({ returns }) => returns)).toEqual([1, 1, 1, 1])
  await bench.end(1, -0.2)
  expect(bench.asked).toHaveLength(0)
  await bench.end(1, -0.2)
  expect(bench.asked).toHaveLength(1)
  expect(bench.changes.at(-1)).toMatchObject({ to: 'learned', returns: 1 })
})

test.each(['an operator', 'another reign'])(
  'a look that %s has overtaken holds up nothing and changes nothing',
  async (by) => {
    const replays: ((found: ReplayAnswer | undefined) => void)[] = []
    const { watch, changes } = slow(() => new Promise((resolve) => replays.push(resolve)))
    watch.observe(REPLAY_EVERY, inUse('least-loaded', 'auto', 1))
    if (by === 'an operator') watch.chosen()
    else watch.reign(NOTHING_PAST)
    watch.observe(REPLAY_EVERY, inUse('least-loaded', 'auto', 2))
    expect(replays).toHaveLength(2)
    replays[0]?.(answer(-0.2))
    await settled()
    expect(changes).toEqual([])
    // The end of the first look does not make room for a third.
    watch.observe(REPLAY_EVERY, inUse('least-loaded', 'auto', 2))
    expect(replays).toHaveLength(2)
    replays[1]?.(answer(-0.2))
    await settled()
    expect(changes.map(({ choice }) => choice)).toEqual([2])
  }
)

test('an overtaken look that fails leaves the alarm of the next one', async () => {
  const ends: { found: (found: ReplayAnswer) => void; failed: (error: Error) => void }[] = []
  const { watch } = slow(() => new Promise((found, failed) => ends.push({ found, failed })))
  watch.observe(REPLAY_EVERY, inUse('learned', 'fixed'))
  watch.chosen()
  watch.observe(REPLAY_EVERY, inUse('learned', 'fixed'))
  ends[1]?.found(answer(-0.2))
  await settled()
  ends[0]?.failed(new Error('given up'))
  await settled()
  expect(watch.alarm).toBeDefined()
})

test('a leader that returns hears of failures while a change of its last reign is on its way', async () => {
  const { watch, changes, answers } = slow(() => Promise.resolve(undefined))
  watch.failed('it threw', inUse('learned', 'auto'))
  watch.reign(undefined)
  watch.reign({ ...NOTHING_PAST, policy: 'learned', returns: 1 })
  watch.failed('it threw', inUse('learned', 'auto'))
  expect(changes.map(({ returns }) => returns)).toEqual([1, 2])
  // The answer to the first says nothing of the second.
  answers[0]?.(true)
  await settled()
  watch.failed('it threw', inUse('learned', 'auto'))
  expect(changes).toHaveLength(2)
})
