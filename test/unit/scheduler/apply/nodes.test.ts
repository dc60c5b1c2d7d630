import { expect, test } from 'vitest'
import { incarnation, nodeId, peerId, taskId } from '../../../../base/ids.ts'
import { LIMITS } from '../../../../base/limits.ts'
import { durationMs } from '../../../../base/units.ts'
import { dueCommands } from '../../../../scheduler/planner/duties.ts'
import { Machine, failure, offer, report, spec, types } from '../../../helpers/scheduler.ts'

const register = (peer: string) =>
  ({ type: 'register-node', peerId: peerId(peer), addresses: [], zone: '' }) as const

test('the same peer gets the same number; a removed number is never used again', () => {
  const machine = new Machine()
  machine.apply(register('a'), register('b'), register('a'))
  expect([...machine.state.nodes.keys()]).toEqual([1, 2])
  machine.apply({ type: 'leave', node: nodeId(2) }, { type: 'remove-node', node: nodeId(2) }, register('b'))
  expect([...machine.state.nodes.keys()]).toEqual([1, 3])
})

test('the cluster has a bounded number of nodes', () => {
  const machine = new Machine()
  for (let index = 0; index < LIMITS.nodes; index++) machine.apply(register(`p${index}`))
  expect(machine.apply(register('more'))).toMatchObject([{ type: 'command-refused', code: 'LIMIT_EXCEEDED' }])
})

test('an equal announcement refreshes the offer, a lower one and an ended one are refused', () => {
  const machine = new Machine().withNodes(1)
  expect(types(machine.announce(1, 1, { slots: 9 }))).toEqual(['node-changed'])
  expect(machine.state.nodes.get(nodeId(1))?.offer.slots).toBe(9)
  machine.announce(1, 3)
  expect(machine.announce(1, 2)).toMatchObject([{ code: 'STALE_INCARNATION' }])
  machine.endIncarnation(1, 3)
  expect(machine.announce(1, 3)).toMatchObject([{ code: 'STALE_INCARNATION' }])
  expect(machine.state.nodes.get(nodeId(1))).toMatchObject({ open: false, status: 'lost' })
})

test('a higher announcement judges the outbox first, then ends what is left as lost', () => {
  const machine = new Machine().withNodes(1)
  machine.submit([spec(), spec()])
  const done = machine.place(1, 1)
  machine.place(2, 1)
  machine.apply({
    type: 'announce',
    node: nodeId(1),
    incarnation: incarnation(2),
    offer: offer(),
    outbox: [report(1, done)],
    retryDelayMs: durationMs(0)
  })
  expect([machine.status(1), machine.status(2)]).toEqual(['succeeded', 'ready'])
  expect(machine.task(2)?.lastError?.code).toBe('NODE_LOST')
  expect(machine.heldBy(1)).toBe(0)
})

test('nothing is placed on an old, closed, leaving or unknown node, nor beyond its slots and resources', () => {
  const machine = new Machine().withNodes(2, { slots: 1 })
  machine.submit([
    spec(),
    spec({ executor: 'gpu' }),
    spec({ handler: 'triple' }),
    spec({ nodeSelector: { disk: 'hdd' } }),
    spec({ resources: { cpu: 4_001 } }),
    spec({ resources: { gpu: 1 } })
  ])
  const code = (id: number, node: number, number = 1): string => {
    const [event] = machine.apply({
      type: 'place',
      taskId: taskId(id),
      node: nodeId(node),
      incarnation: incarnation(number)
    })
    return event?.type === 'placement-refused' ? event.code : (event?.type ?? '')
  }
  expect(code(2, 1)).toBe('INELIGIBLE_NODE')
  expect(code(3, 1)).toBe('INELIGIBLE_NODE')
  expect(code(4, 1)).toBe('INELIGIBLE_NODE')
  expect(code(5, 1)).toBe('NO_CAPACITY')
  expect(code(1, 1, 0)).toBe('STALE_INCARNATION')
  expect(code(1, 9)).toBe('NODE_NOT_FOUND')
  expect(code(1, 1)).toBe('task-placed')
  expect(code(1, 2)).toBe('TASK_NOT_READY')
  expect(code(6, 1)).toBe('NO_CAPACITY')
  machine.apply({ type: 'leave', node: nodeId(2) })
  expect(code(6, 2)).toBe('NODE_LEAVING')
})

test('a resource that a node does not limit is not limited, one that it does is given back at the end', () => {
  const machine = new Machine().withNodes(1)
  machine.submit([spec({ resources: { cpu: 3_000, gpu: 5 } }), spec({ resources: { cpu: 1_001 } })])
  const token = machine.place(1, 1)
  expect(token).toBeGreaterThan(0)
  expect(machine.place(2, 1)).toBe(0)
  machine.complete(1, token, { outcome: 'failed', error: { ...failure, retryable: false } })
  expect(machine.place(2, 1)).toBeGreaterThan(0)
})

test('a leaving node keeps its incarnation, may not open another, and is removed only when it is empty', () => {
  const machine = new Machine().withNodes(1)
  machine.submit([spec()])
  machine.place(1, 1)
  const remove = { type: 'remove-node', node: nodeId(1) } as const
  expect(machine.apply(remove)).toMatchObject([{ code: 'NODE_HAS_INCARNATION' }])
  machine.apply({ type: 'leave', node: nodeId(1) })
  expect(machine.announce(1, 2)).toMatchObject([{ code: 'NODE_LEAVING' }])
  expect(machine.apply(remove)).toMatchObject([{ code: 'NODE_HAS_INCARNATION' }])
  machine.endIncarnation(1, 1)
  expect(types(machine.apply(remove))).toEqual(['node-changed'])
  expect(machine.state.nodes.size).toBe(0)
  expect(machine.status(1)).toBe('ready')
})

test('removal answers its origin, even when that is the removed node', () => {
  const machine = new Machine().withNodes(1)
  machine.apply({ type: 'leave', node: nodeId(1) })
  machine.endIncarnation(1, 1)
  const events = machine.apply({ type: 'remove-node', node: nodeId(1), origin: machine.nextOrigin() })
  expect(events.at(-1)).toMatchObject({ type: 'outcome', outcome: { ok: true } })
  expect(machine.state.sessions.size).toBe(0)
})

test('an incarnation with more attempts than one command may touch is ended by further ones', () => {
  const machine = new Machine().withNodes(1, { slots: 3_000 })
  for (let round = 0; round < 3; round++) {
    machine.submit(Array.from({ length: 800 }, () => spec()))
  }
  for (let id = 1; id <= 2_400; id++) machine.place(id, 1)
  machine.announce(1, 2, { slots: 3_000 })
  expect(machine.heldBy(1)).toBe(2_400 - LIMITS.batchTasks)
  machine.place(1, 1)
  for (let round = 0; round < 5; round++) {
    const due = dueCommands(machine.state, machine.state.time, 10)
    if (due.length > 0) machine.apply(...due)
  }
  expect(machine.heldBy(1)).toBe(1)
  expect(machine.status(1)).toBe('placed')
  expect(dueCommands(machine.state, machine.state.time, 10)).toEqual([])
})

test('settings outside of their bounds change nothing', () => {
  const machine = new Machine().withNodes(1)
  const before = machine.state.settings
  expect(
    machine.apply({ type: 'set-settings', settings: { leaseMs: durationMs(1), policy: 'fifo' } })
  ).toMatchObject([{ code: 'LIMIT_EXCEEDED' }])
  expect(machine.state.settings).toEqual(before)
  expect(types(machine.apply({ type: 'set-settings', settings: { policy: 'fifo' } }))).toEqual([
    'settings-changed'
  ])
})

test('state time never falls', () => {
  const machine = new Machine().withNodes(1)
  const { now } = machine
  machine.now = now - 5_000
  machine.submit([spec()])
  expect(machine.state.time).toBe(now)
})
