import { beforeEach, expect, test, vi } from 'vitest'
import { nodeId, taskId } from '../../../../base/ids.ts'
import { timestampMs } from '../../../../base/units.ts'
import { createAdvice } from '../../../../node/advice/advice.ts'
import { Advisor } from '../../../../optimizer/advice/advisor.ts'
import { byPriority } from '../../../../optimizer/advice/orders.ts'
import { viewOfTask } from '../../../../scheduler/planner/task-view.ts'
import { knowing, logNormal } from '../../../helpers/forecasts.ts'
import { Machine, START, needs, spec } from '../../../helpers/scheduler.ts'

let elapsedMs = 0
let steps = 0
/** Turns do not come any more. */
let never = false
beforeEach(() => {
  elapsedMs = 0
  steps = 0
  never = false
})

/** Each step of a forecast takes `stepMs`; turns pass at once. */
function setUp(stepMs = 1) {
  const machine = new Machine().withNodes(1, { slots: 1 })
  machine.submit([spec(), spec({ needs: needs(1) })])
  const estimator = knowing(() => logNormal(1000, 0.1))
  const advisor = new Advisor({
    state: machine.state,
    estimator,
    order: () => byPriority,
    predictedBy: () => 'model 3',
    seed: 1
  })
  const advice = createAdvice({
    advisor,
    state: machine.state,
    now: () => START,
    elapsed: () => {
      elapsedMs += stepMs / 2
      return elapsedMs
    },
    soon: (callback) => {
      steps++
      if (!never) queueMicrotask(callback)
    },
    ownAlarms: () => [{ kind: 'model', message: 'model 2 was rolled back' }]
  })
  return { machine, advisor, advice }
}

/** Something has run. */
function learn(machine: Machine, advisor: Advisor): void {
  const task = viewOfTask(machine.task(1)!)
  advisor.attemptEnded({ task, node: nodeId(1), end: 'succeeded', runMs: 1000, peakMemoryBytes: 0 })
}

test('a task and its group are forecast when somebody asks, in many steps', async () => {
  const { machine, advice, advisor } = setUp()
  expect(advisor.forecastAt).toBeUndefined()
  const outlook = await advice.outlook(machine.task(2)!)
  expect(outlook.predicted?.by).toBe('model 3')
  expect(outlook.eta?.finishAt.p50At).toBeGreaterThan(START + 1500)
  const group = await advice.groupOutlook(taskId(1))
  expect(group.eta?.finishAt).toEqual(outlook.eta?.finishAt)
  expect(steps).toBeGreaterThan(30)
})

test('who asks again soon gets the forecast that is there, and those who ask at once share one', async () => {
  const { machine, advice } = setUp()
  await Promise.all([
    advice.outlook(machine.task(1)!),
    advice.outlook(machine.task(2)!),
    advice.groupOutlook(taskId(1))
  ])
  const made = steps
  await advice.outlook(machine.task(1)!)
  expect(steps).toBe(made)
  elapsedMs += 60_000
  await advice.outlook(machine.task(1)!)
  expect(steps).toBe(2 * made)
})

test('a forecast that was expensive is not made again for twenty times as long, but for no longer than 15 s', async () => {
  for (const [stepMs, restMs] of [
    [4, 2 * 20 * 40],
    [100, 15_000]
  ] as const) {
    const { machine, advice } = setUp(stepMs)
    await advice.outlook(machine.task(1)!)
    const made = steps
    elapsedMs += restMs - 500
    await advice.outlook(machine.task(1)!)
    expect(steps).toBe(made)
    elapsedMs += 1000
    await advice.outlook(machine.task(1)!)
    expect(steps).toBeGreaterThan(made)
  }
})

test('alarms cost no forecast as long as nobody has a deadline', async () => {
  const { machine, advice, advisor } = setUp()
  learn(machine, advisor)
  expect(await advice.alarms()).toEqual([{ kind: 'model', message: 'model 2 was rolled back' }])
  expect(steps).toBe(0)
  machine.submit([spec({ deadlineAt: timestampMs(START + 1500) })])
  const alarms = await advice.alarms()
  expect(alarms.map(({ kind, id }) => [kind, id])).toEqual([
    ['model', undefined],
    ['deadline', 't-3']
  ])
  expect((await advice.groupOutlook(taskId(3))).alarms).toHaveLength(1)
  expect((await advice.groupOutlook(taskId(1))).alarms).toEqual([])
})

test('a task that is newer than the last forecast gets one of its own, within a budget', async () => {
  const { machine, advice } = setUp()
  await advice.outlook(machine.task(1)!)
  const made = steps
  machine.submit([spec()])
  const [eta] = await advice.etas([machine.task(3)!])
  expect(eta?.finishAt.p50At).toBeGreaterThan(START + 1500)
  expect(steps).toBe(2 * made)
  // Those that are known, and lists, cost nothing more.
  await advice.etas([machine.task(1)!, machine.task(3)!])
  expect(steps).toBe(2 * made)
  let early = 0
  for (let id = 4; id < 40; id++) {
    machine.submit([spec()])
    if ((await advice.outlook(machine.task(id)!)).eta !== undefined) early++
  }
  expect(early).toBeGreaterThan(1)
  expect(early).toBeLessThan(15)
})

test('a submission is told its eta once something has been learned, and no later than it is worth', async () => {
  const { machine, advice, advisor } = setUp()
  expect(await advice.submissionEta(taskId(1), 2)).toBeUndefined()
  expect(steps).toBe(0)
  learn(machine, advisor)
  const [only] = await advice.etas([machine.task(1)!])
  expect(await advice.submissionEta(taskId(1), 1)).toEqual(only)
  const both = await advice.submissionEta(taskId(1), 2)
  expect(both?.finishAt.p50At).toBeGreaterThan(START + 1500)
  expect(await advice.submissionEta(taskId(9), 1)).toBeUndefined()
})

test('a forecast that takes its time is not waited for', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  try {
    const { machine, advice, advisor } = setUp()
    learn(machine, advisor)
    never = true
    const asked = advice.submissionEta(taskId(1), 1)
    await vi.advanceTimersByTimeAsync(100)
    expect(await asked).toBeUndefined()
  } finally {
    vi.useRealTimers()
  }
})

test('a forecast that fails is told to who waits for it, and the next one is made anew', async () => {
  const { machine, advice, advisor } = setUp()
  const refresh = advisor.refresh.bind(advisor)
  advisor.refresh = () => {
    throw new Error('no such class')
  }
  await expect(advice.outlook(machine.task(1)!)).rejects.toThrow('no such class')
  advisor.refresh = refresh
  expect((await advice.outlook(machine.task(1)!)).eta).toBeDefined()
})
