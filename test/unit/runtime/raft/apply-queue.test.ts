import { expect, test } from 'vitest'
import type { Entry, Message } from '../../../../consensus/index.ts'
import { ApplyQueue } from '../../../../runtime/raft/apply-queue.ts'
import { HandClock } from '../stub-ports.ts'

interface World {
  readonly queue: ApplyQueue
  readonly applied: number[]
  readonly done: number[]
  readonly failures: number[]
  hold: boolean
  /** Milliseconds that applying an entry takes. */
  cost: number
  failAt: number
}

function world(): World {
  const clock = new HandClock()
  const applied: number[] = []
  const done: number[] = []
  const failures: number[] = []
  const self: World = {
    applied,
    done,
    failures,
    hold: false,
    cost: 1,
    failAt: 0,
    queue: new ApplyQueue({
      clock,
      sliceMs: 5,
      apply: ({ index }) => {
        clock.advance(self.cost)
        if (index === self.failAt) throw new Error('cannot')
        applied.push(index)
      },
      onGroupDone: (responses) => done.push(responses.length),
      hold: () => self.hold,
      onFailure: ({ index }) => failures.push(index)
    })
  }
  return self
}

function entries(from: number, to: number): Entry[] {
  const data = new Uint8Array(0)
  return Array.from({ length: to - from + 1 }, (_, i) => ({ term: 1, index: from + i, type: 'normal', data }))
}

function responses(count: number): Message[] {
  return Array.from({ length: count }, () => ({}) as Message)
}

test('entries are applied in order, and a group is acknowledged when all of it is', () => {
  const { queue, applied, done } = world()
  queue.push(entries(1, 2), responses(1))
  queue.push(entries(3, 3), responses(2))
  queue.runSlice()
  expect(applied).toEqual([1, 2, 3])
  expect(done).toEqual([1, 2])
  expect(queue.runnable).toBe(false)
})

test('a slice ends after its time, within a group, and the next goes on there', () => {
  const { queue, applied, done } = world()
  queue.push(entries(1, 8), responses(1))
  queue.runSlice()
  expect(applied).toEqual([1, 2, 3, 4, 5])
  expect(done).toEqual([])
  expect(queue.runnable).toBe(true)
  queue.runSlice()
  expect(applied).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
  expect(done).toEqual([1])
})

test('a full write-behind stops applying between two entries', () => {
  const self = world()
  self.hold = true
  self.queue.push(entries(1, 3), responses(1))
  expect(self.queue.runnable).toBe(false)
  self.queue.runSlice()
  expect(self.applied).toEqual([])
  self.hold = false
  self.queue.runSlice()
  expect(self.applied).toEqual([1, 2, 3])
})

test('after a failure nothing is applied any more, and nothing acknowledged', () => {
  const self = world()
  self.failAt = 2
  self.queue.push(entries(1, 3), responses(1))
  self.queue.push(entries(4, 4), responses(1))
  self.queue.runSlice()
  self.failAt = 0
  self.queue.runSlice()
  expect(self.applied).toEqual([1])
  expect(self.failures).toEqual([2])
  expect(self.done).toEqual([])
  expect([self.queue.failed, self.queue.runnable]).toEqual([true, false])
})

test('an installed snapshot clears what waits, and a failure with it', () => {
  const self = world()
  self.failAt = 1
  self.queue.push(entries(1, 3), responses(1))
  self.queue.runSlice()
  self.queue.clear()
  self.queue.push(entries(9, 9), responses(3))
  self.queue.runSlice()
  expect(self.applied).toEqual([9])
  expect(self.done).toEqual([3])
})
