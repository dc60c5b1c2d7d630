import { expect, test } from 'vitest'
import { dagFrom, downwardRanks, optimisticCosts, upwardRanks } from '../../../../optimizer/policies/dag.ts'
import { fair, sharing } from '../../../../optimizer/policies/fair.ts'
import { dynamicHeft, staticDag } from '../../../../optimizer/policies/heft.ts'
import { known, oracle } from '../../../../optimizer/policies/predictors.ts'
import { srpt } from '../../../../optimizer/policies/srpt.ts'
import { nodesOf, placed, runPolicy, starts, workloadOf } from '../../../helpers/workloads.ts'
import { LiveNode, LiveTask, SimView } from '../../../../optimizer/sim/view.ts'
import type { TaskSketch } from '../../../helpers/workloads.ts'
import type { Estimator } from '../../../../optimizer/estimate.ts'

const truth = (tasks: readonly TaskSketch[], speeds: readonly number[] = []): Estimator =>
  oracle(
    (id) => tasks[id - 1]!.work,
    (node) => speeds[node - 1] ?? 1
  )

/** A short task leads to a long one; a medium one stands alone. Two nodes, one three times as fast. */
const CHAIN: readonly TaskSketch[] = [
  { work: 1200, group: 1 },
  { work: 300, group: 1 },
  { work: 3000, group: 1, needs: [2] }
]

test('HEFT starts the head of the longest chain first, on the node where it finishes first', () => {
  const speeds = [1, 3]
  const result = runPolicy(
    CHAIN,
    nodesOf(speeds),
    staticDag('heft', { name: 'heft', estimator: truth(CHAIN, speeds) })
  )
  expect(Array.from(result.node)).toEqual([1, 2, 2])
  expect(starts(result)).toEqual([0, 0, 100])
  expect(result.endedAt).toBe(1200)
})

test('an earliest finish over all nodes waits for the fast node; over free nodes only it does not', () => {
  const speeds = [1, 10]
  const tasks = [
    { work: 10_000, group: 1 },
    { work: 9000, group: 1 }
  ]
  const run = (greedy: boolean): number[] => {
    const policy = dynamicHeft({ name: 'heft', estimator: truth(tasks, speeds), greedy })
    return Array.from(runPolicy(tasks, nodesOf(speeds), policy).finishedAt)
  }
  expect(run(false)).toEqual([1000, 1900])
  expect(run(true)).toEqual([1000, 9000])
})

test('CPoP keeps the whole critical path on one node', () => {
  const tasks = [
    { work: 100, group: 1 },
    { work: 500, group: 1, needs: [1] },
    { work: 100, group: 1, needs: [1] },
    { work: 100, group: 1, needs: [2, 3] }
  ]
  const result = runPolicy(
    tasks,
    nodesOf([1, 1]),
    staticDag('cpop', { name: 'cpop', estimator: truth(tasks) })
  )
  expect(Array.from(result.node)).toEqual([1, 1, 2, 1])
})

test('PEFT weighs what must still follow: it ranks by the optimistic cost of the rest', () => {
  const result = runPolicy(CHAIN, nodesOf([1]), staticDag('peft', { name: 'peft', estimator: truth(CHAIN) }))
  expect(placed(result)[0]).toBe(2)
})

test('a static plan fills a gap with a task that is short enough', () => {
  // Node b runs task 1 until 100 and task 3 from 300, when task 2 on node a is done: task 4 fits in between.
  const tasks = [
    { work: 100, group: 1, selector: { on: 'b' } },
    { work: 300, group: 1, selector: { on: 'a' } },
    { work: 500, group: 1, needs: [1, 2], selector: { on: 'b' } },
    { work: 150, group: 1 }
  ]
  const cluster = nodesOf([1, 1]).map((node, index) => ({ ...node, labels: { on: index === 0 ? 'a' : 'b' } }))
  const result = runPolicy(tasks, cluster, staticDag('heft', { name: 'heft', estimator: truth(tasks) }))
  expect(starts(result)).toEqual([0, 0, 300, 100])
  expect(result.node[3]).toBe(2)
})

test('a transfer that costs more than it gains keeps child and parent together', () => {
  const tasks = [
    { work: 100, group: 1 },
    { work: 100, group: 1, needs: [1] },
    { work: 90, group: 1, needs: [1] }
  ]
  const nodes = (transferMs: number): number[] => {
    const options = { name: 'heft', estimator: truth(tasks), transferMs: () => transferMs }
    return Array.from(runPolicy(tasks, nodesOf([1, 1]), staticDag('heft', options)).node)
  }
  expect(new Set(nodes(500))).toEqual(new Set([1]))
  expect(new Set(nodes(5))).toEqual(new Set([1, 2]))
})

test('a static plan survives the loss of a node', () => {
  const tasks = [
    { work: 1000, group: 1 },
    { work: 1000, group: 1 },
    { work: 1000, group: 1, needs: [1, 2] }
  ]
  const policy = staticDag('heft', { name: 'heft', estimator: truth(tasks) })
  const result = runPolicy(tasks, nodesOf([1, 1]), policy, {
    outages: [{ node: nodesOf([1, 1])[1]!.id, from: 500, to: Infinity }]
  })
  expect(result.endedAt).toBe(3000)
})

test('ranks and optimistic costs follow the longest of several branches, wherever it stands', () => {
  const sketches = [100, 50, 70, 10, 5].map((work, index) => ({
    work,
    group: 1,
    needs: [[], [1], [1], [2], [3]][index]!
  }))
  const workload = workloadOf(sketches)
  const tasks = workload.tasks.map((task, index) => new LiveTask(task, workload.dependents[index] ?? []))
  const view = new SimView(
    tasks,
    nodesOf([1, 2]).map((node) => new LiveNode(node))
  )
  const dag = dagFrom([tasks[0]!], view)
  const costs = Float64Array.from(sketches, ({ work }) => work)
  const byId = (values: ArrayLike<number>): number[] => tasks.map(({ id }) => values[dag.indexOf.get(id)!]!)
  const ordered = Float64Array.from(dag.ids, (id) => costs[id - 1]!)
  expect(byId(upwardRanks(dag, ordered))).toEqual([175, 60, 75, 10, 5])
  expect(byId(downwardRanks(dag, ordered))).toEqual([0, 100, 100, 150, 170])
  const nodeCosts = dag.ids.map((id) => Float64Array.of(costs[id - 1]!, costs[id - 1]! / 2))
  // With free transfers the rest runs on the fast node; if they are dear, a task on the slow node stays there.
  expect(byId(optimisticCosts(dag, nodeCosts, 2).map((row) => row[0]!))).toEqual([37.5, 5, 2.5, 0, 0])
  expect(byId(optimisticCosts(dag, nodeCosts, 2, () => 1000).map((row) => row[0]!))).toEqual([
    75, 10, 5, 0, 0
  ])
})

/** Two groups of stages: the big one is earlier. */
const GROUPS: readonly TaskSketch[] = [
  ...Array.from({ length: 6 }, () => ({ work: 1000, group: 1, name: 'big' })),
  ...Array.from({ length: 2 }, () => ({ work: 1000, group: 7, name: 'small', at: 100 }))
]
const oneSecond = (): Estimator => known('known', () => 1000)

test('FIFO by group holds a later group up until the earlier one has no task left to start', () => {
  expect(
    starts(runPolicy(GROUPS, nodesOf([1, 1]), sharing({ name: 'fifo-group', alpha: 'fifo' }))).slice(6)
  ).toEqual([3000, 3000])
})

test('fair sharing lets a node go on with its group until that has nothing ready', () => {
  expect(starts(runPolicy(GROUPS, nodesOf([1, 1, 1]), fair())).slice(6)).toEqual([2000, 2000])
})

test('a share is taken by a late group on nodes that are free, and no more than its share', () => {
  const tasks = [
    { work: 5000, group: 1 },
    { work: 5000, group: 1 },
    ...Array.from({ length: 4 }, () => ({ work: 1000, group: 3, at: 100 }))
  ]
  // Two groups on four nodes: the second one may hold two.
  expect(starts(runPolicy(tasks, nodesOf([1, 1, 1, 1]), fair())).slice(2)).toEqual([100, 100, 1100, 1100])
})

test('weights of negative exponent favour the group with less work', () => {
  const tasks = [
    ...Array.from({ length: 9 }, () => ({ work: 1000, group: 1, at: 0 })),
    ...Array.from({ length: 3 }, () => ({ work: 1000, group: 10, at: 0 }))
  ]
  const first = (alpha: number): number =>
    starts(runPolicy(tasks, nodesOf([1, 1, 1, 1]), sharing({ name: 'fair', alpha, estimator: oneSecond() })))
      .slice(9)
      .filter((start) => start === 0).length
  expect([first(0), first(-1), first(1)]).toEqual([2, 3, 1])
})

test('SRPT gives nodes to the group with the least work left, after the stage that they are at', () => {
  const tasks = GROUPS.map((task) => (task.group === 1 ? { ...task, name: `big-${task.work}` } : task))
  const sticky = srpt({ name: 'srpt', estimator: oneSecond() })
  expect(starts(runPolicy(tasks, nodesOf([1, 1]), sticky)).slice(6)).toEqual([3000, 3000])
  const free = srpt({ name: 'srpt', estimator: oneSecond(), sticky: false })
  expect(starts(runPolicy(tasks, nodesOf([1, 1]), free)).slice(6)).toEqual([1000, 1000])
})

test('a cap bounds how many tasks of one group run at a time', () => {
  const capped = srpt({ name: 'srpt', estimator: oneSecond(), cap: 1 })
  expect(starts(runPolicy(GROUPS, nodesOf([1, 1]), capped))).toEqual([
    0, 1000, 2000, 3000, 4000, 5000, 100, 1100
  ])
})
