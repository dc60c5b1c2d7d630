/** DAGs on nodes that are alike: what waits, and for how long, beside nodes that are idle; and what it costs to count again. */
import { expect, test } from 'vitest'
import type { NodeId, TaskId } from '../../../../base/ids.ts'
import { createRng } from '../../../../base/prng.ts'
import type { Estimator } from '../../../../optimizer/estimate.ts'
import { learnedPolicy } from '../../../../optimizer/policies/learned/index.ts'
import { known } from '../../../../optimizer/policies/predictors.ts'
import { fixedRunTimes } from '../../../../optimizer/sim/run-models.ts'
import type { RunModel, SimResult } from '../../../../optimizer/sim/types.ts'
import { nodesOf, runPolicy } from '../../../helpers/workloads.ts'
import type { TaskSketch } from '../../../helpers/workloads.ts'

/** Stages one after the other: how many tasks, and what each takes. */
function dag(
  tasks: TaskSketch[],
  at: number,
  stages: readonly (readonly [number, number, string])[]
): number {
  const group = tasks.length + 1
  let needs: number[] = []
  for (const [count, work, name] of stages) {
    const own = Array.from({ length: count }, () => tasks.push({ work, name, group, needs, at }))
    needs = own
  }
  return group
}

/** Twelve DAGs that show what a cold start costs, and when they are over. */
function warmUp(): { tasks: TaskSketch[]; at: number } {
  const tasks: TaskSketch[] = []
  for (let index = 0; index < 12; index++)
    dag(tasks, index * 40_000, [
      [40, 1000, 'map'],
      [1, 1000, 'mid'],
      [10, 1000, 'end']
    ])
  return { tasks, at: 480_000 }
}

/** A node that ran another group takes two seconds to begin. */
function coldStarts(): RunModel {
  const last = new Map<NodeId, TaskId>()
  return {
    start: (task, node, _context, plan) => {
      plan.setupMs = last.get(node.id) === task.group ? 0 : 2000
      plan.runMs = task.workMs
      last.set(node.id, task.group)
    }
  }
}

function run(tasks: readonly TaskSketch[], model = fixedRunTimes(), retryDelayMs = 1000): SimResult {
  const policy = learnedPolicy(known('known', () => 1000))(createRng(1))
  return runPolicy(tasks, nodesOf(Array<number>(10).fill(1)), policy, { model, retryDelayMs })
}

test('a group does not keep idle nodes from others for as long as one of its tasks takes', () => {
  const { tasks, at } = warmUp()
  dag(tasks, at, [
    [100, 1000, 'map'],
    [1, 3_600_000, 'mid'],
    [20, 1000, 'end']
  ])
  dag(tasks, at + 60_000, [
    [50, 1000, 'map'],
    [1, 1000, 'end']
  ])
  const { finishedAt } = run(tasks, coldStarts())
  expect(finishedAt[tasks.length - 1]).toBeLessThan(at + 90_000)
})

test('a ready task does not wait for one of its stage that hangs, beside nodes that are free', () => {
  const { tasks, at } = warmUp()
  const group = tasks.length + 1
  const early = tasks.push({ work: 1000, name: 'mid', group, at })
  const late = tasks.push({ work: 20_000, name: 'late', group, at })
  tasks.push({ work: 3_600_000, name: 'end', group, needs: [early], at })
  const ready = tasks.push({ work: 1000, name: 'end', group, needs: [late], at })
  // Its node is taken from it as its first attempt fails there.
  dag(tasks, at + 22_500, [
    [60, 1000, 'map'],
    [1, 1000, 'mid'],
    [40, 1000, 'end']
  ])
  const model = coldStarts()
  const failing: RunModel = {
    start: (task, node, context, plan) => {
      model.start(task, node, context, plan)
      if (task.id === ready && context.attempt === 1) plan.succeeds = false
    }
  }
  const { finishedAt } = run(tasks, failing, 10_000)
  expect(finishedAt[ready - 1]).toBeLessThan(at + 90_000)
})

test('a group that is owed its turn goes before independent tasks, however short', () => {
  const tasks: TaskSketch[] = []
  const group = dag(tasks, 0, [
    [20, 1000, 'root'],
    [1, 1000, 'end']
  ])
  // Ten nodes have no time for anything else: the group would take them two seconds.
  for (let index = 0; index < 2000; index++) tasks.push({ work: 1000, at: 100 * index })
  for (let index = 0; index < 100; index++) tasks.push({ work: 1000, at: 0 })
  tasks.sort((a, b) => (a.at ?? 0) - (b.at ?? 0))
  const { finishedAt } = run(tasks)
  expect(finishedAt[group + 19]).toBeLessThan(120_000)
})

test('what is asked of the estimator grows with the tasks, where each has a name of its own', () => {
  const asked = (count: number): number => {
    let questions = 0
    // It foresees first completions, so its word is asked for.
    const inner = known('known', ({ name }) => 1000 + 7 * Number(name.split(' ')[1]))
    const estimator: Estimator = {
      ...inner,
      name: 'counting',
      classOf: (task) => task.name,
      observe: () => undefined,
      predict: (task, node) => {
        questions++
        return inner.predict(task, node)
      }
    }
    const tasks: TaskSketch[] = []
    for (let group = 0; group < 2; group++) {
      const first = tasks.length + 1
      for (let index = 0; index < count; index++) {
        const needs = index < 10 ? [] : [first + index - 10]
        tasks.push({ work: 1000 + 7 * index, group: first, name: `${group} ${index}`, needs })
      }
    }
    runPolicy(tasks, nodesOf(Array<number>(10).fill(1)), learnedPolicy(estimator)(createRng(1)))
    return questions / tasks.length
  }
  const [few, many] = [asked(100), asked(400)]
  expect(many / few).toBeLessThan(1.5)
})
