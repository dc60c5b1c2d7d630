import { expect, test } from 'vitest'
import { ReadRounds } from '../../../consensus/read-rounds.ts'
import type { Message } from '../../../consensus/types.ts'
import { makeMessage } from '../../../consensus/types.ts'

const VOTERS = { incoming: [1, 2, 3], outgoing: [] }

function request(name: number): Message {
  const entries = [{ term: 0, index: 0, type: 'normal' as const, data: new Uint8Array([name]) }]
  return makeMessage({ type: 'MsgReadIndex', to: 1, entries })
}

function names(reads: ReturnType<ReadRounds['takeConfirmed']>): (number | undefined)[] {
  return reads.map((read) => read.request.entries[0]?.data[0])
}

test('a round confirms the reads that were waiting when it began, and no later ones', () => {
  const rounds = new ReadRounds()
  rounds.add(request(1), 10)
  const first = rounds.context()
  rounds.add(request(2), 11)
  rounds.acknowledge(1, rounds.context())
  rounds.acknowledge(2, first)
  expect(names(rounds.takeConfirmed(VOTERS))).toEqual([1])
  rounds.acknowledge(2, rounds.context())
  const [second] = rounds.takeConfirmed(VOTERS)
  expect(second?.index).toBe(11)
  expect(rounds.context()).toBeUndefined()
})

test('acknowledgements of those who have no vote count nothing', () => {
  const rounds = new ReadRounds()
  rounds.add(request(1), 10)
  for (const id of [1, 4, 5]) rounds.acknowledge(id, rounds.context())
  expect(rounds.takeConfirmed(VOTERS)).toEqual([])
  expect(names(rounds.takeConfirmed({ incoming: [1, 4, 5], outgoing: [] }))).toEqual([1])
})

test('a late acknowledgement does not take back a newer one', () => {
  const rounds = new ReadRounds()
  rounds.add(request(1), 10)
  const first = rounds.context()
  rounds.add(request(2), 10)
  for (const id of [1, 2]) rounds.acknowledge(id, rounds.context())
  rounds.acknowledge(2, first)
  expect(names(rounds.takeConfirmed(VOTERS))).toEqual([1, 2])
})

test('what was never asked for cannot be acknowledged', () => {
  const rounds = new ReadRounds()
  rounds.add(request(1), 10)
  rounds.add(request(2), 10)
  const ahead = rounds.context()
  rounds.reset()
  rounds.add(request(3), 10)
  for (const id of [1, 2]) {
    rounds.acknowledge(id, ahead)
    rounds.acknowledge(id, new Uint8Array([1]))
    rounds.acknowledge(id, undefined)
  }
  expect(rounds.takeConfirmed(VOTERS)).toEqual([])
})

test('after a reset no read of before is answered', () => {
  const rounds = new ReadRounds()
  rounds.add(request(1), 10)
  for (const id of [1, 2]) rounds.acknowledge(id, rounds.context())
  rounds.reset()
  expect(rounds.context()).toBeUndefined()
  expect(rounds.takeConfirmed(VOTERS)).toEqual([])
})

test('acknowledgements are read from a view into a larger buffer', () => {
  const rounds = new ReadRounds()
  rounds.add(request(1), 10)
  const framed = new Uint8Array([9, 9, 9, ...(rounds.context() ?? [])])
  for (const id of [1, 2]) rounds.acknowledge(id, framed.subarray(3))
  expect(names(rounds.takeConfirmed(VOTERS))).toEqual([1])
})
