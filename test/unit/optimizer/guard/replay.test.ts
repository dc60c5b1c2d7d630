import { expect, test } from 'vitest'
import fc from 'fast-check'
import { nodeId, taskId, type NodeId } from '../../../../base/ids.ts'
import { createRng } from '../../../../base/prng.ts'
import { timestampMs, type TimestampMs } from '../../../../base/units.ts'
import { compare, type Contender } from '../../../../optimizer/guard/compare.ts'
import type { Estimator } from '../../../../optimizer/estimate.ts'
import { byArrival, History, type FinishedTask } from '../../../../optimizer/guard/history.ts'
import { fitNodeSpeeds } from '../../../../optimizer/guard/node-speeds.ts'
import { compareOnRecent, type Player } from '../../../../optimizer/guard/recent.ts'
import { createReplay } from '../../../../optimizer/guard/replay.ts'
import { NOTHING_UNENDED } from '../../../../optimizer/guard/unended.ts'
import { learnedPolicy } from '../../../../optimizer/policies/learned/index.ts'
import { runningMean } from '../../../../optimizer/policies/predictors.ts'
import { shortestFirst } from '../../../../optimizer/policies/shortest-first.ts'
import { simulate } from '../../../../optimizer/sim/engine.ts'
import { policyFactory } from '../../../../scheduler/policies/index.ts'
import { busyHistory, finished, nodeFacts } from './fixture.ts'

const fifo: Contender = { name: 'fifo', make: policyFactory('fifo') }
const shortest: Contender = {
  name: 'shortest',
  make: () => shortestFirst({ name: 'shortest', estimator: runningMean() })
}
const NO_SPEEDS = new Map<NodeId, number>()

test('the history keeps the newest, oldest first', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 0, max: 30 }), (capacity, count) => {
      const history = new History(capacity)
      for (let id = 1; id <= count; id++) history.add(finished(id))
      const expected = Array.from({ length: count }, (_, index) => index + 1).slice(-capacity)
      expect(history.newest(capacity).map(({ id }) => id)).toEqual(expected)
      expect(history.newest(2).map(({ id }) => id)).toEqual(expected.slice(-2))
    })
  )
})

test('newest are the tasks that arrived last, whenever they ended', () => {
  const at = (arrived: number, id: number) =>
    finished(id, { arrivedAt: timestampMs(arrived), finishedAt: timestampMs(arrived) })
  // In the order of their ends: the first to arrive waited longest.
  const tasks = [at(20, 3), at(40, 5), at(30, 4), at(20, 2), at(10, 1)]
  const ids = (some: readonly FinishedTask[]): number[] => some.map(({ id }) => id)
  const { newest, older } = byArrival(tasks, 3)
  expect([ids(newest), ids(older)]).toEqual([
    [3, 4, 5],
    [2, 1]
  ])
  expect(ids(byArrival(tasks, 9).newest)).toEqual([1, 2, 3, 4, 5])
  expect(byArrival(tasks, 9).older).toEqual([])
})

test('estimators and speeds of a replay know what had ended when it begins, and nothing that ended later', () => {
  // A task each second, 10 s between ends: the 41st of 80 arrives when 4 have ended, and node 2 seems slow from then on.
  const arrival = (index: number): number => 1_000_000 + index * 1_000
  const history = Array.from({ length: 80 }, (_, index) =>
    finished(index + 1, {
      arrivedAt: timestampMs(arrival(index)),
      finishedAt: timestampMs(1_000_000 + (index + 1) * 10_000),
      runMs: index < 4 || index >= 40 ? 10_000 : 20_000,
      node: nodeId(index < 4 ? 1 : 2)
    })
  )
  const told: { ended: number[]; placed: number[] } = { ended: [], placed: [] }
  const listener: Estimator = {
    ...runningMean(),
    observe: ({ task }) => told.ended.push(task.id),
    placed: (task) => told.placed.push(task.id)
  }
  const base = {
    name: 'fifo',
    make: (tell: (estimator: Estimator) => void) => {
      tell(listener)
      return fifo.make
    }
  }
  const nodes = [nodeFacts(1, { slots: 1 })]
  const { fromAt, results } = compareOnRecent(history, 40, nodes, NOTHING_UNENDED, base, [])
  expect(fromAt).toBe(arrival(40))
  // The fourth ended in the moment in which the first that is replayed arrived.
  expect(told).toEqual({ ended: [1, 2, 3, 4], placed: [1, 2, 3, 4] })
  // 40 tasks of 10 s, on another node than the one that ran them: nothing is known of either.
  expect(results[0]!.meanJctMs).toBeCloseTo((10_000 * 41) / 2 - (1_000 * 39) / 2)
})

test('what estimators are told of a history and of its replay is of one clock', () => {
  const history = Array.from({ length: 80 }, (_, index) => {
    const arrivedAt = timestampMs(1.79e12 + index * 1_000)
    return finished(index + 1, {
      arrivedAt,
      readyAt: arrivedAt,
      finishedAt: timestampMs(arrivedAt + 500),
      runMs: 400
    })
  })
  const heard: number[] = []
  const listener: Estimator = {
    ...runningMean(),
    placed: (_task, _node, now) => heard.push(now),
    advance: (now) => {
      heard.push(now)
      return []
    }
  }
  const hours: number[] = []
  const learner: Player = {
    name: 'learned',
    make: (tell, fromAt) => {
      tell(listener)
      hours.push(fromAt)
      return learnedPolicy(listener)
    }
  }
  const { fromAt } = compareOnRecent(history, 40, [nodeFacts(1)], NOTHING_UNENDED, learner, [])
  expect(hours).toEqual([fromAt])
  expect(heard[0]).toBe(1.79e12 + 100 - fromAt)
  expect(heard).toEqual([...heard].sort((a, b) => a - b))
  expect(heard.at(-1)).toBeLessThan(60_000)
})

test('what ended last after a long wait does not bring its wait into the replay', () => {
  const HOUR_MS = 3_600_000
  const recent = Array.from({ length: 60 }, (_, index) =>
    finished(index + 31, { arrivedAt: timestampMs(HOUR_MS + index * 100) })
  )
  const waited = Array.from({ length: 30 }, (_, index) =>
    finished(index + 1, { arrivedAt: timestampMs(index), finishedAt: timestampMs(2 * HOUR_MS) })
  )
  const base = { name: 'fifo', make: () => fifo.make }
  const { fromAt, lastArrivalAt, load, tasks } = compareOnRecent(
    [...recent, ...waited],
    60,
    [nodeFacts(1)],
    NOTHING_UNENDED,
    base,
    []
  )
  expect({ fromAt, lastArrivalAt, tasks }).toEqual({
    fromAt: HOUR_MS,
    lastArrivalAt: HOUR_MS + 5_900,
    tasks: 60
  })
  expect(load).toBeCloseTo((60 * 100) / (2 * 5_900))
})

test('node speeds are found whatever classes ran where, and unknown nodes have none', () => {
  const rng = createRng(3)
  const speeds = [1, 0.5, 2]
  const tasks = Array.from({ length: 900 }, (_, index) => {
    const slot = rng.nextInt(3)
    const base = rng.nextFloat() < 0.5 ? 200 : 20_000
    const runMs = (base * (0.8 + 0.4 * rng.nextFloat())) / (speeds[slot] ?? 1)
    return finished(index + 1, { name: `class of ${base}`, node: nodeId(slot + 1), runMs })
  })
  const found = fitNodeSpeeds(tasks)
  const relative = (id: number): number => (found.get(nodeId(id)) ?? 0) / (found.get(nodeId(1)) ?? 1)
  expect(relative(2)).toBeCloseTo(0.5, 1)
  expect(relative(3)).toBeGreaterThan(1.8)
  expect(relative(3)).toBeLessThan(2.1)
  expect(found.has(nodeId(4))).toBe(false)
})

test('a task takes on another node what it took, by the speeds of the two', () => {
  const tasks = [finished(1, { node: nodeId(1), runMs: 1_000 })]
  const speeds = new Map([
    [nodeId(1), 2],
    [nodeId(2), 4]
  ])
  const replay = createReplay(tasks, [nodeFacts(2)], speeds)!
  const { workload, cluster, model } = replay
  const result = simulate(workload, cluster, fifo.make(createRng(1)), { model: model() })
  expect([...result.finishedAt]).toEqual([500])
})

test('needs within the stretch are waited for, older ones are met from the start', () => {
  const tasks = [
    finished(5, { group: taskId(4), needs: [taskId(4)], readyAt: timestampMs(1_000_200) }),
    finished(6, { group: taskId(4), needs: [taskId(5)] }),
    finished(7, { group: taskId(4), needs: [taskId(5)] })
  ]
  const replay = createReplay(tasks, [nodeFacts(1)], NO_SPEEDS)!
  const of = (runMs: number, needs: number): { runMs: number; needs: number } => ({ runMs, needs })
  expect(
    replay.workload.tasks.map((task) => of(task.workMs, task.needs.length)).sort((a, b) => a.needs - b.needs)
  ).toEqual([of(100, 0), of(100, 1), of(100, 1)])
  expect(replay.workload.barriers).toHaveLength(1)
  expect(new Set(replay.workload.tasks.map(({ group }) => group)).size).toBe(1)
  const result = simulate(replay.workload, replay.cluster, fifo.make(createRng(1)), {
    model: replay.model()
  })
  expect(Math.max(...result.finishedAt)).toBe(1_000_200 - replay.fromAt + 200)
})

test('what no node of today could run is left out and counted', () => {
  const tasks = [
    finished(1),
    finished(2, { executor: 'js', handler: 'gone' }),
    finished(3, { nodeSelector: { gpu: 'yes' } }),
    finished(4, { resources: { cpu: 9_000 } }),
    finished(5, { handler: 'here' })
  ]
  const replay = createReplay(
    tasks,
    [nodeFacts(1, { resources: { cpu: 4_000 }, handlers: ['here'] })],
    NO_SPEEDS
  )!
  expect(replay.leftOut).toBe(3)
  expect(replay.workload.tasks).toHaveLength(2)
  expect(createReplay(tasks, [], NO_SPEEDS)).toBeUndefined()
})

test('the load is work ÷ (capacity × span of arrivals), with the speeds of nodes', () => {
  const tasks = [0, 1_000, 4_000].map((ms, index) =>
    finished(index + 1, { arrivedAt: timestampMs(1_000_000 + ms), runMs: 2_000, node: nodeId(2) })
  )
  const speeds = new Map([
    [nodeId(1), 1],
    [nodeId(2), 2]
  ])
  // 3 × 2 s × 2 of work; 2 slots × (1 + 2) of capacity for 4 s.
  expect(createReplay(tasks, [nodeFacts(1), nodeFacts(2)], speeds)?.load).toBeCloseTo(12 / (6 * 4))
})

test('beside the replay stands what was recorded of the same units, from the same arrivals', () => {
  const at = (ms: number): TimestampMs => timestampMs(1_000_000 + ms)
  const tasks = [
    finished(1, { arrivedAt: at(0), finishedAt: at(900) }),
    // It could not start before 300, and a DAG takes from its arrival to its last end.
    finished(2, { submittedAt: at(100), arrivedAt: at(300), finishedAt: at(1_000) }),
    finished(3, { group: taskId(3), arrivedAt: at(400), finishedAt: at(600) }),
    finished(4, { group: taskId(3), arrivedAt: at(400), finishedAt: at(2_400), needs: [taskId(3)] })
  ]
  const { units, recorded, results } = compare(createReplay(tasks, [nodeFacts(1)], NO_SPEEDS)!, fifo, [])
  expect(units).toEqual({ tasks: 2, dags: 1 })
  expect(recorded?.units).toBe(3)
  expect(recorded?.meanJctMs).toBeCloseTo((900 + 700 + 2_000) / 3)
  expect(results[0]!.meanJctMs).toBeCloseTo((100 + 100 + 200) / 3)
  expect(recorded?.replayedMeanJctMs).toBe(results[0]!.meanJctMs)
})

test('a better policy has an interval that says so, and the base has none against itself', () => {
  const replay = createReplay(busyHistory(600), [nodeFacts(1)], NO_SPEEDS)!
  const { results, units, failures } = compare(replay, fifo, [shortest])
  expect(units).toEqual({ tasks: 600, dags: 0 })
  expect(failures).toEqual([])
  expect(results[0]!.jct.relative).toBe(0)
  expect(results[1]!.jct.relative).toBeLessThan(-0.2)
  expect(results[1]!.jct.relativeInterval.high).toBeLessThan(-0.02)
})

test('a small DAG in a history of arrays counts once, and leaves the verdict on all others as it was', () => {
  // Arrays: every twenty tasks are of one submission.
  const arrays = busyHistory(600).map((task, index) => ({ ...task, group: taskId(index - (index % 20) + 1) }))
  const arrivedAt = arrays[300]!.arrivedAt
  const dag = [
    finished(601, { arrivedAt, runMs: 50 }),
    finished(602, { arrivedAt, runMs: 50, group: taskId(601), needs: [taskId(601)] })
  ]
  const [without, withOne] = [arrays, [...arrays, ...dag]].map((history) =>
    compare(createReplay(history, [nodeFacts(1)], NO_SPEEDS)!, fifo, [shortest])
  )
  expect(without!.units).toEqual({ tasks: 600, dags: 0 })
  expect(withOne!.units).toEqual({ tasks: 600, dags: 1 })
  const [before, after] = [without, withOne].map((comparison) => comparison!.results[1]!.jct.relative)
  expect(before).toBeLessThan(-0.2)
  expect(Math.abs(after! - before!)).toBeLessThan(0.02)
})

test('a policy that breaks the contract fails, and the others are judged', () => {
  const replay = createReplay(busyHistory(50), [nodeFacts(1)], NO_SPEEDS)!
  const broken: Contender = {
    name: 'broken',
    make: (rng) => ({
      ...policyFactory('fifo')(rng),
      reset: () => undefined,
      onReady: () => undefined,
      onGone: () => undefined,
      next: () => ({ taskId: taskId(1), node: nodeId(9) })
    })
  }
  const { results, failures } = compare(replay, fifo, [broken, shortest])
  expect(results.map(({ name }) => name)).toEqual(['fifo', 'shortest'])
  expect(failures.map(({ name }) => name)).toEqual(['broken'])
  expect(failures[0]?.message).toContain('no such task or node')
})
