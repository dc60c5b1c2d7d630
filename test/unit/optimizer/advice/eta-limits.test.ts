/** No forecast goes beyond what timeouts and retries allow, whatever has been learned of others. */
import { expect, test } from 'vitest'
import { taskId } from '../../../../base/ids.ts'
import { durationMs, timestampMs } from '../../../../base/units.ts'
import { Advisor } from '../../../../optimizer/advice/advisor.ts'
import { forecast } from '../../../../optimizer/advice/eta.ts'
import { byArrival } from '../../../../optimizer/advice/orders.ts'
import { stateSource } from '../../../../optimizer/advice/state-source.ts'
import type { Prediction } from '../../../../optimizer/estimate.ts'
import type { TaskSpec } from '../../../../scheduler/types.ts'
import { knowing, logNormal, sourceOf } from '../../../helpers/forecasts.ts'
import { Machine, START, spec } from '../../../helpers/scheduler.ts'

const MONTH_MS = 30 * 24 * 3_600_000
const SLOTS = 200
const LATE = 120

/** Of a class that nobody has seen: the limit is all that ends its tail. */
const unknown = logNormal(1000, 12, MONTH_MS)
const estimator = knowing((task) => (task.name === 'new' ? unknown : logNormal(1000, 0.1)))

const limited = (overrides: Partial<TaskSpec> = {}): TaskSpec =>
  spec({
    name: 'new',
    startToCloseMs: durationMs(MONTH_MS),
    ...overrides
  })

/** An advisor whose forecasts have all come out far too early, as when a leader died; it is asked at `START`. */
function misled(): { machine: Machine; advisor: Advisor; refresh: () => void } {
  const machine = new Machine().withNodes(1, { slots: SLOTS })
  const advisor = new Advisor({
    state: machine.state,
    estimator,
    order: () => byArrival,
    predictedBy: () => 'statistics',
    seed: 1
  })
  const refresh = (): void => {
    const steps = advisor.refresh(START)
    while (steps.next().done !== true);
  }
  for (let id = 1; id <= LATE; id++) {
    machine.submit([spec({ name: 'known' })])
    const token = machine.place(id, 1)
    refresh()
    machine.complete(id, token)
    const row = machine.state.changes.history.get(taskId(id))
    advisor.taskEnded({ ...row!, finishedAt: timestampMs(START + 3_600_000) })
  }
  return { machine, advisor, refresh }
}

test('however late others were, a task and its group end within the timeout by what is shown', () => {
  const { machine, advisor, refresh } = misled()
  machine.submit([spec({ name: 'known' })])
  machine.submit([limited(), limited()])
  const [known, runs, waits] = [LATE + 1, LATE + 2, LATE + 3]
  machine.place(runs, 1)
  refresh()
  const p90 = (id: number): number => (advisor.eta(machine.task(id)!)?.finishAt.p90At ?? NaN) - START
  // What was learned does stretch what has no limit.
  expect(p90(known)).toBeGreaterThan(10_000)
  expect(p90(runs)).toBe(MONTH_MS)
  expect(p90(waits)).toBe(MONTH_MS)
  expect(advisor.groupEta(taskId(runs))?.finishAt.p90At).toBe(START + MONTH_MS)
})

test('what waits for limited work starts by the time that it must have ended', () => {
  const { machine, advisor, refresh } = misled()
  machine.submit(Array.from({ length: SLOTS }, () => limited()))
  for (let id = LATE + 1; id <= LATE + SLOTS; id++) machine.place(id, 1)
  machine.submit([limited()])
  refresh()
  const eta = advisor.eta(machine.task(LATE + SLOTS + 1)!)
  expect(eta?.startAt?.p90At).toBeLessThanOrEqual(START + MONTH_MS)
  expect(eta?.finishAt.p90At).toBeLessThanOrEqual(START + 2 * MONTH_MS)
})

test('on a slow node an attempt ends at its timeout too', () => {
  const slow = knowing(() => logNormal(800, 0.001))
  const source = sourceOf([], [{ work: 0, limit: 1000 }])
  const options = { order: byArrival, seed: 1 }
  const twice: typeof slow = {
    ...slow,
    predict: (_, node) => logNormal(node === undefined ? 800 : 1600, 0.001)
  }
  expect(forecast(source, { ...options, estimator: twice }).task(taskId(1))?.finish.p90At).toBe(1000)
})

test('a task that may not be retried is forecast with one attempt', () => {
  const failing: Prediction = { ...logNormal(1000, 0.001), failureProbability: 0.95 }
  const machine = new Machine().withNodes(1, { slots: 2 })
  const { retry } = spec()
  machine.submit([
    spec({ retry: { ...retry, maxAttempts: 1 } }),
    spec({ retry: { ...retry, maxAttempts: 3 } })
  ])
  const made = forecast(stateSource(machine.state, timestampMs(START)), {
    estimator: knowing(() => failing),
    order: byArrival,
    seed: 1
  })
  const seconds = [1, 2].map((id) => Math.round(((made.task(taskId(id))?.finish.p50At ?? 0) - START) / 1000))
  expect(seconds).toEqual([1, 3])
})
