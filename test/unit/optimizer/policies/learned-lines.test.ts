/** Many shapes in one stage: a decision asks a bounded number of them, and all have their turn. */
import { expect, test } from 'vitest'
import { nodeId, taskId } from '../../../../base/ids.ts'
import { createRng } from '../../../../base/prng.ts'
import { timestampMs } from '../../../../base/units.ts'
import { learnedPolicy } from '../../../../optimizer/policies/learned/index.ts'
import {
  Lines,
  NO_ROOM,
  type Line,
  type Search
} from '../../../../optimizer/policies/learned/groups-lines.ts'
import { known } from '../../../../optimizer/policies/predictors.ts'
import { LiveNode, LiveTask, SimView } from '../../../../optimizer/sim/view.ts'
import type { NodeView, Policy, TaskView } from '../../../../scheduler/policy.ts'
import { nodesOf, taskOf } from '../../../helpers/workloads.ts'

/** Counts questions about room. */
class CountingView extends SimView {
  asked = 0
  override fits(task: TaskView, node: NodeView): boolean {
    this.asked++
    return super.fits(task, node)
  }
}

/** A stage of `count` ready tasks with these amounts of memory, and nodes of so many slots that have so much each. */
function scene(
  memory: (index: number) => number,
  count: number,
  nodes: number,
  slots: number,
  capacity: number
): { view: CountingView; tasks: LiveTask[]; policy: Policy } {
  const last = taskId(count + 1)
  const tasks = Array.from({ length: count }, (_, index) => {
    const sketch = { work: 1, group: 1, name: 'shard', resources: { memory: memory(index) } }
    return new LiveTask(taskOf(sketch, index), [last])
  })
  const needs = tasks.map(({ id }) => id)
  const end = new LiveTask({ ...taskOf({ work: 1, group: 1, name: 'end' }, count), needs }, [])
  const view = new CountingView(
    [...tasks, end],
    nodesOf(Array<number>(nodes).fill(1), slots).map(
      (node) => new LiveNode({ ...node, resources: { memory: capacity } })
    )
  )
  const policy = learnedPolicy(known('known', () => 1))(createRng(1))
  policy.reset(view)
  for (const task of tasks) {
    // One after the other: of what comes at once the policy would look at a part only.
    view.now = timestampMs(view.now + 1)
    task.status = 'ready'
    policy.onReady(task, view)
  }
  return { view, tasks, policy }
}

/** Places what the policy says, at most so many tasks; returns how many it placed. */
function place(policy: Policy, view: CountingView, limit: number): number {
  for (let count = 0; count < limit; count++) {
    const choice = policy.next(view)
    const task = choice === undefined ? undefined : view.task(choice.taskId)
    if (choice === undefined || task === undefined) return count
    task.status = 'running'
    view.node(choice.node)?.take(task.resources, 1)
    policy.onGone(task.id, view)
  }
  return limit
}

/** All that was placed succeeds. */
function finish(
  policy: Policy,
  view: CountingView,
  tasks: readonly LiveTask[],
  on: (task: LiveTask) => number
): void {
  for (const task of tasks) {
    if (task.status !== 'running') continue
    const node = nodeId(on(task))
    view.node(node)?.take(task.resources, -1)
    task.status = 'succeeded'
    policy.onEnded?.({ task, node, end: 'succeeded', runMs: 1, peakMemoryBytes: 0 }, view)
    policy.onFinished?.(task.id, view)
  }
}

test('a round of a stage whose tasks all differ asks about as much at the end as at the beginning', () => {
  const { view, tasks, policy } = scene((index) => index, 2000, 1, 100, 1e9)
  const asked: number[] = []
  for (let round = 0; round < 20; round++) {
    view.asked = 0
    expect(place(policy, view, 100)).toBe(100)
    asked.push(view.asked)
    finish(policy, view, tasks, () => 1)
  }
  expect(Math.max(...asked)).toBeLessThanOrEqual(200)
})

test('the only task that fits is found behind thousands that do not, which are not asked again before room appears', () => {
  const COUNT = 5000
  const { view, tasks, policy } = scene((index) => (index === COUNT - 1 ? 1 : 10 + index), COUNT, 1, 3, 1e6)
  view.node(nodeId(1))?.take({ memory: 1e6 - 5 }, 1)
  let questions = 0
  for (; place(policy, view, 1) === 0; questions++) {
    expect(policy.wakeAt?.(view)).toBe(view.now)
    expect(view.asked).toBeLessThanOrEqual((questions + 1) * 1000)
    expect(questions).toBeLessThan(COUNT)
  }
  expect(questions).toBeGreaterThanOrEqual(4)
  expect(view.task(taskId(COUNT))?.status).toBe('running')
  expect(view.asked).toBeLessThanOrEqual(2 * COUNT)
  expect(place(policy, view, 1)).toBe(0)
  expect(policy.wakeAt?.(view)).toBeUndefined()
  view.node(nodeId(1))?.take({ memory: 1e6 - 5 }, -1)
  finish(policy, view, tasks, () => 1)
  expect(place(policy, view, 1)).toBe(1)
})

test('a line is forgotten with the last of its tasks', () => {
  const lines = new Lines()
  const shapes = [1, 2, 1].map(
    (memory, index) => new LiveTask(taskOf({ work: 1, resources: { memory } }, index), [])
  )
  const [first, second, third] = shapes.map((task) => lines.found(task))
  expect(first).toBe(third)
  expect(lines.size).toBe(2)
  lines.finished(first!)
  lines.finished(second!)
  expect([...lines.all()]).toEqual([first])
  lines.finished(third!)
  expect(lines.size).toBe(0)
})

test('a line that has no room is asked again when there may be some, one that would not is asked in each search', () => {
  const tasks = Array.from(
    { length: 3 },
    (_, index) => new LiveTask(taskOf({ work: 1, resources: { memory: index } }, index), [])
  )
  const view = new SimView(
    tasks,
    nodesOf([1]).map((node) => new LiveNode(node))
  )
  const lines = new Lines()
  const all = tasks.map((task) => {
    const line = lines.found(task)
    lines.add(line, task, view)
    return line
  })
  const search: Search = { id: 0, room: 0, unfinished: false }
  const asked = (answer: (line: Line) => typeof NO_ROOM | undefined): number[] => {
    search.id++
    const seen: number[] = []
    lines.ask(search, (line) => {
      seen.push(all.indexOf(line))
      return answer(line)
    })
    return seen
  }
  expect(asked((line) => (line === all[1] ? NO_ROOM : undefined))).toEqual([0, 1, 2])
  expect(asked(() => undefined)).toEqual([0, 2])
  search.room++
  expect(asked(() => undefined)).toEqual([0, 2, 1])
  expect(asked(() => NO_ROOM)).toEqual([0, 2, 1])
  expect(asked(() => NO_ROOM)).toEqual([])
  lines.remove(all[1]!, tasks[1]!.id)
  search.room++
  expect(asked(() => undefined)).toEqual([0, 2])
  lines.remove(all[0]!, tasks[0]!.id)
  expect(asked(() => undefined)).toEqual([2])
  for (const [index, task] of tasks.entries()) lines.add(all[index]!, task, view)
  lines.reach(view)
  expect(asked(() => NO_ROOM)).toEqual([0, 1, 2])
})
