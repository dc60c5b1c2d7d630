import { expect, test } from 'vitest'
import { nodeId, taskId } from '../../../base/ids.ts'
import type { Row } from '../../../scheduler/keys.ts'
import { historyKey, isHotKey } from '../../../scheduler/keys.ts'
import {
  RECORD_VERSION,
  decodeHistory,
  drainChanges,
  loadState,
  recomputeChecksum,
  stateChecksum,
  undrainedHistory
} from '../../../scheduler/records.ts'
import { Machine, needs, spec } from '../../helpers/scheduler.ts'

function busy(): Machine {
  const machine = new Machine().withNodes(2)
  machine.submit([spec({ input: new Uint8Array(9) }), spec({ needs: needs(1) }), spec()], { key: 'k' })
  machine.complete(1, machine.place(1, 1), { result: new Uint8Array([1, 2]) })
  machine.place(3, 2)
  return machine
}

test('what changed ten times costs one row', () => {
  const machine = busy()
  const keys = drainChanges(machine.state).puts.map((row) => row.key)
  expect(new Set(keys).size).toBe(keys.length)
  expect(drainChanges(machine.state)).toEqual({ deletes: [], puts: [] })
})

test('the checksum follows the state and returns with it', () => {
  const machine = busy()
  drainChanges(machine.state)
  const before = stateChecksum(machine.state)
  expect(recomputeChecksum(machine.state)).toBe(before)
  machine.now += 1
  machine.cancel(2)
  drainChanges(machine.state)
  expect(stateChecksum(machine.state)).not.toBe(before)
  expect(recomputeChecksum(machine.state)).toBe(stateChecksum(machine.state))
})

test('a history row is read before its drain from the state, afterwards from its bytes', () => {
  const machine = busy()
  const row = undrainedHistory(machine.state, taskId(1))
  const { puts } = drainChanges(machine.state)
  expect(undrainedHistory(machine.state, taskId(1))).toBeUndefined()
  const value = puts.find(({ key }) => key === historyKey(taskId(1)))?.value ?? new Uint8Array(0)
  expect(decodeHistory(value)).toEqual(row)
  expect(row).toMatchObject({ status: 'succeeded', node: 1, token: 1, attempts: 1, runMs: 5 })
  for (let index = 0; index < value.length; index++) {
    const damaged = value.slice()
    damaged[index] = (damaged[index] ?? 0) ^ 1
    expect(() => decodeHistory(damaged)).toThrow(expect.objectContaining({ code: 'STATE_CORRUPT' }))
  }
})

function hotRows(): Row[] {
  return drainChanges(busy().state).puts.filter((row) => isHotKey(row.key))
}

test.each<readonly [string, (rows: Row[]) => Row[], string]>([
  [
    'a row that is cut',
    ([first, ...rest]) => [...rest, { key: first?.key ?? '', value: new Uint8Array([RECORD_VERSION]) }],
    'STATE_CORRUPT'
  ],
  [
    'an unknown row',
    (rows) => [...rows, { key: 'sz', value: new Uint8Array([RECORD_VERSION]) }],
    'STATE_CORRUPT'
  ],
  [
    'a cold row',
    (rows) => [...rows, { key: 'ch1', value: new Uint8Array([RECORD_VERSION]) }],
    'STATE_CORRUPT'
  ],
  ['no counters', (rows) => rows.filter(({ key }) => key !== 'sc'), 'STATE_CORRUPT'],
  [
    'a task on a node that is missing',
    (rows) => rows.filter(({ key }) => !key.startsWith('sn')),
    'STATE_CORRUPT'
  ],
  ['a need that is missing', (rows) => rows.filter(({ key }) => !key.startsWith('se')), 'STATE_CORRUPT'],
  [
    'rows of a later version',
    (rows) => rows.map(({ key }) => ({ key, value: new Uint8Array([RECORD_VERSION + 1]) })),
    'DATA_VERSION_UNSUPPORTED'
  ]
])('%s is refused with a code', (_, spoil, code) => {
  const rows = hotRows()
  expect(() => loadState(rows)).not.toThrow()
  expect(() => loadState(spoil(rows))).toThrow(expect.objectContaining({ code }))
})

test('no rows are the empty state', () => {
  expect(stateChecksum(loadState([]))).toBe('0'.repeat(16))
})

test('rows may come in any order', () => {
  const rows = hotRows()
  const forwards = loadState(rows)
  const backwards = loadState([...rows].reverse())
  expect(stateChecksum(backwards)).toBe(stateChecksum(forwards))
  expect(backwards.ready).toEqual(forwards.ready)
  expect(recomputeChecksum(backwards)).toBe(stateChecksum(forwards))
})

test('a loaded node holds its attempts in the order of their tokens', () => {
  const machine = new Machine().withNodes(1)
  machine.submit([spec(), spec(), spec()])
  for (const id of [3, 1, 2]) machine.place(id, 1)
  const rows = drainChanges(machine.state).puts.filter((row) => isHotKey(row.key))
  expect([...(loadState(rows).nodes.get(nodeId(1))?.placements ?? [])]).toEqual([3, 1, 2])
})
