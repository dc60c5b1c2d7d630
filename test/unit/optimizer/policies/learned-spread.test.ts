import { expect, test } from 'vitest'
import { nodeId } from '../../../../base/ids.ts'
import { createRng } from '../../../../base/prng.ts'
import type { Estimator } from '../../../../optimizer/estimate.ts'
import { createLearnedEstimator } from '../../../../optimizer/estimator/learned.ts'
import { createStatistics } from '../../../../optimizer/estimator/statistics.ts'
import { TrustedEstimator } from '../../../../optimizer/guard/trusted-estimator.ts'
import { IndependentQueue } from '../../../../optimizer/policies/learned/independent-queue.ts'
import { learnedPolicy } from '../../../../optimizer/policies/learned/index.ts'
import { chooseNode } from '../../../../optimizer/policies/learned/node-choice.ts'
import { known } from '../../../../optimizer/policies/predictors.ts'
import type { SimNode } from '../../../../optimizer/sim/types.ts'
import { LiveNode, LiveTask, SimView } from '../../../../optimizer/sim/view.ts'
import { nodesOf, runPolicy, taskOf } from '../../../helpers/workloads.ts'
import type { TaskSketch } from '../../../helpers/workloads.ts'

const SLOTS = 4
/** The first node takes eight times as long as its equals. */
const AILING = [1 / 8, 1, 1]
const ROUND_MS = 20_000

/** Rounds of submissions, each of which has ended when the next one comes. */
type Round = (at: number, first: number, workMs: () => number) => TaskSketch[]

const alone =
  (count: number): Round =>
  (at, first, workMs) =>
    Array.from({ length: count }, (_, index) => ({ work: workMs(), at, name: 'a', group: first + index }))

/** A DAG: so many tasks, and one that needs them all. */
const fork =
  (count: number): Round =>
  (at, first, workMs) => [
    ...Array.from({ length: count }, () => ({ work: workMs(), at, name: 'a', group: first })),
    {
      work: workMs(),
      at,
      name: 'b',
      group: first,
      needs: Array.from({ length: count }, (_, index) => first + index)
    }
  ]

/** Times around 200 ms that differ by a factor of e^±spread. */
function times(seed: number, spread: number): () => number {
  const rng = createRng(seed)
  return () => Math.round(200 * Math.exp(spread * (2 * rng.nextFloat() - 1)))
}

/** How many tasks of the first stage each node began at once, round by round. */
function spreadOf(
  rounds: readonly Round[],
  cluster: readonly SimNode[],
  estimator: Estimator,
  workMs: () => number = () => 1000
): number[][] {
  const tasks: TaskSketch[] = []
  rounds.forEach((round, index) => tasks.push(...round(index * ROUND_MS, tasks.length + 1, workMs)))
  const result = runPolicy(tasks, cluster, learnedPolicy(estimator)(createRng(1)))
  return rounds.map((_, round) =>
    cluster.map(
      ({ id }) =>
        result.attempts.filter(({ node, placedAt }) => node === id && placedAt === round * ROUND_MS).length
    )
  )
}

const sum = (counts: readonly number[]): number => counts.reduce((total, count) => total + count, 0)
const repeated = (round: Round, count: number): Round[] => new Array<Round>(count).fill(round)

test.each([
  ['4 tasks', alone(4), [2, 1, 1]],
  ['6 tasks', alone(6), [2, 2, 2]],
  ['the 4 first tasks of a DAG', fork(4), [2, 1, 1]],
  ['the 6 first tasks of a DAG', fork(6), [2, 2, 2]]
])('on idle nodes that are alike %s are spread', (_name, round, spread) => {
  expect(spreadOf([round], nodesOf([1, 1, 1], SLOTS), createLearnedEstimator())).toEqual([spread])
})

test('a larger node takes more, in proportion to its slots', () => {
  const cluster = nodesOf([1, 1]).map((node, index) => ({ ...node, slots: index === 0 ? 2 : 6 }))
  expect(spreadOf([alone(4)], cluster, createLearnedEstimator())).toEqual([[1, 3]])
})

test('among nodes on which a task packs as well, the one with the larger share of free slots takes it', () => {
  const nodes = nodesOf([1, 1]).map((node, index) => new LiveNode({ ...node, slots: index === 0 ? 4 : 16 }))
  // No node limits licences, so only slots count: a quarter of a quarter is as much as a sixteenth of all.
  nodes[0]!.freeSlots = 1
  const task = new LiveTask(taskOf({ work: 1, resources: { licences: 1 } }, 0), [])
  const view = new SimView([task], nodes)
  const node = chooseNode(
    task,
    view.nodes(),
    view,
    known('known', () => 1000),
    () => true
  )
  expect(node?.id).toBe(2)
})

const ESTIMATORS: readonly (readonly [string, () => Estimator])[] = [
  ['learned', () => createLearnedEstimator()],
  ['statistics', () => createStatistics()],
  ['guarded', () => new TrustedEstimator(createLearnedEstimator())]
]

test.each(ESTIMATORS)('a node that ails is left to what others have no room for: %s', (_name, make) => {
  for (const round of [alone, fork]) {
    const rounds = [...repeated(round(3), 60), round(8), round(12)]
    const spread = spreadOf(rounds, nodesOf(AILING, SLOTS), make(), times(1, 0.3))
    const onAiling = spread.map(([ailing = 0]) => ailing)
    // It is found out within some tens of its own runs, and tried again now and then as what is known of the others moves.
    expect(sum(onAiling.slice(0, 10))).toBe(10)
    expect(sum(onAiling.slice(30, 60))).toBeLessThanOrEqual(2)
    expect(onAiling[60]).toBeLessThanOrEqual(1)
    expect(spread[61]).toEqual([4, 4, 4])
  }
})

test('what only a node that ails may run runs there, beside others that stand idle', () => {
  const cluster = nodesOf(AILING, SLOTS).map((node, index) => ({
    ...node,
    labels: index === 0 ? { disk: 'large' } : {}
  }))
  for (const round of [alone, fork]) {
    const bound: Round = (...drawn) =>
      round(4)(...drawn).map((task) => ({ ...task, selector: { disk: 'large' } }))
    const spread = spreadOf([...repeated(round(3), 60), bound], cluster, createLearnedEstimator())
    expect(spread[60]).toEqual([4, 0, 0])
  }
})

test.each([1, 2, 3, 4, 5])('nodes that differ by noise alone are spread over for ever, seed %i', (seed) => {
  for (const round of [alone, fork]) {
    const spread = spreadOf(
      repeated(round(3), 150),
      nodesOf([1, 1, 1], SLOTS),
      createLearnedEstimator(),
      times(seed, 1)
    )
    expect(spread.filter((nodes) => nodes.includes(0))).toEqual([])
  }
})

test('a run on a node that is known to ail says what a typical node takes', () => {
  const inner = createStatistics()
  const estimator: Estimator = {
    name: 'told',
    classOf: (task) => inner.classOf(task),
    predict: (task, node) => inner.predict(task, node),
    observe: () => undefined,
    lnNodeFactor: (node) => (node.id === 2 ? Math.log(8) : 0)
  }
  const areaAfter = (node: number, runMs: number): number => {
    const tasks = new Array<TaskSketch>(3).fill({ work: 1000 })
    const view = new SimView(
      tasks.map((task, index) => new LiveTask(taskOf(task, index), [])),
      nodesOf([1, 1]).map((spec) => new LiveNode(spec))
    )
    const queue = new IndependentQueue(estimator)
    queue.reset(view)
    for (const task of view.tasks) queue.add(task, view)
    const { taskId } = queue.peek(view)!
    queue.gone(taskId, view)
    const task = view.task(taskId)!
    queue.ended({ task, node: nodeId(node), end: 'succeeded', runMs, peakMemoryBytes: 0 }, view)
    return queue.peek(view)!.areaMs
  }
  expect(areaAfter(2, 8000)).toBeCloseTo(areaAfter(1, 1000))
  expect(areaAfter(1, 8000)).toBeGreaterThan(2 * areaAfter(1, 1000))
})

test('a node that failed a task of a DAG is left to others while there is room elsewhere, and tried again where there is none', () => {
  const tasks: TaskSketch[] = [
    { work: 100, group: 1 },
    { work: 100, group: 1, needs: [1] }
  ]
  const run = (nodes: readonly SimNode[], succeeds: (node: number, attempt: number) => boolean): number[] => {
    const failures: number[] = []
    const result = runPolicy(tasks, nodes, learnedPolicy(known('known', () => 100))(createRng(1)), {
      model: {
        start: (task, node, { attempt }, plan) => {
          plan.runMs = task.workMs
          plan.succeeds = succeeds(node.id, attempt)
          if (!plan.succeeds) failures.push(node.id)
        }
      }
    })
    expect(Array.from(result.succeeded)).toEqual([1, 1])
    return failures
  }
  // Each of the two tasks may begin on the node that fails all.
  expect(run(nodesOf([1, 1], SLOTS), (node) => node !== 1).length).toBeLessThanOrEqual(tasks.length)
  expect(run(nodesOf([1], SLOTS), (_, attempt) => attempt > 2)).toEqual([1, 1, 1, 1])
})
