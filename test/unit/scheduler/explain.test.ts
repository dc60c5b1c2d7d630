import { expect, test } from 'vitest'
import { nodeId, peerId, taskId } from '../../../base/ids.ts'
import { timestampMs } from '../../../base/units.ts'
import { explain } from '../../../scheduler/explain.ts'
import { Machine, needs, spec } from '../../helpers/scheduler.ts'

const why = (machine: Machine, id: number): unknown => explain(machine.state, taskId(id))

test('a waiting task names what it waits for', () => {
  const machine = new Machine().withNodes(1)
  const until = timestampMs(machine.now + 5)
  machine.submit([spec(), spec(), spec({ needs: needs(1, 2) }), spec({ notBefore: until })])
  machine.complete(1, machine.place(1, 1))
  expect(why(machine, 3)).toEqual({ type: 'waiting-on', tasks: [2], count: 1 })
  expect(why(machine, 4)).toEqual({ type: 'delayed', until })
  expect(why(machine, 1)).toBeUndefined()
})

test('a ready task names what each node lacks', () => {
  const machine = new Machine().withNodes(4, { slots: 1 })
  machine.announce(2, 2, { executors: ['gpu'] })
  machine.endIncarnation(3, 1)
  machine.apply({ type: 'leave', node: nodeId(4) })
  machine.submit([spec(), spec(), spec({ executor: 'none' })])
  expect(why(machine, 1)).toMatchObject({ type: 'in-line', readyTasks: 3 })
  machine.place(1, 1)
  expect(why(machine, 1)).toMatchObject({ type: 'placed', placement: { node: 1 } })
  expect(why(machine, 2)).toEqual({
    type: 'no-capacity',
    nodes: [
      { node: 1, verdict: 'slots' },
      { node: 2, verdict: 'executor' },
      { node: 3, verdict: 'closed' },
      { node: 4, verdict: 'leaving' }
    ]
  })
  expect(why(machine, 3)).toMatchObject({ type: 'no-eligible-node' })
  machine.cancel(1)
  expect(why(machine, 1)).toMatchObject({ type: 'stopping', reason: 'cancel' })
})

test('a task that nodes which are down could run waits for them, and is not said to have nowhere to go', () => {
  const machine = new Machine().withNodes(2)
  machine.announce(2, 2, { executors: ['gpu'] })
  machine.endIncarnation(1, 1)
  machine.endIncarnation(2, 2)
  machine.submit([spec(), spec({ executor: 'none' })])
  expect(why(machine, 1)).toEqual({
    type: 'no-capacity',
    nodes: [
      { node: 1, verdict: 'closed' },
      { node: 2, verdict: 'executor' }
    ]
  })
  expect(why(machine, 2)).toMatchObject({ type: 'no-eligible-node' })
})

test('a node that joins has not said yet what it offers: a task may wait for it', () => {
  const machine = new Machine().withNodes(1)
  machine.apply({ type: 'register-node', peerId: peerId('p2'), addresses: [], zone: '' })
  machine.submit([spec({ executor: 'gpu' })])
  expect(why(machine, 1)).toEqual({
    type: 'no-capacity',
    nodes: [
      { node: 1, verdict: 'executor' },
      { node: 2, verdict: 'closed' }
    ]
  })
  machine.announce(2, 1)
  expect(why(machine, 1)).toMatchObject({ type: 'no-eligible-node' })
})
