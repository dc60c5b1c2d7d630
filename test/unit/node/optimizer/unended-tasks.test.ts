import { expect, test } from 'vitest'
import { nodeId, taskId } from '../../../../base/ids.ts'
import { timestampMs } from '../../../../base/units.ts'
import { unendedTasks } from '../../../../node/optimizer/unended-tasks.ts'
import { History } from '../../../../optimizer/guard/history.ts'
import { Machine, needs, spec } from '../../../helpers/scheduler.ts'
import { finished } from '../../optimizer/guard/fixture.ts'

/** Of a history whose first and last task arrived at these times. */
function historyOf(...arrivals: number[]): History {
  const history = new History(10)
  arrivals.forEach((at, index) => {
    history.add(finished(1_000_000 + index, { arrivedAt: timestampMs(at) }))
  })
  return history
}

test('it tells of what arrived with the replayed tasks: as it was submitted, where it runs and for how long', async () => {
  const machine = new Machine().withNodes(1)
  const start = machine.now
  machine.submit([
    spec({ name: 'runs', tenant: 'x', startToCloseMs: spec().startToCloseMs }),
    spec({ name: 'waits', needs: needs(1) }),
    spec({ name: 'later', notBefore: timestampMs(start + 60_000) })
  ])
  machine.place(1, 1)
  machine.now = start + 7_000
  machine.submit([spec({ name: 'after' })])
  const { tasks, others } = await unendedTasks(machine.state, historyOf(start - 9, start, start + 6_000), 2)
  expect(others).toBe(0)
  const [first, second] = [...machine.state.tasks.values()]
  expect(tasks).toEqual([
    expect.objectContaining({
      ...{ id: taskId(1), name: 'runs', tenant: 'x', arrivedAt: first!.submittedAt, needs: [] },
      ...{ limitMs: first!.spec.startToCloseMs, readyAt: first!.readyAt },
      running: { node: nodeId(1), forMs: 7_000 }
    }),
    expect.objectContaining({
      ...{ id: taskId(2), name: 'waits', group: second!.group, needs: [taskId(1)], readyAt: 0 },
      running: undefined
    })
  ])
  // What is delayed arrives when it may be placed; what arrived before and runs is told of as well.
  const later = await unendedTasks(machine.state, historyOf(start + 60_000, start + 60_000), 2)
  expect(later.tasks.map(({ name }) => name)).toEqual(['later', 'runs'])
  expect(await unendedTasks(machine.state, historyOf(), 2)).toEqual({ tasks: [], others: 0 })
})

test('a long queue is looked through in many turns of the event loop', async () => {
  const machine = new Machine().withNodes(1)
  for (let batch = 0; batch < 21; batch++) machine.submit(Array.from({ length: 1_000 }, () => spec()))
  let turns = 0
  let done = false
  const count = (): void => {
    turns++
    if (!done) setImmediate(count)
  }
  setImmediate(count)
  const { tasks, others } = await unendedTasks(machine.state, historyOf(machine.now, machine.now), 2)
  done = true
  expect(turns).toBeGreaterThanOrEqual(10)
  expect(tasks.length).toBe(2_000)
  expect(others).toBe(19_000)
})

test('what has ended while the queue was looked through is not told of', async () => {
  const machine = new Machine().withNodes(1)
  const thousand = (): unknown => machine.submit(Array.from({ length: 1_000 }, () => spec()))
  thousand()
  const { now } = machine
  machine.now += 1
  for (let batch = 0; batch < 10; batch++) thousand()
  const looking = unendedTasks(machine.state, historyOf(now, now), 2)
  machine.cancel(500)
  const { tasks } = await looking
  expect(tasks).toHaveLength(999)
  expect(tasks.some(({ id }) => id === 500)).toBe(false)
})

test('of two attempts the one that began first counts, and one that was told to stop does not', async () => {
  const machine = new Machine().withNodes(2)
  const start = machine.now
  machine.submit([spec({ idempotent: true })])
  const token = machine.place(1, 1)
  machine.now += 1_000
  expect(machine.copy(1, 2)).not.toBe(0)
  machine.now += 1_000
  const runningOf = async (): Promise<unknown> => {
    machine.submit([spec()])
    const { tasks } = await unendedTasks(machine.state, historyOf(start, start), 2)
    return tasks[0]?.running
  }
  expect(await runningOf()).toEqual({ node: nodeId(1), forMs: 2_000 })
  machine.stop(1, token, 'drain')
  expect(await runningOf()).toEqual({ node: nodeId(2), forMs: 1_000 })
})
