import { expect, test } from 'vitest'
import { LIMITS } from '../../../../base/limits.ts'
import { durationMs } from '../../../../base/units.ts'
import type { SubmitCommand } from '../../../../scheduler/commands.ts'
import { drainChanges, undrainedBlob } from '../../../../scheduler/records.ts'
import type { TaskSpec } from '../../../../scheduler/types.ts'
import { Machine, needs, origin, spec, types } from '../../../helpers/scheduler.ts'
import { taskId } from '../../../../base/ids.ts'

test('a task without needs is ready at once, one with needs when the last has succeeded', () => {
  const machine = new Machine().withNodes(1)
  machine.submit([spec(), spec(), spec({ needs: needs(1, 2) })])
  expect([1, 2, 3].map((id) => machine.status(id))).toEqual(['ready', 'ready', 'pending'])
  machine.complete(1, machine.place(1, 1))
  expect(machine.status(3)).toBe('pending')
  const events = machine.complete(2, machine.place(2, 1))
  expect(types(events)).toEqual(['attempt-ended', 'task-ended', 'task-ready'])
  expect(machine.status(3)).toBe('ready')
})

test('submit and place in one entry make one placement', () => {
  const machine = new Machine().withNodes(1)
  const submit: SubmitCommand = { type: 'submit', origin: origin(1), firstId: taskId(1), tasks: [spec()] }
  const node = machine.state.nodes.values().next().value
  if (node === undefined) throw new Error('no node')
  const place = { type: 'place', taskId: taskId(1), node: node.id, incarnation: node.incarnation } as const
  expect(types(machine.apply(submit, place))).toEqual([
    'task-submitted',
    'task-ready',
    'outcome',
    'task-placed'
  ])
})

test.each<readonly [string, Partial<TaskSpec>, string]>([
  ['an unknown need', { needs: needs(99) }, 'UNKNOWN_NEED'],
  ['itself as a need', { needs: needs(1) }, 'UNKNOWN_NEED'],
  ['a later task as a need', { needs: needs(2) }, 'UNKNOWN_NEED'],
  ['a fractional resource', { resources: { cpu: 0.5 } }, 'LIMIT_EXCEEDED'],
  ['a negative resource', { resources: { cpu: -1 } }, 'LIMIT_EXCEEDED'],
  ['no attempts', { retry: { ...spec().retry, maxAttempts: 0 } }, 'LIMIT_EXCEEDED'],
  ['too much input', { input: new Uint8Array(LIMITS.taskInputBytes + 1) }, 'LIMIT_EXCEEDED'],
  ['a priority out of range', { priority: 101 }, 'LIMIT_EXCEEDED'],
  ['an endless timeout', { startToCloseMs: durationMs(LIMITS.taskDurationMs + 1) }, 'LIMIT_EXCEEDED'],
  ['no name', { name: '' }, 'LIMIT_EXCEEDED']
])('a submission with %s is refused whole', (_, wrong, code) => {
  const machine = new Machine().withNodes(1)
  expect(machine.submit([spec(wrong), spec()])).toMatchObject({ ok: false, code })
  expect(machine.state.tasks.size).toBe(0)
  expect(machine.state.nextTaskId).toBe(1)
})

test('a need named twice is refused', () => {
  const machine = new Machine().withNodes(1)
  expect(machine.submit([spec(), spec({ needs: needs(1, 1) })])).toMatchObject({ code: 'INVALID_REQUEST' })
})

test('ids below those assigned are refused, gaps are allowed', () => {
  const machine = new Machine().withNodes(1)
  expect(machine.submit([spec()], { firstId: 5 })).toMatchObject({ ok: true, value: { firstId: 5 } })
  expect(machine.submit([spec()], { firstId: 5 })).toMatchObject({ code: 'SEQUENCE_STALE' })
  expect(machine.submit([spec()], { firstId: 6 })).toMatchObject({ ok: true })
})

test('a delayed task becomes ready at its time and not before', () => {
  const machine = new Machine().withNodes(1)
  machine.submit([spec({ notBefore: (machine.now + 100) as TaskSpec['notBefore'] })])
  machine.now += 99
  machine.apply({ type: 'wake' })
  expect(machine.status(1)).toBe('pending')
  expect(machine.place(1, 1)).toBe(0)
  machine.now += 1
  machine.apply({ type: 'wake' })
  expect(machine.status(1)).toBe('ready')
})

test('the same idempotency key and body give the first submission again', () => {
  const machine = new Machine().withNodes(1)
  machine.submit([spec(), spec()], { key: 'k' })
  const value = { type: 'submitted', firstId: 1, count: 2, replayed: true }
  expect(machine.submit([spec(), spec()], { key: 'k' })).toEqual({ ok: true, value })
  expect(machine.state.tasks.size).toBe(2)
})

test('the same idempotency key with another body is refused', () => {
  const machine = new Machine().withNodes(1)
  machine.submit([spec()], { key: 'k' })
  expect(machine.submit([spec()], { key: 'k', fingerprint: 'other' })).toMatchObject({
    code: 'IDEMPOTENCY_MISMATCH'
  })
})

test('an expired key is free again, by state time', () => {
  const machine = new Machine().withNodes(1)
  machine.submit([spec()], { key: 'k', ttlMs: 1_000 })
  machine.now += 999
  expect(machine.submit([spec()], { key: 'k' })).toMatchObject({ value: { replayed: true } })
  machine.now += 1
  expect(machine.submit([spec()], { key: 'k' })).toMatchObject({ value: { replayed: false, firstId: 2 } })
})

test('a second delivery of a proposal gets the outcome of the first', () => {
  const machine = new Machine().withNodes(1)
  const first = machine.submit([spec()], { origin: origin(7) })
  expect(machine.submit([spec()], { origin: origin(7) })).toEqual(first)
  expect(machine.state.tasks.size).toBe(1)
})

test('proposals may arrive in any order: there is no high-water mark', () => {
  const machine = new Machine().withNodes(1)
  machine.submit([spec()], { origin: origin(9) })
  expect(machine.submit([spec()], { origin: origin(3) })).toMatchObject({ value: { firstId: 2 } })
})

test('a proposal below what its origin still waits for is not applied again', () => {
  const machine = new Machine().withNodes(1)
  machine.submit([spec()], { origin: origin(3) })
  machine.submit([spec()], { origin: origin(9, { lowestOutstanding: 9 }) })
  expect(machine.submit([spec()], { origin: origin(3) })).toMatchObject({ code: 'OUTCOME_UNKNOWN' })
  expect(machine.state.tasks.size).toBe(2)
})

test('outcomes outlive one change of incarnation, not two', () => {
  const machine = new Machine().withNodes(1)
  const at = (number: number, sequence: number): ReturnType<Machine['submit']> =>
    machine.submit([spec()], {
      origin: origin(sequence, { incarnation: number as ReturnType<typeof origin>['incarnation'] })
    })
  const first = at(1, 1)
  at(2, 1)
  expect(at(1, 1)).toEqual(first)
  at(3, 1)
  expect(at(1, 1)).toMatchObject({ code: 'OUTCOME_UNKNOWN' })
  expect(machine.state.tasks.size).toBe(3)
})

test('a long input leaves memory for a blob, a short one stays', () => {
  const machine = new Machine().withNodes(1)
  const long = new Uint8Array(LIMITS.inlineBytes + 1).fill(7)
  machine.submit([spec({ input: long }), spec({ input: new Uint8Array(3) })])
  expect(machine.task(1)?.spec.input).toEqual({ sizeBytes: long.length })
  expect(machine.task(2)?.spec.input).toEqual(new Uint8Array(3))
  expect(undrainedBlob(machine.state, taskId(1), 'input')).toEqual(long)
  const { puts } = drainChanges(machine.state)
  expect(puts.filter((row) => row.key.startsWith('cb')).map((row) => row.value)).toEqual([long])
  expect(undrainedBlob(machine.state, taskId(1), 'input')).toBeUndefined()
})

test('a live task has no more dependents than the limit', () => {
  const machine = new Machine().withNodes(1)
  machine.submit([spec()])
  const thousand = Array.from({ length: LIMITS.batchTasks }, () => spec({ needs: needs(1) }))
  for (let round = 0; round < LIMITS.taskDependents / LIMITS.batchTasks; round++) machine.submit(thousand)
  expect(machine.submit([spec({ needs: needs(1) })])).toMatchObject({ code: 'LIMIT_EXCEEDED' })
})
