import fc from 'fast-check'
import { expect, test } from 'vitest'
import { LastStarts } from '../../../../optimizer/advice/last-starts.ts'
import type { Futures } from '../../../../optimizer/advice/list-schedule.ts'
import { momentOf } from '../../../../optimizer/advice/moment.ts'
import type { Moment } from '../../../../optimizer/advice/moment.ts'
import type { Place, Problem } from '../../../../optimizer/advice/problem.ts'

/** So few that the last in order is the 90th percentile. */
const DRAWS = 9
const NOW = 1000

interface Waiting {
  readonly queue: number
  readonly rank: number
  readonly readyAt: number
  readonly starts: readonly number[]
}

type Read = Pick<Problem, 'waiting' | 'queueOf' | 'queueShape' | 'rank' | 'readyAt'>

function problemOf(tasks: readonly Waiting[]): { problem: Problem; futures: Futures; reads: () => number } {
  let reads = 0
  const indexes = tasks.map((_, index) => index)
  const read: Read = {
    get waiting() {
      reads++
      return indexes
    },
    queueOf: Int32Array.from(tasks, ({ queue }) => queue),
    queueShape: Int32Array.of(0, 1),
    rank: Float64Array.from(tasks, ({ rank }) => rank),
    readyAt: Float64Array.from(tasks, ({ readyAt }) => readyAt)
  }
  const startAt = Float64Array.from(tasks.flatMap(({ starts }) => starts))
  return {
    problem: read as Problem,
    futures: { draws: DRAWS, startAt, finishAt: startAt },
    reads: () => reads
  }
}

/** Plainly: of each future the latest start among those that are ready and go before. */
function plainly(tasks: readonly Waiting[], { queue, rank }: Place, readyAt: number): Moment | undefined {
  const before = tasks.filter(
    (task) =>
      task.queue === queue &&
      task.readyAt < Infinity &&
      (task.rank < rank || (task.rank === rank && task.readyAt <= readyAt))
  )
  if (before.length === 0) return undefined
  return momentOf(
    Float64Array.from({ length: DRAWS }, (_, draw) =>
      Math.max(...before.map(({ starts }) => starts[draw] ?? Infinity))
    )
  )
}

const queue = fc.nat(1)
const rank = fc.constantFrom(-2, -0, 0, 1.5, Infinity)
const readyAt = fc.oneof({ weight: 6, arbitrary: fc.nat(6) }, { weight: 1, arbitrary: fc.constant(Infinity) })
const start = fc.oneof(
  { weight: 300, arbitrary: fc.integer({ min: NOW, max: 9 * NOW }) },
  { weight: 1, arbitrary: fc.constant(Infinity) }
)
const waiting = fc.record({
  queue,
  rank,
  readyAt,
  starts: fc.array(start, { minLength: DRAWS, maxLength: DRAWS })
})

test('a place starts after all that go before it in its queue, as plainly worked out', () => {
  let known = 0
  fc.assert(
    fc.property(
      fc.array(waiting, { maxLength: 30 }),
      fc.array(fc.record({ queue, rank, readyAt }), { minLength: 1, maxLength: 20 }),
      (tasks, places) => {
        const { problem, futures } = problemOf(tasks)
        const starts = new LastStarts(problem, futures)
        for (const place of places) {
          const made = starts.before(place, place.readyAt)
          expect(made).toEqual(plainly(tasks, place, place.readyAt))
          if (made !== undefined) known++
        }
      }
    ),
    { numRuns: 300 }
  )
  expect(known).toBeGreaterThan(300)
})

test('the tasks are gone through once, when first asked, however many places are asked about', () => {
  const tasks = Array.from({ length: 50 }, (_, at) => ({
    ...{ queue: at % 2, rank: 0, readyAt: at },
    starts: new Array<number>(DRAWS).fill(NOW + at)
  }))
  const { problem, futures, reads } = problemOf(tasks)
  const starts = new LastStarts(problem, futures)
  expect(reads()).toBe(0)
  for (let at = 0; at < 1000; at++)
    expect(starts.before({ queue: at % 2, rank: 0 }, at)?.p50At).toBe(NOW + Math.min(at, 48 + (at % 2)))
  expect(reads()).toBe(1)
})
