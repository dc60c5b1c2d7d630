import { expect, test } from 'vitest'
import fc from 'fast-check'
import { taskId } from '../../../../base/ids.ts'
import { createRng } from '../../../../base/prng.ts'
import { dagFrom, upwardRanks } from '../../../../optimizer/policies/dag.ts'
import { FinishFirst } from '../../../../optimizer/policies/learned/dag-finish.ts'
import { DagPlan } from '../../../../optimizer/policies/learned/dag-plan.ts'
import { learnedPolicy } from '../../../../optimizer/policies/learned/index.ts'
import type { Estimator } from '../../../../optimizer/estimate.ts'
import { known } from '../../../../optimizer/policies/predictors.ts'
import type { RunModel, SimNode } from '../../../../optimizer/sim/types.ts'
import { LiveNode, LiveTask, SimView } from '../../../../optimizer/sim/view.ts'
import { nodesOf, runPolicy, taskOf } from '../../../helpers/workloads.ts'
import type { TaskSketch } from '../../../helpers/workloads.ts'

const mixed = (speeds: readonly number[]): SimNode[] =>
  nodesOf(speeds).map((node, index) => ({ ...node, profile: `p${index}` }))

/** Levels of tasks; those of one level need all, or a drawn few, of the level before. */
const levels = fc.array(
  fc.record({
    width: fc.integer({ min: 1, max: 5 }),
    all: fc.boolean(),
    ms: fc.integer({ min: 1, max: 99 })
  }),
  { minLength: 1, maxLength: 6 }
)

function viewOf(drawn: readonly { width: number; all: boolean; ms: number }[]): SimView {
  const sketches: TaskSketch[] = []
  let before: number[] = []
  drawn.forEach(({ width, all, ms }, level) => {
    const needs = before
    before = Array.from({ length: width }, (_, at) => {
      const own = all ? needs : needs.filter((_need, index) => (index + at) % 2 === 0)
      return sketches.push({ work: ms, group: 1, name: `l${level}`, needs: own })
    })
  })
  const shared = new Map<string, ReturnType<typeof taskId>[]>()
  const tasks = sketches.map((sketch, index) => {
    const ids = sketches.flatMap(({ needs }, at) =>
      needs?.includes(index + 1) === true ? [taskId(at + 1)] : []
    )
    const key = ids.join()
    if (!shared.has(key)) shared.set(key, ids)
    return new LiveTask(taskOf(sketch, index), shared.get(key)!)
  })
  return new SimView(tasks, [])
}

test('ranks of a plan are those of the DAG edge by edge, and what is left is what has not finished', () => {
  fc.assert(
    fc.property(levels, (drawn) => {
      const view = viewOf(drawn)
      const msOf = (name: string): number => drawn[Number(name.slice(1))]!.ms
      const estimator = known('known', (task) => msOf(task.name))
      const roots = view.tasks.filter(({ needs }) => needs.length === 0)
      const plan = new DagPlan(roots, view, estimator)
      const dag = dagFrom(roots, view)
      const costs = Float64Array.from(dag.ids, (id) => msOf(view.task(id)!.name))
      const ranks = upwardRanks(dag, costs)
      plan.rank((task) => msOf(task.name))
      expect(dag.ids.map((id) => plan.rankAt(plan.placeOf(id)))).toEqual(Array.from(ranks))
      expect(dag.ids.map((id, index) => plan.belowOf(id) + costs[index]!)).toEqual(Array.from(ranks))
      expect(plan.remainingMs).toBe(costs.reduce((sum, ms) => sum + ms, 0))
      const [first] = dag.ids
      plan.finished(first!)
      // As in a cluster, it is gone from the view: others of its class still count.
      view.tasks[first! - 1]!.status = 'succeeded'
      plan.rank((task) => msOf(task.name))
      expect(plan.left).toBe(dag.ids.length - 1)
      expect(plan.remainingMs).toBe(costs.reduce((sum, ms) => sum + ms, 0) - costs[0]!)
    })
  )
})

test('tasks of one class that lead to the same tasks stand in one place, and a stranger nowhere', () => {
  const view = viewOf([
    { width: 5, all: true, ms: 1 },
    { width: 2, all: true, ms: 2 }
  ])
  const estimator = known('known', () => 1)
  const plan = new DagPlan([...view.tasks], view, estimator)
  const places = view.tasks.map(({ id }) => plan.placeOf(id))
  expect(new Set(places.slice(0, 5)).size).toBe(1)
  expect(new Set(places).size).toBe(2)
  expect(plan.rankAt(plan.placeOf(taskId(99)))).toBe(0)
})

test('a task that got a slow node because the fast one was busy is copied when that is free', () => {
  // The first is thought to take long, so the second goes to the slow node; the first is over at once.
  const tasks: TaskSketch[] = [
    { work: 100, group: 1, name: 'liar', idempotent: true },
    { work: 4000, group: 1, name: 'honest', idempotent: true },
    { work: 10, group: 1, name: 'end', needs: [1, 2], idempotent: true }
  ]
  const run = (idempotent: boolean): ReturnType<typeof runPolicy> =>
    runPolicy(
      tasks.map((task) => ({ ...task, idempotent })),
      mixed([4, 1]),
      learnedPolicy(
        known(
          'known',
          ({ name }) => (name === 'liar' ? 40_000 : 4000),
          (node) => (node === 1 ? 4 : 1)
        )
      )(createRng(1))
    )
  // 25 ms on the fast node, then 1 s for the copy there instead of 4 s.
  expect(run(true).finishedAt[1]).toBe(1025)
  expect(run(true).attemptCount).toBe(4)
  expect(run(false).finishedAt[1]).toBe(4000)
})

/** Run times are exponential around a mean by name, on nodes of these speeds. */
function exponential(meanMs: (name: string) => number, speeds: readonly number[]): Estimator {
  return {
    name: 'exponential',
    classOf: (task) => task.name,
    predict: (task, node) => {
      const mean = meanMs(task.name) / (node === undefined ? 1 : speeds[node.id - 1]!)
      return {
        meanMs: mean,
        medianMs: mean * Math.LN2,
        quantileMs: (q) => -Math.log(1 - Math.min(q, 1 - 1e-9)) * mean,
        remainingMs: () => mean,
        failureProbability: 0,
        memoryBytes: () => 0
      }
    },
    observe: () => undefined
  }
}

test('an idle node runs again what might take long on a slower one, and what ends soon is let be', () => {
  const attemptsOf = (spread: boolean): number => {
    const speeds = [1.9, 1]
    const meanMs = (name: string): number => (name === 'unsure' ? 1000 : 10)
    const estimator = spread
      ? exponential(meanMs, speeds)
      : known(
          'known',
          ({ name }) => meanMs(name),
          (node) => speeds[node - 1]!
        )
    const tasks: TaskSketch[] = [
      { work: 1600, group: 1, name: 'unsure', idempotent: true },
      { work: 1900, group: 1, name: 'unsure', idempotent: true },
      { work: 10, group: 1, name: 'end', needs: [1, 2], idempotent: true }
    ]
    return runPolicy(tasks, mixed(speeds), learnedPolicy(estimator)(createRng(1))).attemptCount
  }
  // After 842 ms the fast node is idle. By the mean 158 ms are left on the slow one, less than a copy takes; it may be more.
  expect(attemptsOf(true)).toBe(4)
  expect(attemptsOf(false)).toBe(3)
})

test('a copy that saves little is made while one group is there, not while another may want its node', () => {
  const speeds = [1.25, 1, 0.9]
  const estimator = known(
    'known',
    ({ name }) => ({ liar: 40_000, other: 5000, end: 10 })[name] ?? 4000,
    (node) => speeds[node - 1]!
  )
  const tasks: TaskSketch[] = [
    { work: 100, group: 1, name: 'liar', idempotent: true },
    { work: 4000, group: 1, name: 'honest', idempotent: true },
    { work: 10, group: 1, name: 'end', needs: [1, 2], idempotent: true }
  ]
  const other: TaskSketch[] = [
    { work: 5000, group: 4, name: 'other', at: 50 },
    { work: 10, group: 4, name: 'end', needs: [4], at: 50 }
  ]
  const endOf = (all: TaskSketch[]): number =>
    runPolicy(all, mixed(speeds), learnedPolicy(estimator)(createRng(1))).finishedAt[1]!
  // 80 ms on the fast node, then 3.2 s for the copy instead of 3.92 s that are left.
  expect(endOf(tasks)).toBe(3280)
  expect(endOf([...tasks, ...other])).toBe(4000)
})

test('what was copied because it took suspiciously long is not copied again when a faster node is idle', () => {
  const speeds = [2, 1, 8]
  const estimator = known(
    'known',
    ({ name }) => ({ busy: 80_000, liar: 1000 })[name] ?? 10,
    (node) => speeds[node - 1]!
  )
  const tasks: TaskSketch[] = [
    { work: 40_000, group: 1, name: 'busy', idempotent: true },
    { work: 100_000, group: 1, name: 'liar', idempotent: true },
    { work: 10, group: 1, name: 'end', needs: [1, 2], idempotent: true }
  ]
  // The liar is copied from the first node to the slow one; the fast one is idle from 5 s on.
  expect(runPolicy(tasks, mixed(speeds), learnedPolicy(estimator)(createRng(1))).attemptCount).toBe(4)
})

test('what was copied because a faster node was idle is not copied again when both attempts take suspiciously long', () => {
  const speeds = [4, 1, 1]
  const estimator = known(
    'known',
    ({ name }) => ({ liar: 40_000, late: 4000 })[name] ?? 10,
    (node) => speeds[node - 1]!
  )
  const tasks: TaskSketch[] = [
    { work: 100, group: 1, name: 'liar', idempotent: true },
    { work: 100_000, group: 1, name: 'late', idempotent: true },
    { work: 10, group: 1, name: 'end', needs: [1, 2], idempotent: true }
  ]
  const { attemptCount, finishedAt } = runPolicy(tasks, mixed(speeds), learnedPolicy(estimator)(createRng(1)))
  // The late one is copied to the fast node after 25 ms; the third node is idle, and would be through in 4 s, as far as is known.
  expect(finishedAt[1]).toBe(25_025)
  expect(attemptCount).toBe(4)
})

test('a copy waits for a fast node that is free soon rather than take a mediocre one', () => {
  const speeds = [4, 2.2, 1]
  const meanMs = (name: string): number => ({ busy: 2000, brief: 900, unsure: 600 })[name] ?? 10
  const sure = known(
    'known',
    ({ name }) => meanMs(name),
    (node) => speeds[node - 1]!
  )
  const unsure = exponential(meanMs, speeds)
  const estimator: Estimator = {
    ...sure,
    predict: (task, node) => (task.name === 'unsure' ? unsure : sure).predict(task, node)
  }
  const tasks: TaskSketch[] = [
    { work: 2400, group: 1, name: 'busy', idempotent: true },
    { work: 1000, group: 1, name: 'brief', idempotent: true },
    { work: 9000, group: 1, name: 'unsure', idempotent: true },
    { work: 10, group: 1, name: 'end', needs: [1, 2, 3], idempotent: true }
  ]
  const { node, finishedAt, attemptCount } = runPolicy(
    tasks,
    mixed(speeds),
    learnedPolicy(estimator)(createRng(1))
  )
  // The second node is idle from 455 ms on, the fastest from 600 ms.
  expect(attemptCount).toBe(5)
  expect(node[2]).toBe(1)
  expect(finishedAt[2]).toBe(600 + 9000 / 4)
})

test('who waits for a fast node looks elsewhere when what runs there goes on and on', () => {
  const speeds = [8, 1]
  const tasks: TaskSketch[] = [
    { work: 8000, group: 1, name: 'stuck' },
    { work: 8000, group: 1, name: 'usual' },
    { work: 10, group: 1, name: 'end', needs: [1, 2] }
  ]
  const estimator = known(
    'known',
    ({ name }) => (name === 'end' ? 10 : 8000),
    (node) => speeds[node - 1]!
  )
  const model: RunModel = {
    start: (task, node, _context, plan) => {
      plan.runMs = task.name === 'stuck' ? 8_000_000 : task.workMs / speeds[node.id - 1]!
    }
  }
  const policy = learnedPolicy(estimator)(createRng(1))
  const { finishedAt, node } = runPolicy(tasks, mixed(speeds), policy, { model })
  expect([node[0], node[1]]).toEqual([1, 2])
  // The other was to end within 1 s there, and the slow node takes 8 s.
  expect(finishedAt[1]).toBeLessThan(60_000)
})

test('a group that waited out of proportion to its work goes before smaller ones', () => {
  const small = (index: number): TaskSketch[] => {
    const first = 3 + 2 * index
    const common = { group: first, at: 50 + 100 * Math.max(0, index - 2), name: 'small' }
    return [
      { work: 100, ...common },
      { work: 100, ...common, needs: [first] }
    ]
  }
  const tasks: TaskSketch[] = [
    { work: 1000, group: 1, name: 'big', at: 50 },
    { work: 1000, group: 1, name: 'big', at: 50, needs: [1] },
    ...Array.from({ length: 1000 }, (_, index) => small(index)).flat()
  ]
  const estimator = known('known', ({ name }) => (name === 'big' ? 1000 : 100))
  const result = runPolicy(tasks, mixed([1, 1]), learnedPolicy(estimator)(createRng(1)))
  // Small ones alone fill both nodes for 100 s; the big one would take a second on each.
  expect(result.startedAt[0]).toBeGreaterThan(25_000)
  expect(result.finishedAt[1]).toBeLessThan(40_000)
})

test('a group that waits while single tasks keep all nodes busy has its turn when it has waited out of proportion', () => {
  const tasks: TaskSketch[] = [
    { work: 1000, group: 1, name: 'dag', at: 50 },
    { work: 1000, group: 1, name: 'dag', needs: [1], at: 50 },
    // 5 % more than both nodes can do, for 100 s.
    ...Array.from({ length: 2100 }, (_, index) => ({
      work: 100,
      name: 'single',
      at: 50 + 47.6 * Math.max(0, index - 3)
    }))
  ]
  const estimator = known('known', ({ name }) => (name === 'dag' ? 1000 : 100))
  const result = runPolicy(tasks, mixed([1, 1]), learnedPolicy(estimator)(createRng(1)))
  // 30 times the second that it takes on both.
  expect(result.startedAt[0]).toBeGreaterThan(25_000)
  expect(result.finishedAt[1]).toBeLessThan(70_000)
})

test('nothing is remembered of DAGs that are over, also where most of their tasks were never ready', () => {
  const estimator = known('known', () => 100)
  for (const isFailed of [false, true]) {
    const group = new FinishFirst(estimator)
    const tasks = [[], [1], [1], [2, 3]].map(
      (needs, index) =>
        new LiveTask(
          taskOf({ work: 1, group: 1, name: `n${index}`, needs }, index),
          [[2, 3], [4], [4], []][index]!.map(taskId)
        )
    )
    const view = new SimView(
      tasks,
      mixed([1, 2]).map((node) => new LiveNode(node))
    )
    group.reset(view)
    for (const task of isFailed ? tasks.slice(0, 1) : tasks) {
      task.status = 'ready'
      group.add(task, view)
      const choice = group.peek(view)
      expect(choice?.taskId).toBe(task.id)
      task.status = 'running'
      group.gone(task.id, choice!.node, view)
      const end = isFailed ? 'failed' : 'succeeded'
      group.ended({ task, node: choice!.node, end, runMs: 1, peakMemoryBytes: 0 })
      task.status = end
      group.finished(task.id)
    }
    expect(group.remembered > 0).toBe(isFailed)
    for (const { id } of tasks) group.finished(id)
    expect(group.remembered).toBe(0)
  }
})
