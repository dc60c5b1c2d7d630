import { expect, test } from 'vitest'
import { taskId } from '../../../../base/ids.ts'
import { durationMs, timestampMs } from '../../../../base/units.ts'
import { forecast } from '../../../../optimizer/advice/eta.ts'
import { byPriority } from '../../../../optimizer/advice/orders.ts'
import { learn, near, setUp } from '../../../helpers/advisors.ts'
import { knowing, logNormal, sourceOf } from '../../../helpers/forecasts.ts'
import { START, needs } from '../../../helpers/scheduler.ts'

test('a task that waits for longer than it may ends then, takes no room, and is an alarm if it has a deadline', () => {
  const impatient = { name: 'long', scheduleToStartMs: durationMs(10_000) }
  const { machine, advisor, refresh } = setUp([
    { name: 'long' },
    impatient,
    { ...impatient, deadlineAt: timestampMs(START + 3_600_000) },
    { ...impatient, scheduleToStartMs: durationMs(3_600_000) },
    { deadlineAt: timestampMs(START + 3_600_000) },
    { ...impatient, nodeSelector: { gpu: 'yes' } }
  ])
  machine.place(1, 1)
  learn(machine, advisor)
  refresh(START + 1000)
  const eta = (id: number) => advisor.eta(machine.task(id)!)
  for (const id of [2, 3, 6]) {
    expect(eta(id)).not.toHaveProperty('startAt')
    expect(eta(id)?.finishAt).toEqual({ p50At: START + 10_000, p90At: START + 10_000 })
  }
  near((eta(4)?.startAt?.p50At ?? 0) - START, 100_000)
  near((eta(5)?.finishAt.p50At ?? 0) - START, 201_000)
  const [alarm, ...others] = advisor.alarms(START + 1000)
  expect([alarm?.id, others]).toEqual(['t-3', []])
  expect(alarm?.message).toContain('longer than its scheduleToStartMs')
})

test('what needs a task that waits for too long is skipped with it, and said to be', () => {
  const deadlineAt = timestampMs(START + 3_600_000)
  const { machine, advisor, refresh } = setUp([
    { name: 'long' },
    { scheduleToStartMs: durationMs(10_000) },
    { scheduleToStartMs: durationMs(20_000) },
    { needs: needs(2, 3) },
    { needs: needs(4), deadlineAt },
    { needs: needs(1), deadlineAt }
  ])
  machine.place(1, 1)
  learn(machine, advisor)
  refresh(START + 1000)
  const eta = (id: number) => advisor.eta(machine.task(id)!)
  for (const id of [2, 4, 5]) {
    expect(eta(id)).not.toHaveProperty('startAt')
    expect(eta(id)?.finishAt).toEqual({ p50At: START + 10_000, p90At: START + 10_000 })
  }
  near((eta(6)?.finishAt.p50At ?? 0) - START, 101_000)
  near((advisor.groupEta(taskId(1))?.finishAt.p50At ?? 0) - START, 101_000)
  const [alarm, ...others] = advisor.alarms(START + 1000)
  expect([alarm?.id, others]).toEqual(['t-5', []])
  expect(alarm?.message).toContain(
    'it, or what it needs, is likely to wait for longer than its scheduleToStartMs'
  )
})

test('a forecast of a task that may fail without a start is not held to when it succeeded', () => {
  const { machine, advisor, refresh } = setUp([
    { name: 'long' },
    { scheduleToStartMs: durationMs(10_000) },
    {}
  ])
  const token = machine.place(1, 1)
  refresh(START)
  const tokens = [token, 0, 0]
  for (const id of [1, 2, 3]) {
    const [row] = machine
      .complete(id, tokens[id - 1] || machine.place(id, 1))
      .flatMap((event) => (event.type === 'task-ended' ? [event.row] : []))
    expect(row?.status).toBe('succeeded')
    advisor.taskEnded(row!)
  }
  expect(advisor.record.count).toBe(2)
})

test('what fails without a start in few futures alone is said to start before it finishes', () => {
  const estimator = knowing(({ name }) => logNormal(name === 'short' ? 1000 : 100_000, 0.1))
  const long = { name: 'long', work: 100_000 }
  // The second that waits needs the first that runs, and has its slot where the other one that runs has made room for the first that waits.
  const source = sourceOf([long, long], [long, { name: 'short', work: 1000, needs: [1] }], { slots: 2 })
  const made = (startWithinMs: number) => {
    const waiting = [...source.waiting].map((wait) =>
      wait.task.id === 4 ? { ...wait, startWithinMs } : wait
    )
    return forecast({ ...source, waiting }, { estimator, order: byPriority, seed: 1 }).task(taskId(4))!
  }
  // The shortest patience with which it fails in no more than a tenth of all futures.
  let [tooShort, enough] = [0, 1_000_000]
  while (enough - tooShort > 1) {
    const middle = (tooShort + enough) / 2
    if (made(middle).expires > 0.1) tooShort = middle
    else enough = middle
  }
  const { start, finish, expires } = made(enough)
  expect(expires).toBeCloseTo(3 / 39)
  expect(start!.p50At).toBeLessThanOrEqual(finish.p50At)
  expect(start!.p90At).toBeLessThanOrEqual(finish.p90At)
})
