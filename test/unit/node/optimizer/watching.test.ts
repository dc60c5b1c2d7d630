import { expect, test } from 'vitest'
import { incarnation, nodeId, taskId } from '../../../../base/ids.ts'
import type { Estimator } from '../../../../optimizer/estimate.ts'
import { PointPrediction } from '../../../../optimizer/estimate.ts'
import { History, type FinishedTask } from '../../../../optimizer/guard/history.ts'
import { EstimatorFeed } from '../../../../node/optimizer/estimator-feed.ts'
import { warmUp, type WarmUpOptions } from '../../../../node/optimizer/warm-up.ts'
import {
  happeningOf,
  nodeFacts,
  runningAttempts,
  tellHappening,
  type Watchers
} from '../../../../node/optimizer/watching.ts'
import type { SchedulerEvent } from '../../../../scheduler/events.ts'
import type { SchedulerState } from '../../../../scheduler/state.ts'
import { drainChanges } from '../../../../scheduler/records.ts'
import { Machine, spec } from '../../../helpers/scheduler.ts'

/** An estimator that only writes down what it hears. */
function listener(): { estimator: Estimator; heard: string[] } {
  const heard: string[] = []
  const prediction = new PointPrediction()
  return {
    heard,
    estimator: {
      name: 'listener',
      classOf: () => 0,
      predict: () => prediction,
      observe: ({ task, node, end, runMs }) => heard.push(`t-${task.id} ${end} on ${node} after ${runMs}`),
      placed: (task, node) => heard.push(`t-${task.id} placed on ${node.id}`)
    }
  }
}

function watchers(estimator: Estimator, finished: FinishedTask[] = []): Watchers {
  return {
    estimator,
    history: new History(10),
    advisor: undefined,
    feed: new EstimatorFeed(estimator, () => 0),
    onFinished: (task) => finished.push(task)
  }
}

function tellEvents(watching: Watchers, events: readonly SchedulerEvent[], state: SchedulerState): void {
  for (const event of events) {
    const happening = happeningOf(event, state, false)
    if (happening !== undefined) tellHappening(watching, happening, false)
  }
}

const encoder = new TextEncoder()

/** A store with the history rows of these tasks, newest first when asked backwards. */
function storeOf(machine: Machine): WarmUpOptions['store'] {
  const rows = drainChanges(machine.state)
    .puts.filter(({ key }) => key.startsWith('ch'))
    .sort((a, b) => (a.key < b.key ? 1 : -1))
  return {
    iterate: async function* ({ limit = Infinity }) {
      for (const { key, value } of rows.slice(0, limit))
        yield await Promise.resolve([encoder.encode(key), value] as const)
    }
  }
}

const options = (machine: Machine, changes: Partial<WarmUpOptions> = {}): WarmUpOptions => ({
  store: storeOf(machine),
  rows: 100,
  isNew: () => true,
  now: () => 0,
  readMs: 1_000,
  pause: () => Promise.resolve(),
  stopped: () => false,
  except: () => new Set(),
  ...changes
})

/** Five tasks that ran, one that was cancelled before it could. The third ended last. */
function ended(): Machine {
  const machine = new Machine().withNodes(1, { slots: 5 })
  machine.submit(Array.from({ length: 6 }, () => spec()))
  const tokens = [1, 2, 3, 4, 5].map((id) => machine.place(id, 1))
  machine.cancel(6)
  for (const id of [1, 2, 4, 5, 3]) {
    machine.now += 10
    machine.complete(id, tokens[id - 1]!)
  }
  return machine
}

async function told(machine: Machine, changes: Partial<WarmUpOptions> = {}): Promise<number[]> {
  const ids: number[] = []
  const begun = new Set<number>()
  const { told: count } = await warmUp(options(machine, changes), ({ task, ended }) => {
    if (!ended) begun.add(task.id)
    else if (begun.has(task.id)) ids.push(task.id)
  })
  expect(count).toBe(ids.length)
  return ids
}

test('history is told in the order in which tasks ended, without those that never ran', async () => {
  expect(await told(ended())).toEqual([1, 2, 4, 5, 3])
})

test('only the newest rows are read, and only what ended later than is known', async () => {
  expect(await told(ended(), { rows: 3 })).toEqual([4, 5])
  const ends: number[] = []
  await warmUp(options(ended()), (moment) => {
    if (moment.ended) ends.push(moment.at)
  })
  expect(await told(ended(), { isNew: ({ finishedAt }) => finishedAt > ends[2]! })).toEqual([5, 3])
})

test('reading ends with its time, telling with the node', async () => {
  let now = 0
  expect(await told(ended(), { now: () => (now += 300) })).toEqual([5])
  expect(await told(ended(), { stopped: () => true })).toEqual([])
})

test('rows that do not hold are skipped and counted, wherever they stand', async () => {
  const machine = ended()
  const good = storeOf(machine)
  const store: WarmUpOptions['store'] = {
    iterate: async function* (range) {
      yield [encoder.encode('ch'), new Uint8Array([9, 9, 9])] as const
      let index = 0
      for await (const [key, value] of good.iterate(range)) {
        const damaged = value.slice()
        damaged[damaged.length >> 1]! ^= 0xff
        yield [key, index++ === 2 ? damaged : value] as const
      }
    }
  }
  const ids: number[] = []
  const result = await warmUp({ ...options(machine), store }, ({ task, ended: over }) => {
    if (task.id === 5) throw new Error('no use of it')
    if (over) ids.push(task.id)
  })
  expect(ids).toEqual([1, 2, 3])
  expect(result).toEqual({ told: 3, skipped: 3, problem: expect.stringMatching(/history row/) as string })
})

test('what was read of a history that cannot be read to its end is told', async () => {
  const machine = ended()
  const good = storeOf(machine)
  const store: WarmUpOptions['store'] = {
    iterate: async function* (range) {
      let left = 3
      for await (const row of good.iterate(range)) {
        if (left-- === 0) throw new Error('the disk is gone')
        yield row
      }
    }
  }
  const ids = await told(machine, { store })
  expect(ids).toEqual([4, 5])
  const { problem, skipped } = await warmUp({ ...options(machine), store }, () => undefined)
  expect({ problem, skipped }).toEqual({ problem: 'the disk is gone', skipped: 0 })
})

test('a pause comes between slices, while reading and while telling', async () => {
  let now = 0
  let pauses = 0
  await told(ended(), {
    now: () => (now += 3),
    pause: () => {
      pauses++
      return Promise.resolve()
    }
  })
  expect(pauses).toBeGreaterThanOrEqual(5)
})

test('events reach the estimator and the history as they happen', () => {
  const { estimator, heard } = listener()
  const finished: FinishedTask[] = []
  const watching = watchers(estimator, finished)
  const machine = new Machine().withNodes(1)
  machine.submit([spec({ name: 'a' })])
  const placed = machine.apply({
    type: 'place',
    taskId: taskId(1),
    node: nodeId(1),
    incarnation: incarnation(1)
  })
  tellEvents(watching, placed, machine.state)
  expect(heard).toEqual(['t-1 placed on 1'])
  tellEvents(watching, machine.complete(1, machine.task(1)!.lastToken), machine.state)
  expect(heard.slice(1)).toEqual(['t-1 succeeded on 1 after 5'])
  expect(finished).toMatchObject([{ id: 1, name: 'a', node: 1, runMs: 5, succeeded: true }])
  expect(watching.history.size).toBe(1)
})

test('an estimator that did not see attempts begin hears of those that run', () => {
  const { estimator, heard } = listener()
  const machine = new Machine().withNodes(2)
  machine.submit([spec(), spec(), spec()])
  machine.place(1, 2)
  machine.place(3, 1)
  const feed = new EstimatorFeed(estimator, () => 0)
  const running = runningAttempts(machine.state)
  for (const { task, node, at } of [...running, ...running]) feed.runs(task, node, at)
  expect(heard.sort()).toEqual(['t-1 placed on 2', 't-3 placed on 1'])
})

test('nodes that may be given work are known to replays with all that decides who runs what', () => {
  const machine = new Machine().withNodes(2)
  machine.state.nodes.forEach((node) => {
    if (node.id === 2) node.open = false
  })
  const [facts, ...others] = nodeFacts(machine.state)
  expect(others).toEqual([])
  expect(facts).toMatchObject({
    id: 1,
    executors: expect.any(Array) as string[],
    slots: expect.any(Number) as number
  })
})

test('under load some beginnings are not told, and of those that are, every end is', () => {
  const { estimator, heard } = listener()
  let now = 0
  const costly: Estimator = {
    ...estimator,
    placed: (task, node, at) => {
      now += 5
      estimator.placed?.(task, node, at)
    },
    observe: (feedback) => {
      now += 5
      estimator.observe(feedback)
    }
  }
  const watching = { ...watchers(estimator), feed: new EstimatorFeed(costly, () => now) }
  const machine = new Machine().withNodes(1, { slots: 200 })
  machine.submit(Array.from({ length: 200 }, () => spec()))
  const place = (id: number): SchedulerEvent[] =>
    machine.apply({ type: 'place', taskId: taskId(id), node: nodeId(1), incarnation: incarnation(1) })
  for (let id = 1; id <= 200; id++) tellEvents(watching, place(id), machine.state)
  const begun = heard.map((line) => line.split(' ')[0])
  expect(begun.length).toBeGreaterThan(5)
  expect(begun.length).toBeLessThan(100)
  heard.length = 0
  for (let id = 1; id <= 200; id++)
    tellEvents(watching, machine.complete(id, machine.task(id)!.lastToken), machine.state)
  const ends = heard.map((line) => line.split(' ')[0])
  expect(ends).toEqual(expect.arrayContaining(begun))
  expect(ends.length).toBeLessThan(200)
  expect(watching.history.size).toBe(10)
})
