/** A policy that meets very many tasks at once looks at some in each moment, and at all in the end. */
import { expect, test } from 'vitest'
import { createRng } from '../../../../base/prng.ts'
import { timestampMs } from '../../../../base/units.ts'
import { learnedPolicy } from '../../../../optimizer/policies/learned/index.ts'
import { known } from '../../../../optimizer/policies/predictors.ts'
import { LiveNode, LiveTask, SimView } from '../../../../optimizer/sim/view.ts'
import type { Policy } from '../../../../scheduler/policy.ts'
import { nodesOf, taskOf } from '../../../helpers/workloads.ts'

const COUNT = 3000
const PLENTY = 300

/** `COUNT` ready tasks of classes of their own, the later the shorter, and a policy that counts what it asks of its estimator. */
function scene({ slots = COUNT, urgent = 0 } = {}): {
  view: SimView
  tasks: LiveTask[]
  policy: Policy
  asked: () => number
} {
  const tasks = Array.from(
    { length: COUNT },
    (_, index) =>
      new LiveTask(
        taskOf({ work: 1, name: `job-${index}`, priority: index + 1 === urgent ? 100 : 0 }, index),
        []
      )
  )
  for (const task of tasks) task.status = 'ready'
  const view = new SimView(
    tasks,
    nodesOf([1], slots).map((node) => new LiveNode(node))
  )
  view.now = timestampMs(1)
  const inner = known('known', (task) => COUNT - task.id + 1)
  let asked = 0
  const counting = {
    ...inner,
    predict: (...about: Parameters<typeof inner.predict>) => {
      asked++
      return inner.predict(...about)
    }
  }
  return { view, tasks, policy: learnedPolicy(counting)(createRng(1)), asked: () => asked }
}

/** Places what the policy says at this moment; returns the tasks. */
function placeAll(policy: Policy, view: SimView): LiveTask[] {
  const placed: LiveTask[] = []
  for (let choice = policy.next(view); choice !== undefined; choice = policy.next(view)) {
    const task = view.task(choice.taskId) as LiveTask
    task.status = 'running'
    view.node(choice.node)?.take(task.resources, 1)
    policy.onGone(task.id, view)
    placed.push(task)
  }
  return placed
}

test('a policy that begins with thousands of tasks asks about some hundred in a moment, and has placed all after some moments', () => {
  const { view, policy, asked } = scene()
  policy.reset(view)
  expect(asked()).toBe(0)
  let placed = 0
  let moments = 0
  for (; placed < COUNT; moments++) {
    const before = asked()
    placed += placeAll(policy, view).length
    expect(asked() - before).toBeLessThanOrEqual(3 * PLENTY)
    if (placed === COUNT) break
    const at = policy.wakeAt?.(view)
    expect(at).toBeGreaterThan(view.now)
    view.now = at!
  }
  expect(moments).toBeGreaterThan(5)
  expect(policy.wakeAt?.(view)).toBeUndefined()
})

test('of thousands that become ready at once the first are looked at, and one that comes later does not wait behind them', () => {
  const { view, tasks, policy, asked } = scene()
  const late = tasks.at(-1)!
  for (const task of tasks) task.status = 'pending'
  policy.reset(view)
  for (const task of tasks.slice(0, -1)) {
    task.status = 'ready'
    policy.onReady(task, view)
  }
  expect(asked()).toBeLessThanOrEqual(PLENTY)
  view.now = timestampMs(view.now + 1)
  late.status = 'ready'
  policy.onReady(late, view)
  // The shortest of all.
  expect(policy.next(view)?.taskId).toBe(late.id)
})

test('of larger priority goes first what was not looked at yet as well, where it begins and where much becomes ready at once', () => {
  for (const isReset of [true, false]) {
    const { view, tasks, policy } = scene({ slots: 4, urgent: COUNT - 2 })
    if (!isReset) {
      for (const task of tasks) task.status = 'pending'
      policy.reset(view)
      for (const task of tasks) {
        task.status = 'ready'
        policy.onReady(task, view)
      }
    } else policy.reset(view)
    const placed: LiveTask[] = []
    for (let moment = 0; moment < 40 && placed.length < 4; moment++) {
      placed.push(...placeAll(policy, view))
      view.now = timestampMs(view.now + 1)
    }
    expect(placed).toHaveLength(4)
    expect(placed[0]!.id).toBe(COUNT - 2)
  }
})

test('a task that is withdrawn before it was looked at is never offered', () => {
  const { view, tasks, policy } = scene()
  policy.reset(view)
  const gone = tasks.slice(1000, 2000)
  for (const task of gone) {
    task.status = 'succeeded'
    policy.onGone(task.id, view)
  }
  const placed: LiveTask[] = []
  for (let moment = 0; moment < 30; moment++) {
    placed.push(...placeAll(policy, view))
    view.now = timestampMs(view.now + 1)
  }
  expect(placed).toHaveLength(COUNT - 1000)
  expect(placed.filter((task) => gone.includes(task))).toEqual([])
})
