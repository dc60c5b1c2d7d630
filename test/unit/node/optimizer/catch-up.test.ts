import { expect, test } from 'vitest'
import { incarnation, nodeId, taskId } from '../../../../base/ids.ts'
import { MOST_HELD } from '../../../../node/optimizer/bounds.ts'
import { CatchUp } from '../../../../node/optimizer/catch-up.ts'
import { EstimatorFeed } from '../../../../node/optimizer/estimator-feed.ts'
import { ToldUntil } from '../../../../node/optimizer/told-until.ts'
import type { Watchers } from '../../../../node/optimizer/watching.ts'
import { PointPrediction, type Estimator } from '../../../../optimizer/estimate.ts'
import { History } from '../../../../optimizer/guard/history.ts'
import type { Store } from '../../../../runtime/ports/store.ts'
import { drainChanges } from '../../../../scheduler/records.ts'
import { Machine, spec } from '../../../helpers/scheduler.ts'

const encoder = new TextEncoder()
/** Every look at the clock is a slice of its own, so there is a pause wherever one may be. */
const clock = (): (() => number) => {
  let at = 0
  return () => (at += 5)
}

/** A node that looks at a machine: what its estimator heard, what it logged, and its store as it was last written. */
class Bench {
  readonly machine = new Machine().withNodes(1, { slots: 50 })
  readonly heard: string[] = []
  readonly warnings: unknown[] = []
  /** Whenever a gap was read: whether another is left, and what had been heard. */
  readonly read: (string | boolean)[][] = []
  readonly history = new History(100)
  readonly catchUp: CatchUp
  /** Called at each pause. */
  meanwhile: () => void = () => undefined
  #rows: { key: string; value: Uint8Array }[] = []

  constructor() {
    const prediction = new PointPrediction()
    const estimator: Estimator = {
      name: 'listener',
      classOf: () => 0,
      predict: () => prediction,
      observe: ({ task }) => this.heard.push(`${task.id} ended`),
      placed: (task) => this.heard.push(`${task.id} began`)
    }
    const toldUntil = new ToldUntil()
    const watchers: Watchers = {
      estimator,
      feed: new EstimatorFeed(estimator, () => 0),
      history: this.history,
      advisor: undefined,
      onFinished: (task) => {
        toldUntil.told(task)
      }
    }
    const note = (fields: unknown): number => this.warnings.push(fields)
    this.catchUp = new CatchUp({
      logger: { debug: () => undefined, info: () => undefined, warn: note, error: note },
      now: clock(),
      pause: () => {
        this.meanwhile()
        return Promise.resolve()
      },
      watchers: () => watchers,
      toldUntil,
      onRead: () => {
        this.read.push([this.catchUp.reading, ...this.heard])
      }
    })
    this.machine.submit(Array.from({ length: 40 }, () => spec()))
  }

  get store(): Pick<Store, 'iterate'> {
    const rows = (): { key: string; value: Uint8Array }[] => this.#rows
    return {
      iterate: async function* () {
        const newestFirst = [...rows()].sort((a, b) => (a.key < b.key ? 1 : -1))
        for (const { key, value } of newestFirst)
          yield await Promise.resolve([encoder.encode(key), value] as const)
      }
    }
  }

  gap(): void {
    this.catchUp.gap(this.machine.state, this.store)
  }

  /** Runs the tasks to their ends; `told`: this node hears of it. */
  run(ids: readonly number[], told: boolean): void {
    for (const id of ids) this.begin(id, told)
    for (const id of ids) this.end(id, told)
  }

  begin(id: number, told = true): void {
    this.machine.now += 10
    const place = { taskId: taskId(id), node: nodeId(1), incarnation: incarnation(1) }
    const events = this.machine.apply({ type: 'place', ...place })
    if (told) this.catchUp.take(events, this.machine.state)
  }

  end(id: number, told = true, afterMs = 10): void {
    this.machine.now += afterMs
    const events = this.machine.complete(id, this.machine.task(id)!.lastToken)
    if (told) this.catchUp.take(events, this.machine.state)
    this.#rows.push(...drainChanges(this.machine.state).puts.filter(({ key }) => key.startsWith('ch')))
  }

  get ids(): number[] {
    return this.history.newest(100).map(({ id }) => Number(id))
  }
}

test('what happens while history is read is told after it, once, in its order', async () => {
  const bench = new Bench()
  bench.run([1, 2, 3], false)
  bench.begin(4, false)
  bench.gap()
  // Before the reading: their rows are in the store, and their ends in the queue.
  bench.begin(5)
  bench.end(4)
  bench.end(5)
  expect(bench.heard).toEqual([])
  let next = 6
  bench.meanwhile = () => {
    if (next <= 10) bench.run([next++], true)
  }
  await bench.catchUp.run()
  expect(bench.ids).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
  const expected = bench.ids.flatMap((id) => [`${id} began`, `${id} ended`])
  expect([...bench.heard].sort()).toEqual([...expected].sort())
  expect(bench.heard.indexOf('3 ended')).toBeLessThan(bench.heard.indexOf('4 began'))
  expect(bench.heard.slice(-10)).toEqual(expected.slice(-10))
  // From here on nothing waits.
  bench.meanwhile = () => undefined
  bench.run([20], true)
  expect(bench.ids.at(-1)).toBe(20)
})

test('a snapshot in the middle of the reading makes a gap of its own, in its place', async () => {
  const bench = new Bench()
  bench.run([1, 2], false)
  bench.gap()
  bench.run([3], true)
  let installed = false
  bench.meanwhile = () => {
    if (installed) return
    installed = true
    bench.run([4, 5], false)
    bench.gap()
    bench.run([6], true)
  }
  await bench.catchUp.run()
  expect(bench.ids).toEqual([1, 2, 3, 4, 5, 6])
  expect(bench.heard.filter((line) => line.endsWith('ended'))).toHaveLength(6)
})

test('a gap that begins in the very moment in which telling ends is told', async () => {
  for (let pauses = 1; pauses <= 8; pauses++) {
    const bench = new Bench()
    bench.run([1, 2], false)
    bench.gap()
    let left = pauses
    bench.meanwhile = () => {
      if (--left !== 0) return
      // A step later than what the pause is followed by.
      queueMicrotask(() => {
        queueMicrotask(() => {
          bench.run([3], false)
          bench.gap()
          void bench.catchUp.run()
        })
      })
    }
    await bench.catchUp.run()
    await new Promise((resolve) => setImmediate(resolve))
    bench.run([4], true)
    expect(bench.ids).toEqual(left > 0 ? [1, 2, 4] : [1, 2, 3, 4])
  }
})

test('of tasks that ended within one millisecond those are told that were not', async () => {
  const bench = new Bench()
  for (const id of [1, 2, 3]) bench.begin(id)
  bench.end(1)
  bench.end(2, true, 0)
  bench.end(3, false, 0)
  bench.gap()
  await bench.catchUp.run()
  expect(bench.ids).toEqual([1, 2, 3])
})

test('an attempt that runs when reading begins is told as it was then', async () => {
  const bench = new Bench()
  bench.begin(1, false)
  bench.gap()
  bench.end(1)
  await bench.catchUp.run()
  expect(bench.heard).toEqual(['1 began', '1 ended'])
})

test('a gap counts as read when its history was told, and not what waited behind it', async () => {
  const bench = new Bench()
  bench.run([1], false)
  bench.gap()
  bench.run([2], true)
  expect(bench.catchUp.reading).toBe(true)
  bench.run([3], false)
  bench.gap()
  bench.run([4], true)
  await bench.catchUp.run()
  const [first, second] = bench.read
  expect(first?.slice(0, 3)).toEqual([true, '1 began', '1 ended'])
  expect(first).not.toContain('2 ended')
  expect(second?.[0]).toBe(false)
  expect(second).toContain('2 ended')
  expect(second).not.toContain('4 ended')
  expect(bench.heard).toContain('4 ended')
})

test('more than can wait ends the reading, and is told', async () => {
  const bench = new Bench()
  bench.run([1, 2], false)
  bench.gap()
  bench.begin(3)
  const [event] = bench.machine.complete(3, bench.machine.task(3)!.lastToken)
  for (let left = MOST_HELD; left > 0; left--) bench.catchUp.take([event!], bench.machine.state)
  bench.run([4], true)
  await bench.catchUp.run()
  expect(bench.ids).toEqual([4])
  bench.run([5], true)
  expect(bench.ids).toEqual([4, 5])
})

test('history that does not hold is one warning, with how much and why', async () => {
  const bench = new Bench()
  bench.run([1, 2, 3], false)
  const good = bench.store
  bench.catchUp.gap(bench.machine.state, {
    iterate: async function* (range) {
      for await (const [key, value] of good.iterate(range)) {
        yield [key, value.slice(1)] as const
        yield [key, value] as const
      }
    }
  })
  await bench.catchUp.run()
  expect(bench.ids).toEqual([1, 2, 3])
  expect(bench.warnings).toEqual([{ skipped: 3, error: expect.stringMatching(/history row/) as string }])
  expect([bench.catchUp.told, bench.catchUp.skipped]).toEqual([3, 3])
})

test('a node that stops tells no more', async () => {
  const bench = new Bench()
  bench.run([1, 2, 3], false)
  bench.gap()
  bench.catchUp.stop()
  await bench.catchUp.run()
  expect(bench.ids).toEqual([])
})
