import { expect, test } from 'vitest'
import { nodeId, type TaskId } from '../../../../base/ids.ts'
import { timestampMs } from '../../../../base/units.ts'
import { LiveNode, LiveTask, SimView } from '../../../../optimizer/sim/view.ts'
import { IdleWatch } from '../../../../runtime/leader/idle-watch.ts'
import { nodesOf, taskOf } from '../../../helpers/workloads.ts'
import type { TaskSketch } from '../../../helpers/workloads.ts'

/** Counts how often ready tasks are gone through, and how many are looked at. */
class CountingView extends SimView {
  scans = 0
  looked = 0
  override readyIds(): Iterable<TaskId> {
    this.scans++
    return super.readyIds()
  }
  override task(id: TaskId): LiveTask | undefined {
    this.looked++
    return super.task(id)
  }
}

/** Two nodes, and tasks that are ready. */
function scene(sketches: readonly TaskSketch[]): { watch: IdleWatch; view: CountingView } {
  const tasks = sketches.map((sketch, index) => new LiveTask(taskOf(sketch, index), []))
  for (const task of tasks) task.status = 'ready'
  const view = new CountingView(
    tasks,
    nodesOf([1, 1]).map((node) => new LiveNode(node))
  )
  return { watch: new IdleWatch(), view }
}

/** Asks every 100 ms until something is wrong; returns what, and when. */
function wrongWithin(watch: IdleWatch, view: SimView, ms: number): { at: number; what: string } | undefined {
  for (const from = view.now; view.now < from + ms; view.now = timestampMs(view.now + 100)) {
    const what = watch.nothing(view)
    if (what !== undefined) return { at: view.now, what }
  }
  return undefined
}

const absent = { work: 1, selector: { gpu: 'yes' } }

test('a ready task that lies beside idle nodes for long is named', () => {
  const { watch, view } = scene([absent, { work: 1 }])
  const wrong = wrongWithin(watch, view, 60_000)
  expect(wrong?.at).toBe(5000)
  expect(wrong?.what).toBe(
    'task t-2 is ready, node 1 has room, nothing runs, and nothing was placed for 5000 ms'
  )
  expect(view.scans).toBe(1)
})

test('time alone proves nothing: the policy must have been asked in it', () => {
  const { watch, view } = scene([{ work: 1 }])
  for (const at of [0, 3_600_000]) {
    view.now = timestampMs(at)
    expect(watch.nothing(view)).toBeUndefined()
    expect(watch.nothing(view)).toBeUndefined()
  }
  expect(watch.wakeAt()).toBe(3_602_500)
})

test('while something runs, whatever the node, nobody is accused', () => {
  const { watch, view } = scene([{ work: 1 }, { work: 1 }])
  const [running] = view.tasks
  running!.status = 'running'
  const host = view.allNodes[1]!
  view.addAttempt({
    ...{ kind: 'attempt', taskId: running!.id, node: nodeId(2), placedAt: view.now, task: running!, host },
    ...{ attempt: 1, startedAt: 0, endsAt: Infinity, succeeds: true, slot: -1 }
  })
  expect(wrongWithin(watch, view, 60_000)).toBeUndefined()
  // Its node takes no more: it is not among the nodes, but it runs.
  host.up = false
  view.nodesChanged()
  expect(wrongWithin(watch, view, 60_000)).toBeUndefined()
  expect(view.scans).toBe(0)
  expect(watch.wakeAt()).toBeUndefined()
  view.removeAttempt(view.attempts[0]!)
  expect(wrongWithin(watch, view, 60_000)?.at).toBe(125_000)
})

test('an attempt that was told to stop and still holds its slot is waited for', () => {
  const { watch, view } = scene([{ work: 1 }])
  view.allNodes[0]!.take({}, 1)
  expect(wrongWithin(watch, view, 60_000)).toBeUndefined()
  expect(view.scans).toBe(0)
})

test('what no node would take is gone through once, and nobody is woken for it', () => {
  const { watch, view } = scene([absent, absent])
  expect(wrongWithin(watch, view, 60_000)).toBeUndefined()
  expect(view.scans).toBe(1)
  expect(watch.wakeAt()).toBeUndefined()
  watch.anew()
  expect(wrongWithin(watch, view, 60_000)).toBeUndefined()
  expect(view.scans).toBe(2)
})

test('a task that became ready late, and nodes that came late, have the whole time', () => {
  const { watch, view } = scene([absent, { work: 1 }])
  const [, late] = view.tasks
  late!.status = 'pending'
  expect(wrongWithin(watch, view, 4000)).toBeUndefined()
  late!.status = 'ready'
  late!.readyAt = view.now
  watch.ready(late!.id)
  expect(wrongWithin(watch, view, 60_000)?.at).toBe(10_000)
  watch.anew()
  expect(wrongWithin(watch, view, 4000)).toBeUndefined()
  watch.anew()
  expect(wrongWithin(watch, view, 4900)).toBeUndefined()
})

test('without any node there is nothing to place', () => {
  const { watch, view } = scene([{ work: 1 }])
  for (const node of view.allNodes) node.up = false
  view.nodesChanged()
  expect(wrongWithin(watch, view, 60_000)).toBeUndefined()
})

test('many tasks are gone through a part at a time, and who lies behind them is found', () => {
  const many = Array.from({ length: 9000 }, () => absent)
  const { watch, view } = scene([...many, { work: 1 }])
  let most = 0
  let wrong: string | undefined
  for (let question = 0; question < 200 && wrong === undefined; question++) {
    view.looked = 0
    wrong = watch.nothing(view)
    most = Math.max(most, view.looked)
    view.now = timestampMs(Math.max(view.now + 10, 0))
    // Whoever comes meanwhile does not make it begin anew.
    watch.ready(view.tasks[0]!.id)
    if (view.now > 5010 && wrong === undefined) expect(watch.wakeAt()).toBeLessThanOrEqual(view.now)
    if (question === 0) view.now = timestampMs(2500)
    if (question === 1) view.now = timestampMs(5000)
  }
  expect(wrong).toContain('task t-9001 is ready')
  expect(most).toBe(2000)
  expect(view.scans).toBe(1)
})

test('after all were gone through only those that became ready since are looked at', () => {
  const { watch, view } = scene([...Array.from({ length: 1000 }, () => absent), { work: 1 }, { work: 1 }])
  const [, absentToo] = view.tasks
  const [gone, late] = view.tasks.slice(-2)
  for (const task of [gone, late]) task!.status = 'pending'
  expect(wrongWithin(watch, view, 60_000)).toBeUndefined()
  view.looked = 0
  for (const task of [absentToo, gone, late]) {
    task!.status = 'ready'
    task!.readyAt = view.now
    watch.ready(task!.id)
  }
  gone!.status = 'succeeded'
  watch.gone(gone!.id)
  expect(wrongWithin(watch, view, 60_000)?.what).toContain('task t-1002')
  expect(view.looked).toBe(2)
  expect(view.scans).toBe(1)
})
