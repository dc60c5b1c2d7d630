import { expect, test } from 'vitest'
import { createRng } from '../../../../base/prng.ts'
import type { NodeInfo } from '../../../../base/wire/cluster.ts'
import type { HistoryTask } from '../../../../base/wire/history.ts'
import { findPolicies } from '../../../../optimizer/lab/catalog.ts'
import { historyTrace } from '../../../../optimizer/lab/history-trace.ts'
import { runProtocol } from '../../../../optimizer/lab/protocol.ts'
import { simulate } from '../../../../optimizer/sim/engine.ts'
import type { Instance } from '../../../../optimizer/lab/trace.ts'

const START = 1_700_000_000_000

function ended(id: number, at: number, over: Partial<HistoryTask> = {}): HistoryTask {
  return {
    id: `t-${id}`,
    group: `t-${id}`,
    name: 'work',
    tenant: 'default',
    executor: 'shell',
    priority: 0,
    resources: {},
    nodeSelector: {},
    needs: [],
    inputBytes: 0,
    limitMs: 0,
    idempotent: false,
    status: 'succeeded',
    attempts: 1,
    submittedAt: START + at,
    readyAt: START + at,
    startedAt: START + at,
    finishedAt: START + at + 100,
    node: 1,
    runMs: 100,
    peakMemoryBytes: 0,
    ...over
  }
}

function node(id: number, over: Partial<NodeInfo> = {}): NodeInfo {
  return {
    id,
    peerId: '',
    role: 'voter',
    status: 'active',
    incarnation: 1,
    open: true,
    url: '',
    addresses: [],
    zone: '',
    labels: {},
    executors: ['shell'],
    handlers: [],
    slots: 1,
    usedSlots: 0,
    resources: {},
    usedResources: {},
    version: '',
    joinedAt: 0,
    ...over
  }
}

function only(instances: Iterable<Instance>): Instance {
  const [instance] = [...instances]
  return instance!
}

function finishes(instance: Instance): number[] {
  const [fifo] = findPolicies(['fifo-fit'])
  const { finishedAt } = simulate(instance.workload, instance.cluster, fifo!.make(instance, createRng(1)), {
    model: instance.model()
  })
  return Array.from(finishedAt)
}

test('tasks arrive as they did, and take what they took', () => {
  const trace = historyTrace('history', [ended(2, 500), ended(1, 0)], [node(1)])
  expect(finishes(only(trace.instances(0, undefined)))).toEqual([100, 600])
  expect(trace.family).toBe('independent')
})

test('needs are kept, and make a trace of DAGs', () => {
  const tasks = [ended(1, 0), ended(2, 0, { needs: ['t-1'], group: 't-1' })]
  const trace = historyTrace('history', tasks, [node(1), node(2)])
  expect(finishes(only(trace.instances(0, undefined)))).toEqual([100, 200])
  expect(trace.family).toBe('dags')
})

test('what no node could run is told of, with its share of the work', () => {
  const small = Array.from({ length: 40 }, (_, index) =>
    ended(index + 1, index * 1000, { runMs: 500, resources: { cpu: 100 } })
  )
  const large = Array.from({ length: 40 }, (_, index) =>
    ended(index + 41, index * 1000, { runMs: 400_000, resources: { cpu: 4000 }, node: 3 })
  )
  const nodes = [1, 2].map((id) => node(id, { resources: { cpu: 1000 } }))
  const { leftOut } = historyTrace('history', [...small, ...large], nodes)
  expect(leftOut).toMatchObject({ tasks: 40, of: 80, why: '40 that no node of the history could run' })
  expect(leftOut!.workShare).toBeCloseTo(400 / 400.5)
  const never = [...small, ended(99, 0, { status: 'cancelled', runMs: 5000 })]
  expect(historyTrace('history', never, nodes).leftOut).toEqual({
    tasks: 1,
    of: 41,
    workShare: expect.closeTo(0.2) as number,
    why: '1 that did not run to their end'
  })
  expect(historyTrace('history', small, nodes).leftOut).toBeUndefined()
})

test('among independent tasks a DAG counts once, and they by themselves', () => {
  const tasks = [
    ...Array.from({ length: 30 }, (_, index) => ended(index + 1, index * 50, { group: 't-1' })),
    ended(31, 0),
    ended(32, 0, { needs: ['t-31'], group: 't-31' })
  ]
  const judged: number[] = []
  runProtocol(historyTrace('history', tasks, [node(1)]), {
    policies: findPolicies(['fifo-fit']),
    load: undefined,
    seeds: 1,
    onResult: ({ judged: { jctMs, groups } }) => judged.push(jctMs.length, groups)
  })
  expect(judged).toEqual([31, 1])
})

test('what never ran is left out, and nodes that cannot run a task are not given it', () => {
  const tasks = [
    ended(1, 0),
    ended(2, 0),
    { ...ended(3, 0), status: 'cancelled' as const },
    { ...ended(4, 0), status: 'skipped' as const }
  ]
  const trace = historyTrace('history', tasks, [node(1), node(2, { executors: ['js'] })])
  expect(finishes(only(trace.instances(0, undefined)))).toEqual([100, 200])
})

test('a load stretches the gaps, a seed shakes them', () => {
  const tasks = Array.from({ length: 21 }, (_, index) => ended(index + 1, index * 1000))
  const trace = historyTrace('history', tasks, [node(1)])
  expect(only(trace.instances(0, undefined)).load).toBeCloseTo(0.105)
  const loaded = only(trace.instances(0, 0.9))
  expect(loaded.load).toBeCloseTo(0.9)
  const shaken = only(trace.instances(1, undefined)).workload.tasks.map(({ submittedAt }) => submittedAt)
  expect(shaken).not.toEqual(tasks.map(({ submittedAt }) => submittedAt - START))
  expect(shaken).toEqual([...shaken].sort((a, b) => a - b))
})

test('a history of which nothing could run is refused', () => {
  expect(() => historyTrace('history', [], [node(1)])).toThrow(/got 0 tasks/)
  expect(() => historyTrace('history', [ended(1, 0)], [])).toThrow(/at least one that a node could run/)
})

test('no schedule of a history ends before its last path of needs could', () => {
  const nodes = [node(1), node(2), node(3)]
  const bound = (tasks: readonly HistoryTask[]): number =>
    [...historyTrace('history', tasks, nodes).instances(0, undefined)][0]!.makespanBoundMs
  expect(bound([ended(1, 0)])).toBeCloseTo(100)
  expect(bound([ended(1, 0), ended(2, 40)])).toBeCloseTo(140)
  expect(bound([ended(1, 0), ended(2, 40, { group: 't-1', needs: ['t-1'] })])).toBeCloseTo(200)
})
