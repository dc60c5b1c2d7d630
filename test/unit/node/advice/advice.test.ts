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
function setUp({ stepMs = 1, runMs = 1000, more = 0 } = {}) {
  const machine = new Machine().withNodes(1, { slots: 1 })
  machine.submit([spec(), spec({ needs: needs(1) }), ...Array.from({ length: more }, () => spec())])
  const estimator = knowing(() => logNormal(runMs, 0.1))
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

test('alarms of a thousand tasks are looked for in many steps', async () => {
  const { machine, advice } = setUp()
  machine.submit(Array.from({ length: 1000 }, () => spec({ deadlineAt: timestampMs(START - 1) })))
  await advice.alarms()
  // The forecast stands.
  const before = steps
  expect(await advice.alarms()).toHaveLength(1 + 1000)
  expect(steps - before).toBeGreaterThanOrEqual(4)
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

/** Whether a forecast is made anew when somebody asks after `restMs`, and not shortly before. */
async function expectRest({ machine, advice }: ReturnType<typeof setUp>, restMs: number): Promise<void> {
  const made = steps
  elapsedMs += restMs - 400
  await advice.outlook(machine.task(1)!)
  expect(steps).toBe(made)
  elapsedMs += 800
  await advice.outlook(machine.task(1)!)
  expect(steps).toBeGreaterThan(made)
}

test.each([
  ['a second, however near the ends are', { stepMs: 4, runMs: 10 }, 1000],
  ['nine times what it took, where ends are near', { stepMs: 20, runMs: 1000 }, 3600],
  ['a tenth of the time to the median end', { stepMs: 20, runMs: 30_000 }, 6000],
  ['no longer than twenty times what it took', { stepMs: 20, runMs: 1_000_000 }, 8000],
  ['15 s, however expensive it was', { stepMs: 100, runMs: 1000 }, 15_000]
])('a forecast stands for %s', async (_, how, restMs) => {
  const made = setUp(how)
  await made.advice.outlook(made.machine.task(1)!)
  await expectRest(made, restMs)
})

test('a forecast stands for less once tasks have ended far from when it said, and not while they end as it said', async () => {
  for (const [endsAfterMs, restMs] of [
    [100_000, 8000],
    [1000, 3600]
  ] as const) {
    const made = setUp({ stepMs: 20, runMs: 100_000, more: 10 })
    const { machine, advisor, advice } = made
    await advice.outlook(machine.task(1)!)
    for (let id = 3; id <= 12; id++) {
      const [row] = machine
        .complete(id, machine.place(id, 1))
        .flatMap((event) => (event.type === 'task-ended' ? [event.row] : []))
      // The first task is before them in the line.
      advisor.taskEnded({ ...row!, finishedAt: timestampMs(START + (id - 1) * endsAfterMs) })
    }
    await expectRest(made, restMs)
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

test('who cannot wait is answered from the forecast before, but from none that was made more than 15 s ago', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  try {
    const { machine, advice, advisor } = setUp()
    learn(machine, advisor)
    await advice.outlook(machine.task(1)!)
    never = true
    for (const [restMs, isKnown] of [
      [14_000, true],
      [2_000, false]
    ] as const) {
      elapsedMs += restMs
      const asked = Promise.all([advice.outlook(machine.task(1)!), advice.groupOutlook(taskId(1))])
      await vi.advanceTimersByTimeAsync(200)
      const [{ eta, predicted }, group] = await asked
      expect([eta !== undefined, group.eta !== undefined]).toEqual([isKnown, isKnown])
      expect(predicted).toBeDefined()
    }
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
