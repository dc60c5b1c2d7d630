import { expect, test } from 'vitest'
import { LIMITS } from '../../../../base/limits.ts'
import { durationMs } from '../../../../base/units.ts'
import type { AskedStop, AttemptReport } from '../../../../scheduler/commands.ts'
import type { TaskSpec } from '../../../../scheduler/types.ts'
import { Machine, failure, report, spec, types } from '../../../helpers/scheduler.ts'

type Ending = 'succeeded' | 'failed' | 'stopped' | 'not-started' | 'lost'
type Told = 'nothing' | AskedStop

/** The table in the header of completion.ts: what becomes of a task with attempts left. */
const TABLE: readonly (readonly [Ending, Told, status: string, uncounted: number])[] = [
  ['succeeded', 'nothing', 'succeeded', 0],
  ['succeeded', 'cancel', 'succeeded', 0],
  ['succeeded', 'timeout', 'succeeded', 0],
  ['succeeded', 'drain', 'succeeded', 0],
  ['succeeded', 'replace', 'succeeded', 0],
  ['failed', 'nothing', 'ready', 0],
  ['failed', 'cancel', 'cancelled', 0],
  ['failed', 'timeout', 'ready', 0],
  ['failed', 'drain', 'ready', 0],
  ['failed', 'replace', 'cancelled', 0],
  ['stopped', 'nothing', 'ready', 0],
  ['stopped', 'cancel', 'cancelled', 0],
  ['stopped', 'timeout', 'ready', 0],
  ['stopped', 'drain', 'ready', 1],
  ['stopped', 'replace', 'cancelled', 0],
  ['not-started', 'nothing', 'ready', 1],
  ['not-started', 'cancel', 'cancelled', 0],
  ['not-started', 'timeout', 'ready', 1],
  ['not-started', 'drain', 'ready', 1],
  ['not-started', 'replace', 'cancelled', 0],
  ['lost', 'nothing', 'ready', 0],
  ['lost', 'cancel', 'cancelled', 0],
  ['lost', 'timeout', 'ready', 0],
  ['lost', 'drain', 'ready', 0],
  ['lost', 'replace', 'cancelled', 0]
]

function run(task: TaskSpec, ending: Ending, told: Told): Machine {
  const machine = new Machine().withNodes(1)
  machine.submit([task])
  const token = machine.place(1, 1)
  if (told !== 'nothing') machine.stop(1, token, told)
  if (ending === 'lost') machine.endIncarnation(1, 1)
  else machine.complete(1, token, { outcome: ending, error: ending === 'failed' ? failure : undefined })
  return machine
}

test.each(TABLE)(
  'an attempt that %s after being told %s leaves its task %s',
  (ending, told, status, uncounted) => {
    const machine = run(spec(), ending, told)
    expect(machine.status(1)).toBe(status)
    expect(machine.task(1)?.uncounted ?? 0).toBe(uncounted)
    expect(machine.heldBy(1)).toBe(0)
  }
)

test.each([
  ['failed', 'nothing', 'failed', 'EXIT_CODE'],
  ['stopped', 'nothing', 'failed', 'MAYBE_RAN'],
  ['stopped', 'drain', 'failed', 'MAYBE_RAN'],
  ['stopped', 'timeout', 'failed', 'MAYBE_RAN'],
  ['lost', 'nothing', 'failed', 'MAYBE_RAN'],
  ['lost', 'cancel', 'cancelled', undefined],
  ['not-started', 'nothing', 'ready', undefined]
] as const)(
  'an at-most-once attempt that %s after being told %s leaves %s (%s)',
  (ending, told, status, code) => {
    const machine = run(spec({ delivery: 'at-most-once' }), ending, told)
    expect(machine.status(1)).toBe(status)
    expect(machine.errorCode(1)).toBe(code)
  }
)

test('a task fails for good with its last allowed attempt, lost ones included', () => {
  const machine = new Machine().withNodes(2)
  machine.submit([spec({ retry: { maxAttempts: 2, baseDelayMs: durationMs(0), maxDelayMs: durationMs(0) } })])
  machine.place(1, 1)
  machine.endIncarnation(1, 1)
  expect(machine.status(1)).toBe('ready')
  expect(machine.task(1)?.lastFailedOn).toBe(1)
  machine.complete(1, machine.place(1, 2), { outcome: 'failed', error: failure })
  expect(machine.status(1)).toBe('failed')
  expect(machine.errorCode(1)).toBe('EXIT_CODE')
})

test('an error that is not retryable ends the task at once', () => {
  const machine = new Machine().withNodes(1)
  machine.submit([spec()])
  machine.complete(1, machine.place(1, 1), { outcome: 'failed', error: { ...failure, retryable: false } })
  expect(machine.status(1)).toBe('failed')
})

test('a retry waits for its delay in state time', () => {
  const machine = new Machine().withNodes(1)
  machine.submit([spec()])
  machine.complete(1, machine.place(1, 1), { outcome: 'failed', error: failure }, 500)
  expect(machine.status(1)).toBe('pending')
  machine.now += 499
  machine.apply({ type: 'wake' })
  expect(machine.status(1)).toBe('pending')
  machine.now += 1
  expect(types(machine.apply({ type: 'wake' }))).toEqual(['task-ready'])
  expect(machine.place(1, 1)).toBe(2)
})

test('a result above the limit fails the task instead of entering the state', () => {
  const machine = new Machine().withNodes(1)
  machine.submit([spec()])
  const result = new Uint8Array(LIMITS.taskResultBytes + 1)
  machine.complete(1, machine.place(1, 1), { result })
  expect(machine.errorCode(1)).toBe('RESULT_TOO_LARGE')
})

test('a second report of the same attempt is refused as a duplicate and changes nothing', () => {
  const machine = new Machine().withNodes(1)
  machine.submit([spec()])
  const token = machine.place(1, 1)
  machine.complete(1, token)
  const [event] = machine.complete(1, token, { outcome: 'failed', error: failure })
  expect(event).toMatchObject({ type: 'report-refused', stale: false })
  expect(machine.status(1)).toBe('succeeded')
})

test('an effect with an old token is refused as stale: completion, start and stop', () => {
  const machine = new Machine().withNodes(2)
  machine.submit([spec()])
  const old = machine.place(1, 1)
  machine.endIncarnation(1, 1)
  const current = machine.place(1, 2)
  expect(current).toBeGreaterThan(old)
  expect(machine.complete(1, old)).toMatchObject([{ type: 'report-refused', stale: true }])
  expect(machine.stop(1, old, 'timeout')).toMatchObject([{ type: 'report-refused', stale: true }])
  const late = report(1, old)
  const start = { type: 'start', taskId: late.taskId, token: late.token, startedAt: late.startedAt } as const
  expect(machine.apply(start)).toMatchObject([{ type: 'report-refused', stale: true }])
  expect(machine.status(1)).toBe('placed')
})

test('uncounted attempts are bounded, so a node that never starts anything cannot keep a task for ever', () => {
  const machine = new Machine().withNodes(1)
  machine.submit([spec()])
  const refusing: Partial<AttemptReport> = { outcome: 'not-started' }
  let rounds = 0
  while (machine.status(1) === 'ready' && rounds < 1_000) {
    machine.complete(1, machine.place(1, 1), refusing)
    rounds++
  }
  expect(machine.status(1)).toBe('failed')
  expect(rounds).toBe(LIMITS.taskAttempts + 3)
})

test('a start is recorded once and turns placed into running', () => {
  const machine = new Machine().withNodes(1)
  machine.submit([spec()])
  const { taskId, token, startedAt } = report(1, machine.place(1, 1))
  const start = { type: 'start', taskId, token, startedAt } as const
  expect(types(machine.apply(start, start))).toEqual(['task-started'])
  expect(machine.status(1)).toBe('running')
})
