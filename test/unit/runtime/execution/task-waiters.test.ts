import { expect, test } from 'vitest'
import { taskId } from '../../../../base/ids.ts'
import type { SchedulerEvent } from '../../../../scheduler/events.ts'
import { TaskWaiters } from '../../../../runtime/execution/task-waiters.ts'
import { HandTimers, settled } from '../stub-ports.ts'

const ended = (id: number): SchedulerEvent =>
  ({ type: 'task-ended', row: { id: taskId(id) } }) as SchedulerEvent

function waiters(): {
  timers: HandTimers
  waiting: TaskWaiters
  wait: (id: number, options?: { ms?: number; signal?: AbortSignal }) => { released: boolean }
} {
  const timers = new HandTimers()
  const waiting = new TaskWaiters(timers)
  const wait = (
    id: number,
    { ms = 100, signal }: { ms?: number; signal?: AbortSignal } = {}
  ): { released: boolean } => {
    const seen = { released: false }
    void waiting.wait(taskId(id), ms, signal).then(() => {
      seen.released = true
    })
    return seen
  }
  return { timers, waiting, wait }
}

test('everybody who waits for a task hears of its end, and nobody else', async () => {
  const { timers, waiting, wait } = waiters()
  const [a, b, other] = [wait(1), wait(1), wait(2)]
  waiting.observe([ended(1)])
  await settled()
  expect([a.released, b.released, other.released, timers.pending]).toEqual([true, true, false, 1])
})

test('the retirement of a task releases too', async () => {
  const { waiting, wait } = waiters()
  const seen = wait(1)
  waiting.observe([{ type: 'task-retired', taskId: taskId(1) }])
  await settled()
  expect(seen.released).toBe(true)
})

test('time releases a waiter, and an end after it does no harm', async () => {
  const { timers, waiting, wait } = waiters()
  const seen = wait(1)
  timers.fire()
  await settled()
  expect(seen.released).toBe(true)
  waiting.observe([ended(1)])
})

test('no time to wait is no wait', async () => {
  const { timers, wait } = waiters()
  const seen = wait(1, { ms: 0 })
  await settled()
  expect([seen.released, timers.pending]).toEqual([true, 0])
})

test('an aborted signal releases, before and while it waits', async () => {
  const { timers, wait } = waiters()
  const controller = new AbortController()
  const waiting = wait(1, { signal: controller.signal })
  await settled()
  expect(waiting.released).toBe(false)
  controller.abort()
  const late = wait(1, { signal: controller.signal })
  await settled()
  expect([waiting.released, late.released, timers.pending]).toEqual([true, true, 0])
})

test('a replaced state releases everybody to look again', async () => {
  const { waiting, wait } = waiters()
  const seen = [wait(1), wait(2)]
  waiting.releaseAll()
  await settled()
  expect(seen.map(({ released }) => released)).toEqual([true, true])
})
