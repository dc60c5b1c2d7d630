import { expect, test } from 'vitest'
import { taskId } from '../../../../base/ids.ts'
import { LIMITS } from '../../../../base/limits.ts'
import { explain } from '../../../../scheduler/explain.ts'
import { drainChanges, loadState, stateChecksum, undrainedHistory } from '../../../../scheduler/records.ts'
import type { TaskSpec } from '../../../../scheduler/types.ts'
import { Machine, failure, spec, types } from '../../../helpers/scheduler.ts'

const COPYABLE = { idempotent: true, resources: { cpu: 1_000 } }

/** Task 1 runs on node 1 under token 1 and, as a copy, on node 2 under token 2. */
function pair(overrides: Partial<TaskSpec> = {}, nodes = 3): Machine {
  const machine = new Machine().withNodes(nodes)
  machine.submit([spec({ ...COPYABLE, ...overrides })])
  expect([machine.place(1, 1), machine.copy(1, 2)]).toEqual([1, 2])
  return machine
}

const slots = (machine: Machine): number[] => [1, 2].map((node) => machine.heldBy(node))
const cpuOf = (machine: Machine): (number | undefined)[] =>
  [...machine.state.nodes.values()].map(({ used }) => used['cpu'])

test('a copy has a token and a number of its own, holds its slot, and does not count', () => {
  const machine = pair()
  expect(machine.task(1)).toMatchObject({
    attempts: 2,
    uncounted: 1,
    copies: 1,
    lastToken: 2,
    placement: { token: 1, attempt: 1, node: 1, isCopy: false },
    copy: { token: 2, attempt: 2, node: 2, isCopy: true }
  })
  expect(slots(machine)).toEqual([1, 1])
  expect(cpuOf(machine).slice(0, 2)).toEqual([1_000, 1_000])
  expect(explain(machine.state, taskId(1))).toMatchObject({ placement: { token: 1 }, copy: { token: 2 } })
})

test.each([
  [1, 2],
  [2, 1]
])('the success of attempt %i ends the task and stops attempt %i, which keeps its slot', (winner, loser) => {
  const machine = pair()
  const events = machine.complete(1, winner, { result: new Uint8Array([7]) })
  expect(types(events)).toEqual(['attempt-ended', 'task-stopping', 'task-ended'])
  expect(events[1]).toMatchObject({ reason: 'superseded', placement: { token: loser } })
  expect(machine.status(1)).toBe('succeeded')
  expect(undrainedHistory(machine.state, taskId(1))).toMatchObject({
    attempts: 2,
    copies: 1,
    attempt: winner,
    node: winner,
    token: winner,
    result: new Uint8Array([7])
  })
  expect([machine.heldBy(winner), machine.heldBy(loser)]).toEqual([0, 1])
})

test.each([
  ['succeeded', 'superseded'],
  ['failed', 'failed'],
  ['stopped', 'stopped'],
  ['not-started', 'not-started']
] as const)('the loser that %s frees its slot as %s and changes nothing else', (outcome, end) => {
  const machine = pair()
  machine.complete(1, 2, { result: new Uint8Array([7]) })
  const events = machine.complete(1, 1, { outcome, result: new Uint8Array([9]) })
  expect(types(events)).toEqual(['attempt-ended'])
  expect(events[0]).toMatchObject({ end, runMs: 5, task: { id: 1, spec: { name: 'work' } } })
  expect(slots(machine)).toEqual([0, 0])
  expect(cpuOf(machine).slice(0, 2)).toEqual([0, 0])
  expect(undrainedHistory(machine.state, taskId(1))?.result).toEqual(new Uint8Array([7]))
  expect(types(machine.complete(1, 1))).toEqual(['report-refused'])
})

test('the loser frees its slot when its node is lost', () => {
  const machine = pair()
  machine.complete(1, 2)
  expect(types(machine.endIncarnation(1, 1))).toEqual(['incarnation-ended', 'node-changed', 'attempt-ended'])
  expect(slots(machine)).toEqual([0, 0])
})

test('what lingers comes back from rows, and its end leaves none', () => {
  const machine = pair()
  machine.complete(1, 1)
  const { puts } = drainChanges(machine.state)
  const resumed = new Machine(loadState(puts.filter(({ key }) => key.startsWith('s'))))
  expect(resumed.state.lingering).toEqual(machine.state.lingering)
  expect([resumed.heldBy(2), resumed.state.nodes.get(2 as never)?.used['cpu']]).toEqual([1, 1_000])
  for (const one of [machine, resumed]) {
    one.now = 1_700_000_000_010
    one.complete(1, 2, { outcome: 'stopped' })
    expect(drainChanges(one.state).deletes.some((key) => key.startsWith('sl'))).toBe(true)
  }
  expect(stateChecksum(resumed.state)).toBe(stateChecksum(machine.state))
})

test('a lingering attempt can be told to stop again and report its start, to no effect', () => {
  const machine = pair()
  machine.complete(1, 1)
  expect(machine.stop(1, 2, 'timeout')).toEqual([])
  const started = machine.apply({
    type: 'start',
    taskId: taskId(1),
    token: 2 as never,
    startedAt: 5 as never
  })
  expect(types(started)).toEqual(['task-started'])
  expect(machine.status(1)).toBe('succeeded')
  expect(machine.cancel(1)).toMatchObject({ code: 'ALREADY_TERMINAL' })
})

test.each([1, 2])('the failure of attempt %i is noted, and the other one goes on', (loser) => {
  const machine = pair({ retry: { maxAttempts: 1, baseDelayMs: 0 as never, maxDelayMs: 0 as never } })
  machine.complete(1, loser, { outcome: 'failed', error: failure })
  const winner = 3 - loser
  expect(machine.task(1)).toMatchObject({
    status: 'placed',
    lastError: failure,
    lastFailedOn: loser,
    placement: { token: winner },
    copy: undefined
  })
  machine.complete(1, winner)
  expect(machine.status(1)).toBe('succeeded')
})

test('the loss of one node leaves the attempt on the other', () => {
  const machine = pair()
  machine.endIncarnation(1, 1)
  expect(machine.task(1)).toMatchObject({
    status: 'placed',
    placement: { node: 2, token: 2 },
    copy: undefined
  })
  expect(machine.task(1)?.lastError?.code).toBe('NODE_LOST')
})

test('a pair that failed costs one attempt, and the next one is placed when attempts are left', () => {
  const machine = pair({ retry: { maxAttempts: 2, baseDelayMs: 0 as never, maxDelayMs: 0 as never } })
  machine.complete(1, 1, { outcome: 'failed', error: failure })
  machine.complete(1, 2, { outcome: 'failed', error: failure })
  expect(machine.status(1)).toBe('ready')
  machine.complete(1, machine.place(1, 3), { outcome: 'failed', error: failure })
  expect(machine.status(1)).toBe('failed')
})

test('a copy that did not start does not buy an attempt that is not left', () => {
  const machine = pair({ retry: { maxAttempts: 1, baseDelayMs: 0 as never, maxDelayMs: 0 as never } })
  machine.complete(1, 1, { outcome: 'failed', error: failure })
  machine.complete(1, 2, { outcome: 'not-started' })
  expect(machine.status(1)).toBe('failed')
})

test('a final error stands, but the other attempt may still succeed', () => {
  const final = { ...failure, retryable: false }
  const failed = pair()
  failed.complete(1, 1, { outcome: 'failed', error: final })
  failed.complete(1, 2, { outcome: 'failed', error: { ...failure, code: 'LATER' } })
  expect([failed.status(1), failed.errorCode(1)]).toEqual(['failed', final.code])
  const saved = pair()
  saved.complete(1, 1, { outcome: 'failed', error: final })
  saved.complete(1, 2)
  expect(saved.status(1)).toBe('succeeded')
})

test('a cancellation stops both, and the last to end ends the task', () => {
  const machine = pair()
  expect(machine.cancel(1)).toMatchObject({ ok: true })
  expect(machine.task(1)?.status).toBe('stopping')
  expect(types(machine.complete(1, 2, { outcome: 'stopped' }))).toEqual(['attempt-ended'])
  expect(machine.task(1)?.status).toBe('stopping')
  machine.complete(1, 1, { outcome: 'stopped' })
  expect([machine.status(1), ...slots(machine)]).toEqual(['cancelled', 0, 0])
})

test('a drain or a timeout concerns one attempt; the task is stopping when both are', () => {
  const machine = pair()
  machine.stop(1, 1, 'drain')
  expect(machine.task(1)?.status).toBe('placed')
  expect(machine.copy(1, 3)).toBe(0)
  machine.stop(1, 2, 'timeout')
  expect(machine.task(1)?.status).toBe('stopping')
  machine.complete(1, 1, { outcome: 'stopped' })
  machine.complete(1, 2, { outcome: 'stopped' })
  expect(machine.status(1)).toBe('ready')
})

test('an attempt that survived its sibling may be copied, and named as the one that is', () => {
  const machine = pair()
  machine.complete(1, 1, { outcome: 'failed', error: failure })
  expect(machine.copy(1, 1, 1)).toBe(0)
  expect(machine.copy(1, 1)).toBe(3)
  expect(machine.task(1)).toMatchObject({
    placement: { token: 2 },
    copy: { token: 3 },
    copies: 2,
    uncounted: 2
  })
})

function refusal(prepare: (machine: Machine) => void, node: number, of?: number): string {
  const machine = new Machine().withNodes(3)
  machine.submit([spec({ idempotent: true }), spec(), spec({ idempotent: true, delivery: 'at-most-once' })])
  machine.place(1, 1)
  prepare(machine)
  const before = machine.state.lastToken
  const task = of === -2 ? 2 : of === -3 ? 3 : 1
  const token = of === undefined || of < 0 ? (machine.task(task)?.placement?.token ?? 0) : of
  const current = machine.state.nodes.get(node as never)?.incarnation ?? 1
  const named = { taskId: taskId(task), node: node as never, incarnation: current as never }
  const [event] = machine.apply({ type: 'place-copy', ...named, of: token as never })
  if (event?.type !== 'placement-refused') throw new Error(`expected a refusal, got ${event?.type}`)
  expect(machine.state.lastToken).toBe(before)
  return event.code
}

const nothing = (): void => undefined

test.each<readonly [string, (machine: Machine) => void, number, number | undefined, string]>([
  ['a copy on the same node', nothing, 1, undefined, 'INELIGIBLE_NODE'],
  ['a copy of another attempt', nothing, 2, 77, 'STALE_TOKEN'],
  ['a second copy', (machine) => machine.copy(1, 3), 2, undefined, 'COPY_NOT_ALLOWED'],
  ['a copy of what stops', (machine) => machine.stop(1, 1, 'drain'), 2, undefined, 'COPY_NOT_ALLOWED'],
  ['a copy of what is not idempotent', (machine) => machine.place(2, 1), 2, -2, 'COPY_NOT_ALLOWED'],
  ['a copy of an at-most-once task', (machine) => machine.place(3, 1), 2, -3, 'COPY_NOT_ALLOWED'],
  ['a copy of a task that is ready', nothing, 2, -2, 'STALE_TOKEN'],
  ['a copy of a task that ended', (machine) => machine.complete(1, 1), 2, 1, 'STALE_TOKEN'],
  ['a copy on an unknown node', nothing, 9, undefined, 'NODE_NOT_FOUND'],
  ['a copy on a closed node', (machine) => machine.endIncarnation(2, 1), 2, undefined, 'STALE_INCARNATION'],
  [
    'a copy on a full node',
    (machine) => {
      fill(machine, 2)
    },
    2,
    undefined,
    'NO_CAPACITY'
  ]
])('%s is refused', (_what, prepare, node, of, code) => {
  expect(refusal(prepare, node, of)).toBe(code)
})

function fill(machine: Machine, node: number): void {
  machine.submit(Array.from({ length: 4 }, () => spec()))
  for (let id = 4; id < 8; id++) machine.place(id, node)
}

test('copies end at the bound on attempts that do not count', () => {
  const machine = pair()
  for (let copies = 1; copies < LIMITS.taskAttempts; copies++) {
    machine.complete(1, machine.task(1)?.copy?.token ?? 0, { outcome: 'failed', error: failure })
    expect(machine.copy(1, 2)).toBeGreaterThan(0)
  }
  machine.complete(1, machine.task(1)?.copy?.token ?? 0, { outcome: 'failed', error: failure })
  expect(machine.copy(1, 2)).toBe(0)
  machine.complete(1, 1)
  expect(machine.status(1)).toBe('succeeded')
})
