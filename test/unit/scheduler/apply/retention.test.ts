import { expect, test } from 'vitest'
import { timestampMs } from '../../../../base/units.ts'
import { drainChanges } from '../../../../scheduler/records.ts'
import { dueCommands, nextDueAt } from '../../../../scheduler/planner/duties.ts'
import { Machine, needs, spec } from '../../../helpers/scheduler.ts'

const retireAll = (machine: Machine): void => {
  machine.now += 1
  machine.apply({ type: 'retire', before: timestampMs(machine.now) })
}

test('ended tasks retire in the order of their ends, with their cold rows', () => {
  const machine = new Machine().withNodes(1)
  machine.submit([spec({ input: new Uint8Array(2_000) }), spec()])
  machine.complete(1, machine.place(1, 1), { result: new Uint8Array(2_000) })
  machine.cancel(2)
  drainChanges(machine.state)
  retireAll(machine)
  expect([machine.status(1), machine.status(2)]).toEqual(['absent', 'absent'])
  const deletes = drainChanges(machine.state).deletes.filter((key) => key.startsWith('c'))
  expect(deletes.map((key) => key.replace(/0{8,}/, '#')).sort()).toEqual([
    'cb#1input',
    'cb#1result',
    'ch#1',
    'ch#2',
    'cicancelled/#2'
  ])
})

test('what came and went between two drains leaves no trace', () => {
  const machine = new Machine().withNodes(1)
  drainChanges(machine.state)
  machine.submit([spec({ input: new Uint8Array(2_000) })])
  machine.cancel(1)
  retireAll(machine)
  const { puts, deletes } = drainChanges(machine.state)
  expect(deletes).toEqual([])
  expect(puts.map((row) => row.key.slice(0, 2)).sort()).toEqual(['sc', 'so'])
})

test('a tombstone outlives its live dependents and the key that leads to it', () => {
  const machine = new Machine().withNodes(1)
  machine.submit([spec(), spec({ needs: needs(1) })], { key: 'k', ttlMs: 1_000 })
  machine.complete(1, machine.place(1, 1))
  retireAll(machine)
  expect(machine.status(1)).toBe('succeeded')
  machine.complete(2, machine.place(2, 1))
  retireAll(machine)
  expect(machine.status(1)).toBe('succeeded')
  machine.now += 1_000
  machine.apply({ type: 'expire-keys' })
  retireAll(machine)
  expect([machine.status(1), machine.status(2)]).toEqual(['absent', 'absent'])
})

test('a need on a retired task is refused as RETIRED', () => {
  const machine = new Machine().withNodes(1)
  machine.submit([spec()])
  machine.cancel(1)
  retireAll(machine)
  expect(machine.submit([spec({ needs: needs(1) })])).toMatchObject({ code: 'RETIRED' })
})

test('records beyond the bound on their number retire early, oldest first', () => {
  const machine = new Machine().withNodes(1)
  machine.apply({ type: 'set-settings', settings: { historyTasks: 2 } })
  machine.submit([spec(), spec(), spec()])
  for (const id of [3, 1, 2]) machine.cancel(id)
  expect(nextDueAt(machine.state)).toBe(machine.state.time)
  machine.apply(...dueCommands(machine.state, machine.state.time, 10))
  expect([1, 2, 3].map((id) => machine.status(id))).toEqual(['cancelled', 'cancelled', 'absent'])
})

test('duties come due with state time: delays, expiries, keys, retirement', () => {
  const machine = new Machine().withNodes(1)
  const { now } = machine
  expect(nextDueAt(machine.state)).toBeUndefined()
  machine.submit([spec({ scheduleToStartMs: 400 as never })])
  machine.submit([spec({ notBefore: timestampMs(now + 300) })])
  machine.submit([spec()], { key: 'k', ttlMs: 200 })
  const at = (offset: number): string[] =>
    dueCommands(machine.state, timestampMs(now + offset), 10).map((command) => command.type)
  expect(nextDueAt(machine.state)).toBe(now + 200)
  expect(at(199)).toEqual([])
  expect(at(200)).toEqual(['expire-keys'])
  expect(at(300)).toEqual(['wake', 'expire-keys'])
  expect(at(400)).toEqual(['wake', 'expire-keys', 'expire'])
  machine.cancel(1)
  expect(at(400)).toEqual(['wake', 'expire-keys'])
  expect(at(machine.state.settings.historyMs)).toContain('retire')
})
