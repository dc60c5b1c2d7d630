/** What fits nowhere now, or on no node at all, must hold up nothing else. */
import { expect, test } from 'vitest'
import { nodeId, taskId } from '../../../../base/ids.ts'
import { createRng } from '../../../../base/prng.ts'
import { learnedPolicy } from '../../../../optimizer/policies/learned/index.ts'
import { known, oracle } from '../../../../optimizer/policies/predictors.ts'
import type { Estimator } from '../../../../optimizer/estimate.ts'
import type { Outage, RunModel, SimNode, SimResult } from '../../../../optimizer/sim/types.ts'
import { LiveNode, LiveTask, SimView } from '../../../../optimizer/sim/view.ts'
import type { NodeView, Policy, TaskView } from '../../../../scheduler/policy.ts'
import { nodesOf, runPolicy, starts, taskOf } from '../../../helpers/workloads.ts'
import type { TaskSketch } from '../../../helpers/workloads.ts'

const HOUR = 3_600_000
const KINDS = ['alike', 'mixed'] as const
type Kind = (typeof KINDS)[number]
type Selector = Readonly<Record<string, string>>

const policyOn = (estimator: Estimator): Policy => learnedPolicy(estimator)(createRng(1))
const truth = (tasks: readonly TaskSketch[]): Estimator => oracle((id) => tasks[id - 1]!.work)

/** Nodes with a label `host` of a, b, …; mixed ones are of a hardware class each. */
const hosts = (kind: Kind, count: number, slots = 1): SimNode[] =>
  nodesOf(Array<number>(count).fill(1), slots).map((node, index) => ({
    ...node,
    labels: { host: 'abc'[index]! },
    profile: kind === 'alike' ? '' : `p${index}`
  }))

/** The same and a node for `GPU`, which is away until the hour. */
const GPU = { gpu: 'yes' }
function withGpu(kind: Kind, count: number, slots = 1): { nodes: SimNode[]; outages: Outage[] } {
  const nodes = hosts(kind, count + 1, slots)
  nodes[count] = { ...nodes[count]!, labels: GPU }
  return { nodes, outages: [{ node: nodeId(count + 1), from: 0, to: HOUR }] }
}

/** A task that lists, then a stage of shards, the first of which asks for something of its own. */
const shards = (first: Partial<TaskSketch>, count: number, at = 0): TaskSketch[] => [
  { work: 10, group: 2, name: 'list', at },
  { work: 1000, group: 2, name: 'shard', needs: [2], at, ...first },
  ...Array.from({ length: count }, () => ({ work: 1000, group: 2, name: 'shard', needs: [2], at }))
]

const latest = (result: SimResult, from: number, to = result.finishedAt.length): number =>
  Math.max(...result.finishedAt.slice(from - 1, to))

test.each(KINDS)(
  'a task of a stage that waits for a busy node holds up none of its siblings (%s)',
  (kind) => {
    const pinned = { host: 'a' }
    const tasks = [{ work: HOUR, selector: pinned }, ...shards({ selector: pinned }, 20, 1)]
    const result = runPolicy(tasks, hosts(kind, 2), policyOn(truth(tasks)))
    expect(latest(result, 4)).toBeLessThan(30_000)
    expect(result.startedAt[2]).toBe(HOUR)
  }
)

test.each(KINDS)('a task of a stage that no node may run holds up none of its siblings (%s)', (kind) => {
  const { nodes, outages } = withGpu(kind, 2)
  const tasks = [{ work: 10 }, ...shards({ selector: GPU }, 3)]
  const result = runPolicy(tasks, nodes, policyOn(truth(tasks)), { outages })
  expect(latest(result, 4)).toBeLessThan(5000)
  expect(result.startedAt[2]).toBe(HOUR)
})

test('a group that waits for a node that is not there leaves its share to others', () => {
  const { nodes, outages } = withGpu('alike', 2, 2)
  const tasks = [
    { work: 10, selector: GPU, group: 1, name: 'a' },
    { work: 10, selector: GPU, group: 1, name: 'b', needs: [1] },
    ...Array.from({ length: 4 }, () => ({ work: 1000, group: 3, name: 'c' })),
    { work: 10, group: 3, name: 'd', needs: [3, 4, 5, 6] }
  ]
  const result = runPolicy(tasks, nodes, policyOn(truth(tasks)), { outages })
  expect(starts(result).slice(2, 6)).toEqual([0, 0, 0, 0])
  expect(result.startedAt[0]).toBe(HOUR)
})

/** A group of two tasks whose work is as said. */
const pair = (first: number, work: number, at: number, selector: Selector = {}): TaskSketch[] => [
  { work, at, group: first, name: `first ${work}`, selector },
  { work, at, group: first, name: `second ${work}`, selector, needs: [first] }
]

test('the earliest group is served in spite of smaller ones, whether or not one before it can be placed', () => {
  const { nodes, outages } = withGpu('alike', 1)
  const run = (blocker: Selector): number => {
    const tasks = [...pair(1, 10, 0, blocker), ...pair(3, 10, 0), ...pair(5, 5000, 1)]
    for (let at = 2; at < 1_000_000; at += 190) tasks.push(...pair(tasks.length + 1, 100, at))
    return runPolicy(tasks, nodes, policyOn(truth(tasks)), { outages }).startedAt[4]!
  }
  const without = run({})
  expect(without).toBeLessThan(600_000)
  expect(run(GPU)).toBeLessThan(1.2 * without)
})

test('a long task is not starved by short ones, whether or not one before it can be placed', () => {
  const { nodes, outages } = withGpu('alike', 1, 2)
  const run = (blocker: Selector): number => {
    const tasks: TaskSketch[] = [
      { work: 10, selector: blocker, name: 'blocker' },
      { work: 30_000, at: 5000, name: 'long' }
    ]
    for (let at = 0; at < HOUR - 1000; at += 476) tasks.push({ work: 1000, at, name: 'short' })
    tasks.sort((a, b) => (a.at ?? 0) - (b.at ?? 0))
    const result = runPolicy(tasks, nodes, policyOn(truth(tasks)), { outages })
    return result.startedAt[tasks.findIndex(({ name }) => name === 'long')]!
  }
  const without = run({})
  expect(without).toBeLessThan(HOUR / 2)
  expect(run(GPU)).toBeLessThan(1.2 * without)
})

test('slow attempts are copied though a task waits that no node could run', () => {
  const { nodes, outages } = withGpu('alike', 2)
  // Its class takes a second; the first attempt takes a minute.
  const model: RunModel = {
    start: (task, _node, { attempt }, plan) => {
      plan.runMs = attempt === 1 ? task.workMs : 1000
    }
  }
  const alone = [
    { work: 60_000, idempotent: true },
    { work: 10, selector: GPU }
  ]
  const grouped = [
    { work: 60_000, idempotent: true },
    { work: 10, selector: GPU, group: 2 },
    { work: 10, selector: GPU, group: 2, needs: [2] }
  ]
  for (const tasks of [alone, grouped]) {
    const result = runPolicy(tasks, nodes, policyOn(known('known', () => 1000)), { model, outages })
    expect(result.finishedAt[0]).toBeLessThan(10_000)
  }
})

/** These, so many groups of two tasks with a larger priority, and one group that anybody may run. */
const crowd = (before: readonly TaskSketch[], count: number, selector: Selector): TaskSketch[] => {
  const tasks = [...before]
  for (let index = 0; index < count; index++)
    tasks.push(...pair(tasks.length + 1, 10, 1, selector).map((task) => ({ ...task, priority: 1 })))
  return [...tasks, ...pair(tasks.length + 1, 1000, 1)]
}

test.each(KINDS)('hundreds of tasks that must wait hold up nothing that comes after them (%s)', (kind) => {
  const { nodes, outages } = withGpu(kind, 2)
  const absent = crowd([], 300, GPU)
  expect(latest(runPolicy(absent, nodes, policyOn(truth(absent)), { outages }), absent.length)).toBeLessThan(
    5000
  )
  const pinned = { host: 'a' }
  const busy = crowd([{ work: HOUR, selector: pinned }], 300, pinned)
  expect(latest(runPolicy(busy, hosts(kind, 2), policyOn(truth(busy))), busy.length)).toBeLessThan(5000)
})

test('where nodes differ, a task goes to the node that is large enough, not to the fast one', () => {
  const [fast, slow] = hosts('mixed', 2)
  const nodes = [
    { ...fast!, resources: { memory: 1 }, speeds: { cpu: 10 } },
    { ...slow!, resources: { memory: 8 } }
  ]
  const tasks = [
    { work: 2000, group: 1, resources: { memory: 1 } },
    { work: 1000, group: 1, resources: { memory: 4 } },
    { work: 1000, group: 1, needs: [1, 2] }
  ]
  const estimator = oracle(
    (id) => tasks[id - 1]!.work,
    (node) => (node === 1 ? 10 : 1)
  )
  const result = runPolicy(tasks, nodes, policyOn(estimator))
  expect(Array.from(result.node)).toEqual([1, 2, 1])
  expect(starts(result).slice(0, 2)).toEqual([0, 0])
})

test('where nodes differ, a node with a slot but without the memory is busy', () => {
  const [fast, slow] = hosts('mixed', 2, 2)
  const nodes = [
    { ...fast!, resources: { memory: 8 }, speeds: { cpu: 2 } },
    { ...slow!, resources: { memory: 8 } }
  ]
  const tasks = [
    { work: 100_000, group: 1, resources: { memory: 6 }, name: 'long' },
    { work: 10_000, group: 1, resources: { memory: 6 }, name: 'large' },
    { work: 10, group: 1, needs: [1, 2] }
  ]
  const estimator = oracle(
    (id) => tasks[id - 1]!.work,
    (node) => (node === 1 ? 2 : 1)
  )
  const result = runPolicy(tasks, nodes, policyOn(estimator))
  expect(starts(result).slice(0, 2)).toEqual([0, 0])
  expect(Array.from(result.node).slice(0, 2)).toEqual([1, 2])
})

test('where nodes differ, a task that failed on the only node for it is tried there again', () => {
  const model: RunModel = {
    start: (task, _node, { attempt }, plan) => {
      plan.runMs = task.workMs
      plan.succeeds = attempt > 1
    }
  }
  const tasks = [
    { work: 1000, group: 1, selector: { host: 'a' } },
    { work: 1000, group: 1, needs: [1] }
  ]
  const result = runPolicy(tasks, hosts('mixed', 2), policyOn(truth(tasks)), { model })
  expect(Array.from(result.succeeded)).toEqual([1, 1])
})

/** Counts questions about who may run what. */
class CountingView extends SimView {
  asked = 0
  override eligible(task: TaskView, node: NodeView): boolean {
    this.asked++
    return super.eligible(task, node)
  }
}

test.each(KINDS)('where tasks may run at all is asked once a shape until nodes change (%s)', (kind) => {
  const sketches: TaskSketch[] = [{ work: 1 }]
  for (let index = 0; index < 100; index++) {
    sketches.push({ work: 1, selector: GPU })
    sketches.push(...pair(sketches.length + 1, 1, 0, GPU).slice(0, 1))
  }
  // Tasks that belong to a group have something to need; here it is the first one.
  const tasks = sketches.map((sketch, index) => {
    const isAlone = index % 2 === 1
    return new LiveTask({ ...taskOf(sketch, index), needs: isAlone ? [] : [taskId(1)] }, [])
  })
  const view = new CountingView(
    tasks,
    hosts(kind, 2).map((node) => new LiveNode(node))
  )
  const policy = policyOn(known('known', () => 1))
  policy.reset(view)
  const [first, ...others] = tasks
  for (const task of others) {
    task.status = 'ready'
    policy.onReady(task, view)
  }
  const SHAPES = kind === 'alike' ? 101 : 2
  expect(view.asked).toBeLessThanOrEqual(SHAPES * 2)
  const before = view.asked
  for (let round = 0; round < 10; round++) {
    expect(policy.next(view)).toBeUndefined()
    policy.onEnded?.({ task: first!, node: nodeId(1), end: 'succeeded', runMs: 1, peakMemoryBytes: 0 }, view)
  }
  expect(view.asked).toBe(before)
  policy.onNodesChanged?.(view)
  expect(view.asked).toBeLessThanOrEqual(2 * before)
})
