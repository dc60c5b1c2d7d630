/** What estimators keep of attempts is what one would count anew each time, and is dropped with them. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { taskId } from '../../../../base/ids.ts'
import { createRng } from '../../../../base/prng.ts'
import { binOf } from '../../../../optimizer/estimator/bins.ts'
import { Conformal } from '../../../../optimizer/estimator/conformal.ts'
import type { Maker } from '../../../../optimizer/estimator/conformal.ts'
import { logit } from '../../../../optimizer/estimator/levels.ts'
import { MOST_COUNTED, RunningSiblings } from '../../../../optimizer/estimator/running-siblings.ts'

const CLASSES = 3
const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ type: fc.constant('begin'), of: fc.nat(CLASSES - 1), ms: fc.nat(4000) })
  },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('end'), of: fc.nat(40), ms: fc.nat(4000) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('again'), of: fc.nat(40), ms: fc.nat(4000) }) }
)

interface Attempt {
  readonly id: number
  readonly key: number
  readonly since: number
  readonly completions: number
}

/** The class's oldest attempts by bins of their ages, as count, age of the oldest, and weight. */
function naiveGroups(attempts: readonly Attempt[], key: number, now: number, completions: number): unknown[] {
  const own = attempts.filter((attempt) => attempt.key === key)
  const counted = own.slice(0, MOST_COUNTED)
  const bins = [...new Set(counted.map(({ since }) => binOf(now - since)))]
  return bins.map((bin) => {
    const group = counted.filter(({ since }) => binOf(now - since) === bin)
    const [oldest] = group
    const uncounted = bin === bins.at(-1) ? own.length - counted.length : 0
    const alike = group.length + uncounted
    const ended = Math.max(0, completions - oldest!.completions)
    // One completion for each sibling and ten more tell nothing; what is beyond counts against them.
    const weight = ended === 0 ? group.length : group.length * Math.min(1, (10 * alike) / ended)
    return { ageMs: now - oldest!.since, bin, count: group.length, weight }
  })
}

test('siblings that run are grouped as one would group all that runs anew', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120, size: 'max' }), (steps) => {
      const running = new RunningSiblings()
      const attempts: Attempt[] = []
      const ended = [0, 0, 0]
      let now = 0
      let count = 0
      for (const { type, of, ms } of steps) {
        now += ms
        const at = of % Math.max(1, attempts.length)
        if (type === 'begin') {
          const attempt = { id: ++count, key: of, since: now, completions: ended[of]! }
          attempts.push(attempt)
          running.begin(taskId(count), of, now, 1000, ended[of]!)
        } else if (type === 'end') {
          const [attempt] = attempts.splice(at, 1)
          if (attempt === undefined) continue
          running.end(taskId(attempt.id))
          ended[attempt.key]! += 7
        } else if (attempts[at] !== undefined) {
          // A copy of an attempt that runs says nothing more.
          running.begin(taskId(attempts[at].id), attempts[at].key, now, 1, 0)
        }
        for (let key = 0; key < CLASSES; key++) {
          const groups = running.groups(key, now, ended[key]!)
          const seen = groups.map(({ ageMs, bin, count, weight }) => ({ ageMs, bin, count, weight }))
          expect(seen).toEqual(naiveGroups(attempts, key, now, ended[key]!))
          expect(running.count(key)).toBe(attempts.filter((attempt) => attempt.key === key).length)
        }
        expect(running.size).toBe(attempts.length)
      }
    })
  )
})

const DAY = 86_400_000

test('of attempts that are stopped long before they are expected to end nothing is kept', () => {
  const running = new RunningSiblings()
  const levels = new Conformal()
  for (let id = 1; id <= 20_000; id++) {
    running.begin(taskId(id), 1, id, DAY, 0)
    levels.promise(taskId(id), MAKER, DAY, 2 * DAY)
    levels.begin(taskId(id), id)
    if (id <= 3) continue
    running.end(taskId(id))
    levels.end(taskId(id), 1, true)
  }
  expect(running.kept).toBeLessThan(2000)
  expect(levels.kept).toBeLessThan(2000)
  // Those that do run are heard of in their time, in the order in which they began.
  const heard: number[] = []
  running.advance(DAY + 2, (key) => heard.push(key))
  expect(heard).toEqual([1, 1])
  expect(levels.coverage(0)).toBeUndefined()
  levels.advance(DAY + 4)
  expect(levels.coverage(0)).toBe(0)
})

const MAKER: Maker = { tenant: 'ann', familiarity: 0, byNetwork: false }

/** By how much one attempt that outlives its p90 moves the level, on the logit. */
function moveOf(levels: Conformal, id: number, now: number): number {
  const before = logit(levels.level(MAKER, 0.9))
  levels.promise(taskId(id), MAKER, 10, 20)
  levels.begin(taskId(id), now)
  levels.advance(now + 15)
  const after = logit(levels.level(MAKER, 0.9))
  levels.end(taskId(id), 15, true)
  return after - before
}

test.each([1, 2, 3])('whatever became of promises, none stays open (seed %i)', (seed) => {
  const rng = createRng(seed)
  const levels = new Conformal()
  const open: number[] = []
  const end = (at: number): void => {
    const [id] = open.splice(at, 1)
    // Some have run, some were stopped, some never began; some are heard of twice.
    const isCensored = rng.nextInt(2) === 0
    const runMs = rng.nextInt(10) === 0 ? 1.5 * DAY : 1
    for (let times = rng.nextInt(2); times >= 0; times--) levels.end(taskId(id!), runMs, isCensored)
  }
  const fresh = moveOf(new Conformal(), 1, 0)
  for (let id = 1; id < 20_000; id++) {
    for (let times = rng.nextInt(2); times >= 0; times--)
      levels.promise(taskId(id), { ...MAKER, familiarity: rng.nextInt(3) }, DAY, 2 * DAY)
    open.push(id)
    if (rng.nextInt(3) > 0) levels.begin(taskId(id), id)
    if (rng.nextInt(2) === 0) levels.advance(id)
    if (rng.nextInt(50) === 0) while (open.length > 10) end(rng.nextInt(open.length))
  }
  expect(open.length).toBeGreaterThan(0)
  while (open.length > 0) end(0)
  expect(moveOf(levels, 30_000, 30_000)).toBeCloseTo(fresh, 10)
})
