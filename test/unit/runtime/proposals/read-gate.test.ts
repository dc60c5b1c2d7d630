import { expect, test } from 'vitest'
import { ReadGate } from '../../../../runtime/proposals/read-gate.ts'
import { codeOf, HandClock, settled } from '../stub-ports.ts'

const RETRY_MS = 1_000

function gate(appliedIndex = 10, seed = 0): { clock: HandClock; rounds: Uint8Array[]; reads: ReadGate } {
  const clock = new HandClock()
  const rounds: Uint8Array[] = []
  const readIndex = (context: Uint8Array): 'ok' => {
    rounds.push(context)
    return 'ok'
  }
  const reads = new ReadGate({ clock, seed, readIndex, retryMs: RETRY_MS }, appliedIndex)
  return { clock, rounds, reads }
}

/** Follows a barrier: `waits`, `passed` or the code of its rejection. */
function follow(barrier: Promise<void>): { state: string } {
  const seen = { state: 'waits' }
  void codeOf(barrier).then((code) => {
    seen.state = code === 'resolved' ? 'passed' : code
  })
  return seen
}

function last(rounds: Uint8Array[]): Uint8Array {
  return rounds.at(-1) ?? new Uint8Array(0)
}

test('reads that arrive together share a round', async () => {
  const { rounds, reads } = gate()
  const seen = [follow(reads.barrier(5_000)), follow(reads.barrier(5_000))]
  reads.flush()
  reads.flush()
  expect(rounds).toHaveLength(1)
  reads.confirmed(10, last(rounds))
  await settled()
  expect(seen.map(({ state }) => state)).toEqual(['passed', 'passed'])
})

test('a read waits until what was committed when it arrived is applied here', async () => {
  const { rounds, reads } = gate()
  const read = follow(reads.barrier(5_000))
  reads.flush()
  reads.confirmed(12, last(rounds))
  reads.applied(11)
  await settled()
  expect(read.state).toBe('waits')
  reads.applied(12)
  await settled()
  expect(read.state).toBe('passed')
})

test('a read that arrives after a round began is not confirmed by it', async () => {
  const { rounds, reads } = gate()
  void reads.barrier(5_000)
  reads.flush()
  const late = follow(reads.barrier(5_000))
  reads.confirmed(10, last(rounds))
  await settled()
  expect(late.state).toBe('waits')
  reads.flush()
  reads.confirmed(10, last(rounds))
  await settled()
  expect(late.state).toBe('passed')
})

test('a round without an answer is begun again, and its first answer is too late', async () => {
  const { clock, rounds, reads } = gate()
  const read = follow(reads.barrier(5_000))
  reads.flush()
  clock.advance(RETRY_MS)
  reads.tick()
  reads.flush()
  expect(rounds).toHaveLength(2)
  reads.confirmed(10, rounds[0] ?? new Uint8Array(0))
  await settled()
  expect(read.state).toBe('waits')
  reads.confirmed(10, last(rounds))
  await settled()
  expect(read.state).toBe('passed')
})

test('a confirmation meant for another life of this node confirms nothing', async () => {
  const former = gate(10, 1)
  void former.reads.barrier(5_000)
  former.reads.flush()
  const { reads } = gate(10, 2)
  const read = follow(reads.barrier(5_000))
  reads.flush()
  reads.confirmed(10, last(former.rounds))
  reads.confirmed(10, new Uint8Array([0x52, 1]))
  await settled()
  expect(read.state).toBe('waits')
})

test('a read is given up when its time is over, confirmed or not', async () => {
  const { clock, rounds, reads } = gate()
  const unconfirmed = follow(reads.barrier(2_000))
  reads.flush()
  clock.advance(2_000)
  reads.tick()
  await settled()
  expect(unconfirmed.state).toBe('NO_LEADER')
  const behind = follow(reads.barrier(2_000))
  reads.flush()
  reads.confirmed(99, last(rounds))
  clock.advance(2_000)
  reads.tick()
  await settled()
  expect(behind.state).toBe('NO_LEADER')
})

test('waiting for an index ends when it is applied, or says that it was not', async () => {
  const { clock, reads } = gate()
  expect(await reads.waitApplied(10, 0)).toBe(true)
  const reached = reads.waitApplied(11, 1_000)
  const missed = reads.waitApplied(12, 1_000)
  reads.applied(11)
  clock.advance(1_000)
  reads.tick()
  expect(await Promise.all([reached, missed])).toEqual([true, false])
})

test('closing rejects reads and ends waits', async () => {
  const { reads } = gate()
  const queued = follow(reads.barrier(5_000))
  const waiting = reads.waitApplied(99, 5_000)
  reads.close()
  await settled()
  expect(queued.state).toBe('SHUTTING_DOWN')
  expect(await waiting).toBe(false)
})
