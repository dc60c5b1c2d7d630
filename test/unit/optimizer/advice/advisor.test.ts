import { expect, test } from 'vitest'
import { taskId } from '../../../../base/ids.ts'
import { durationMs, timestampMs } from '../../../../base/units.ts'
import { following, learn, near, setUp } from '../../../helpers/advisors.ts'
import { Machine, START, needs, report, spec } from '../../../helpers/scheduler.ts'
import type { TaskSpec } from '../../../../scheduler/types.ts'

test('tasks of one submission finish one after another, and the group with the last', () => {
  const { machine, advisor, refresh } = setUp([{}, {}, { needs: needs(2) }])
  expect(advisor.eta(machine.task(1)!)).toBeUndefined()
  refresh(START)
  const eta = (id: number): number => (advisor.eta(machine.task(id)!)?.finishAt.p50At ?? 0) - START
  near(eta(1), 1000)
  near(eta(2), 2000)
  near(eta(3), 3000)
  near((advisor.groupEta(taskId(1))?.finishAt.p50At ?? 0) - START, 3000)
  expect(advisor.eta(machine.task(1)!)?.startAt?.p50At).toBe(START)
})

test('a running attempt has what is left, and no start', () => {
  const { machine, advisor, refresh } = setUp([{}, {}])
  machine.place(1, 1)
  refresh(START + 600)
  const running = advisor.eta(machine.task(1)!)
  expect(running).not.toHaveProperty('startAt')
  near((running?.finishAt.p50At ?? 0) - START, 1000)
  near((advisor.eta(machine.task(2)!)?.finishAt.p50At ?? 0) - START, 2000)
})

test('a retry waits for its back-off', () => {
  const { machine, advisor, refresh } = setUp([{}])
  const token = machine.place(1, 1)
  machine.complete(
    1,
    token,
    { outcome: 'failed', error: { code: 'X', message: '', retryable: true } },
    30_000
  )
  refresh(START)
  near((advisor.eta(machine.task(1)!)?.startAt?.p50At ?? 0) - START, 30_000)
})

test('a task that no node can run has no ETA', () => {
  const { machine, advisor, refresh } = setUp([{ nodeSelector: { gpu: 'yes' } }])
  refresh(START)
  expect(advisor.eta(machine.task(1)!)).toBeUndefined()
})

test('a deadline rings before it is missed, once by its first time, and falls silent when it is safe again', () => {
  const { machine, advisor, refresh } = setUp([
    { name: 'long', priority: 1 },
    { deadlineAt: timestampMs(START + 50_000) },
    { deadlineAt: timestampMs(START + 900_000) }
  ])
  expect(advisor.alarms(START)).toEqual([])
  refresh(START)
  // Before anything has been learned, a forecast is no reason to ring.
  expect(advisor.alarms(START)).toEqual([])
  learn(machine, advisor)
  const [alarm, ...others] = advisor.alarms(START)
  expect(others).toEqual([])
  expect(alarm).toMatchObject({ kind: 'deadline', id: 't-2', since: START, deadlineAt: START + 50_000 })
  expect(alarm?.finishP90At).toBeGreaterThan(START + 50_000)
  expect(advisor.alarms(START + 5000)[0]?.since).toBe(START)
  machine.cancel(1)
  refresh(START + 6000)
  expect(advisor.alarms(START + 6000)).toEqual([])
  const missed = advisor.alarms(START + 60_000)
  expect(missed[0]?.message).toContain('has passed')
  expect(missed[0]?.since).toBe(START + 50_000)
})

test('a deadline is at risk at once where no node may run the task, or what it needs, and where it is to start too late', () => {
  const at = timestampMs(START + 30_000)
  const nowhere = { nodeSelector: { x: 'y' } }
  const { machine, advisor, refresh } = setUp([
    { deadlineAt: at, ...nowhere },
    { deadlineAt: at, notBefore: timestampMs(START + 60_000) },
    { deadlineAt: at, notBefore: timestampMs(START + 1000) },
    nowhere,
    { deadlineAt: at, needs: needs(4) },
    { deadlineAt: at, resources: { cpu: 5_000 } }
  ])
  const about = (): unknown =>
    advisor.alarms(START).map(({ id, message }) => [id, message.split('deadline ')[1]])
  const never = 'will be missed: no node that is up may run it, or what it needs, as it stands'
  const late = 'is earlier than it is expected to start'
  expect(about()).toEqual([
    ['t-1', never],
    ['t-2', late]
  ])
  refresh(START)
  learn(machine, advisor)
  expect(about()).toEqual([
    ['t-1', never],
    ['t-2', 'is earlier than its predicted p90 finish'],
    ['t-5', never],
    ['t-6', never]
  ])
  // While no node takes work at all, that is not the tasks'.
  const other = setUp([{ deadlineAt: at, ...nowhere }])
  other.machine.endIncarnation(1, 1)
  expect(other.advisor.alarms(START)).toEqual([])
})

test('a task that a forecast had to leave out is at risk once those before it take until its deadline', () => {
  const { machine, advisor, refresh } = setUp([...Array.from({ length: 1000 }, () => ({}))], { slots: 4 })
  for (let batch = 0; batch < 5; batch++) machine.submit(Array.from({ length: 1000 }, () => spec()))
  // 6,000 tasks of a second on four slots; the first 5,000 of them take 1,250 s.
  const due = (afterMs: number, overrides: Partial<TaskSpec> = {}): TaskSpec =>
    spec({ deadlineAt: timestampMs(START + afterMs), ...overrides })
  machine.submit([
    due(1_000_000),
    due(1_000_000, { priority: -50 }),
    due(1_000_000, { priority: 50 }),
    due(2_000_000),
    due(1_000_000, { handler: 'double' })
  ])
  learn(machine, advisor)
  refresh(START)
  expect(advisor.eta(machine.task(6001)!)).toBeUndefined()
  // One that goes before them, one that has until later, and one that may run elsewhere: nothing is known against them.
  expect(advisor.alarms(START).map(({ id }) => id)).toEqual(['t-6001', 't-6002'])
})

test('alarms are counted once in five seconds, and by a clock that was set back anew', () => {
  const { machine, advisor } = setUp([{ deadlineAt: timestampMs(START + 1000) }])
  const missed = (afterMs: number): number => advisor.alarmCounts(START + afterMs).missed
  expect([missed(0), missed(4999), missed(5000)]).toEqual([0, 0, 1])
  machine.submit([spec({ deadlineAt: timestampMs(START + 1) })])
  expect([missed(9999), missed(10_000), missed(500)]).toEqual([1, 2, 1])
})

test('the alarms of a group are those of its tasks alone, however many others there are', () => {
  const at = timestampMs(START + 1)
  const { machine, advisor } = setUp(Array.from({ length: 1000 }, () => ({ deadlineAt: at })))
  for (let batch = 1; batch < 10; batch++)
    machine.submit(Array.from({ length: 1000 }, () => spec({ deadlineAt: at })))
  machine.submit([spec({ deadlineAt: at }), spec({ deadlineAt: at })])
  const ids = advisor.alarms(START + 2, taskId(10_001)).map(({ id }) => id)
  expect(ids).toEqual(['t-10001', 't-10002'])
})

test('however many deadlines there are, those that come first and what runs are looked at', () => {
  const dueAfter = (ms: number): TaskSpec => spec({ deadlineAt: timestampMs(START + ms) })
  const { machine, advisor } = setUp([], { slots: 2 })
  for (let batch = 0; batch < 10; batch++)
    machine.submit(Array.from({ length: 1000 }, () => dueAfter(3_600_000)))
  machine.submit([dueAfter(1), dueAfter(2), spec()])
  machine.place(10_003, 1)
  const about = advisor.alarms(START + 20_000).map(({ id, kind }) => [id, kind])
  expect(about).toEqual([
    ['t-10001', 'deadline'],
    ['t-10002', 'deadline'],
    ['t-10003', 'stuck']
  ])
})

test('what has ended by its turn raises no alarm', () => {
  const { machine, advisor } = setUp(
    Array.from({ length: 1000 }, () => ({ deadlineAt: timestampMs(START + 1) }))
  )
  const steps = advisor.alarmsInSteps(START + 2)
  expect(steps.next().done).toBe(false)
  machine.cancel(1)
  machine.cancel(1000)
  let step = steps.next()
  while (step.done !== true) step = steps.next()
  const ids = step.value.map(({ id }) => id)
  expect([ids.length, ids.includes('t-1'), ids.includes('t-1000')]).toEqual([999, true, false])
  // So is what has to be looked at among tasks without deadlines.
  for (let more = 0; more < 5; more++) machine.submit(Array.from({ length: 1000 }, () => spec({})))
  expect(advisor.alarmsInSteps(START + 1, taskId(5000)).next().done).toBe(false)
  // They are counted in steps, too.
  expect(advisor.alarmCountsInSteps(START + 2).next().done).toBe(false)
  expect(advisor.alarmCounts(START + 2).missed).toBe(998)
})

test('what is known of alarms and of forecasts outlives a snapshot, but for what ended in between', () => {
  const { machine, advisor, refresh } = setUp(
    Array.from({ length: 3 }, () => ({ deadlineAt: timestampMs(START + 2500) }))
  )
  learn(machine, advisor)
  refresh(START)
  expect(advisor.alarms(START).map(({ id }) => id)).toEqual(['t-3'])
  machine.cancel(1)
  const after = following(advisor, machine)
  // Nothing is forecast yet.
  expect(after.alarms(START + 1000)).toMatchObject([{ id: 't-3', since: START }])
  const [row] = machine
    .complete(2, machine.place(2, 1))
    .flatMap((event) => (event.type === 'task-ended' ? [event.row] : []))
  for (const id of [1, 2]) after.taskEnded({ ...row!, id: taskId(id) })
  expect(after.record.count).toBe(1)
})

test('an attempt far beyond its p99 is stuck; one that is merely late is not', () => {
  const { machine, advisor } = setUp([{}, { name: 'long' }], { slots: 2 })
  machine.place(1, 1)
  machine.place(2, 1)
  expect(advisor.alarms(START + 9_000)).toEqual([])
  // However late somebody asks first: since it went past what it was held to.
  expect(advisor.alarms(START + 11_000)).toMatchObject([
    { kind: 'stuck', id: 't-1', elapsedMs: 11_000, since: START + 10_000 }
  ])
  expect(advisor.alarms(START + 300_000).map(({ id }) => id)).toEqual(['t-1', 't-2'])
})

test('what ended is forgotten: a task of the same advisor starts afresh', () => {
  const { machine, advisor } = setUp([{}])
  const token = machine.place(1, 1)
  expect(advisor.alarmsOf(machine.task(1)!, START + 20_000)).toHaveLength(1)
  const events = machine.complete(1, token, report(1, token, { runMs: durationMs(20_000) }))
  const ended = events.find((event) => event.type === 'task-ended')
  if (ended?.type === 'task-ended') advisor.taskEnded(ended.row)
  expect(advisor.alarms(START + 30_000)).toEqual([])
})

test('a prediction says who made it', () => {
  const { machine, advisor } = setUp([{}])
  expect(advisor.predicted(machine.task(1)!)).toMatchObject({ medianMs: 1000, by: 'statistics' })
})

test('no forecast says that a delayed task is done before its delay is over, however early others were', () => {
  const hour = 3_600_000
  const { machine, advisor, refresh } = setUp(
    Array.from({ length: 60 }, (_, index) => (index === 59 ? { notBefore: timestampMs(START + hour) } : {})),
    { slots: 60 }
  )
  refresh(START)
  // All that was forecast took a tenth of what was thought, so forecasts are drawn in.
  for (let id = 1; id <= 59; id++) machine.place(id, 1)
  for (let id = 1; id <= 59; id++) {
    const [row] = machine
      .complete(id, machine.task(id)!.lastToken)
      .flatMap((event) => (event.type === 'task-ended' ? [event.row] : []))
    advisor.taskEnded({ ...row!, finishedAt: timestampMs(START + 100) })
  }
  refresh(START)
  const eta = advisor.eta(machine.task(60)!)
  expect(eta?.startAt?.p50At).toBeGreaterThanOrEqual(START + hour)
  expect(eta?.finishAt.p50At).toBeGreaterThan(START + hour)
  expect(eta?.finishAt.p50At).toBeLessThan(START + hour + 1000)
  expect(advisor.groupEta(taskId(1))?.finishAt).toEqual(eta?.finishAt)
})

test('what an advisor still does of which another took the place leaves nothing behind in that one', () => {
  const { machine, advisor, refresh } = setUp(
    Array.from({ length: 600 }, () => ({ deadlineAt: timestampMs(START + 10_000) }))
  )
  learn(machine, advisor)
  const forecast = advisor.refresh(START)
  forecast.next()
  const alarms = advisor.alarmsInSteps(START)
  alarms.next()
  const others = new Machine().withNodes(1)
  others.submit(Array.from({ length: 600 }, () => spec({ deadlineAt: timestampMs(START + 10_000) })))
  const after = following(advisor, others)
  // Tasks that had ended by the time of the state that came: nobody will say so any more.
  for (const steps of [forecast, alarms]) while (steps.next().done !== true);
  refresh(START)
  expect(advisor.alarms(START).length).toBeGreaterThan(500)
  expect(after.alarms(START)).toEqual([])
  const [row] = machine
    .complete(1, machine.place(1, 1))
    .flatMap((event) => (event.type === 'task-ended' ? [event.row] : []))
  for (let id = 1; id <= 600; id++) after.taskEnded({ ...row!, id: taskId(id) })
  expect(after.record.count).toBe(0)
})

test('a task that is being cancelled ends by its grace, frees its slot then, and raises no deadline alarm', () => {
  const tasks = [{ name: 'long', killGraceMs: durationMs(5000), deadlineAt: timestampMs(START + 20_000) }, {}]
  const { machine, advisor, refresh } = setUp(tasks)
  learn(machine, advisor)
  machine.place(1, 1)
  refresh(START)
  expect(advisor.alarmsOf(machine.task(1)!, START)).toHaveLength(1)
  machine.cancel(1)
  expect(machine.task(1)?.status).toBe('stopping')
  refresh(START)
  const until = (id: number): number => (advisor.eta(machine.task(id)!)?.finishAt.p50At ?? 0) - START
  near(until(1), 5000)
  near(until(2), 6000)
  expect(advisor.alarmsOf(machine.task(1)!, START)).toEqual([])
  expect(advisor.alarmsOf(machine.task(1)!, START + 20_001)).toEqual([])
  expect(advisor.alarmCounts(START + 20_001)).toEqual({ atRisk: 0, missed: 0, stuck: 0 })
})

test('an attempt that outlived its task holds its slot until it has stopped, and no longer', () => {
  const { machine, advisor, refresh } = setUp([{ idempotent: true, killGraceMs: durationMs(5000) }, {}, {}], {
    nodes: 2
  })
  learn(machine, advisor)
  const token = machine.place(1, 1)
  machine.copy(1, 2)
  machine.complete(1, token)
  machine.endIncarnation(1, 1)
  expect(machine.state.lingering.size).toBe(1)
  refresh(START)
  near((advisor.eta(machine.task(2)!)?.startAt?.p50At ?? 0) - START, 1000)
  expect(advisor.eta(machine.task(3)!)?.startAt?.p90At).toBeLessThanOrEqual(START + 5000 + 2000)
  expect(advisor.covers(taskId(1))).toBe(false)
})
