import { expect, test } from 'vitest'
import { taskId } from '../../../../base/ids.ts'
import { LIMITS } from '../../../../base/limits.ts'
import { durationMs } from '../../../../base/units.ts'
import { loadState, drainChanges, stateChecksum } from '../../../../scheduler/records.ts'
import { isHotKey } from '../../../../scheduler/keys.ts'
import { Machine, failure, needs, spec, types } from '../../../helpers/scheduler.ts'

const once = { maxAttempts: 1, baseDelayMs: durationMs(0), maxDelayMs: durationMs(0) }

test('a task that waits is cancelled at once, and its dependents are skipped', () => {
  const machine = new Machine().withNodes(1)
  machine.submit([spec(), spec({ needs: needs(1) }), spec({ needs: needs(2) })])
  expect(machine.cancel(1)).toEqual({ ok: true, value: { type: 'cancelled', status: 'cancelled' } })
  expect([1, 2, 3].map((id) => machine.status(id))).toEqual(['cancelled', 'skipped', 'skipped'])
  expect(machine.errorCode(3)).toBe('NEED_FAILED')
})

test('a live attempt is told to stop and keeps its slot until its node reports', () => {
  const machine = new Machine().withNodes(1, { slots: 1 })
  machine.submit([spec(), spec()])
  const token = machine.place(1, 1)
  expect(machine.cancel(1)).toEqual({ ok: true, value: { type: 'cancelled', status: 'stopping' } })
  expect(machine.place(2, 1)).toBe(0)
  machine.complete(1, token, { outcome: 'stopped' })
  expect(machine.status(1)).toBe('cancelled')
  expect(machine.place(2, 1)).toBeGreaterThan(0)
})

test('of cancel and success one wins: what succeeded stays succeeded', () => {
  const machine = new Machine().withNodes(1)
  machine.submit([spec()])
  const token = machine.place(1, 1)
  machine.cancel(1)
  machine.complete(1, token)
  expect(machine.status(1)).toBe('succeeded')
  expect(machine.cancel(1)).toMatchObject({ code: 'ALREADY_TERMINAL' })
})

test('a cancellation overrides a drain, a drain does not override a cancellation', () => {
  const machine = new Machine().withNodes(1)
  machine.submit([spec()])
  const token = machine.place(1, 1)
  machine.stop(1, token, 'drain')
  expect(machine.task(1)?.placement?.stopReason).toBe('drain')
  machine.cancel(1)
  expect(machine.stop(1, token, 'drain')).toEqual([])
  expect(machine.stop(1, token, 'replace')).toEqual([])
  expect(machine.task(1)?.placement?.stopReason).toBe('cancel')
})

test('cancelling twice is answered alike; unknown and retired tasks are told apart', () => {
  const machine = new Machine().withNodes(1)
  machine.submit([spec(), spec()])
  machine.cancel(2)
  expect(machine.cancel(2)).toMatchObject({ ok: true })
  expect(machine.cancel(3)).toMatchObject({ code: 'TASK_NOT_FOUND' })
  machine.now += 10
  machine.apply({ type: 'retire', before: machine.now as Machine['state']['time'] })
  expect(machine.cancel(2)).toMatchObject({ code: 'RETIRED' })
})

test('a task that waited too long for a node fails, not a moment early', () => {
  const machine = new Machine().withNodes(1)
  machine.submit([spec({ scheduleToStartMs: durationMs(100) })])
  const expire = { type: 'expire', taskId: taskId(1) } as const
  machine.now += 99
  machine.apply(expire)
  expect(machine.status(1)).toBe('ready')
  machine.now += 1
  expect(types(machine.apply(expire))).toEqual(['task-withdrawn', 'task-ended'])
  expect(machine.errorCode(1)).toBe('SCHEDULE_TO_START')
})

test('a task submitted with a need that failed is skipped at once, with those that need it', () => {
  const machine = new Machine().withNodes(1)
  machine.submit([spec({ retry: once })])
  machine.complete(1, machine.place(1, 1), { outcome: 'failed', error: failure })
  machine.submit([spec({ needs: needs(1) }), spec({ needs: needs(2) }), spec()])
  expect([2, 3, 4].map((id) => machine.status(id))).toEqual(['skipped', 'skipped', 'ready'])
})

/** As a leader does, but not for ever. */
function wakeUntilSpread(machine: Machine): void {
  for (let left = 10; left > 0 && machine.state.spreading.size > 0; left--) machine.apply({ type: 'wake' })
}

/** A task with `count` dependents, over several submissions. */
function fan(count: number): Machine {
  const machine = new Machine().withNodes(1)
  machine.submit([spec({ retry: once })])
  for (let left = count; left > 0; left -= LIMITS.batchTasks) {
    const some = Math.min(left, LIMITS.batchTasks)
    machine.submit(Array.from({ length: some }, () => spec({ needs: needs(1) })))
  }
  return machine
}

test.each([
  ['succeeded', 'ready'],
  ['failed', 'skipped']
] as const)(
  'the end of a task that %s reaches a large fan in bounded commands, also over a snapshot',
  (outcome, fate) => {
    const machine = fan(2_500)
    const count = (of: Machine): number => {
      let found = 0
      for (let id = 2; id <= 2_501; id++) if (of.status(id) === fate) found++
      return found
    }
    // Some dependents are gone before, so that a list in memory differs from one that was loaded.
    for (const id of [2, 900, 1_001, 2_501]) machine.cancel(id)
    machine.complete(1, machine.place(1, 1), {
      outcome,
      error: outcome === 'failed' ? failure : undefined
    })
    expect(count(machine)).toBe(LIMITS.batchTasks)
    // One that comes while the end still spreads hears of it too.
    machine.submit([spec({ needs: needs(1) })])
    const rows = drainChanges(machine.state).puts.filter((row) => isHotKey(row.key))
    const resumed = new Machine(loadState(rows))
    for (const each of [machine, resumed]) {
      wakeUntilSpread(each)
      expect(count(each)).toBe(2_496)
      expect(each.status(2_502)).toBe(fate)
      drainChanges(each.state)
    }
    expect(stateChecksum(resumed.state)).toBe(stateChecksum(machine.state))
  }
)

test('a long chain behind a failure is skipped without recursion', () => {
  const machine = new Machine().withNodes(1)
  machine.submit([spec({ retry: once })])
  for (let round = 0; round < 3; round++) {
    const first = machine.state.nextTaskId
    machine.submit(Array.from({ length: 1_000 }, (_, index) => spec({ needs: needs(first + index - 1) })))
  }
  machine.complete(1, machine.place(1, 1), { outcome: 'failed', error: failure })
  wakeUntilSpread(machine)
  expect(machine.status(3_001)).toBe('skipped')
  expect(machine.state.tasks.size).toBe(0)
})
