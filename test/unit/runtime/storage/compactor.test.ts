import { expect, test } from 'vitest'
import { confStateOf } from '../../../../consensus/types.ts'
import { MemoryStorage, type RaftStatus } from '../../../../consensus/index.ts'
import type { LogBase } from '../../../../consensus/wal/types.ts'
import type { Wal } from '../../../../runtime/wal/wal.ts'
import { Compactor } from '../../../../runtime/storage/compactor.ts'
import { settled, SILENT } from '../stub-ports.ts'

interface Follower {
  readonly match: number
  readonly recentActive?: boolean
  readonly state?: string
  readonly pendingSnapshot?: number
}

interface Given {
  /** Entries 1 to this one, of 100 bytes each. */
  readonly last: number
  readonly durable: number
  readonly compactBytes: number
  readonly followers?: readonly Follower[]
}

const [ONE, TWO, THREE] = [confStateOf([1]), confStateOf([1, 2]), confStateOf([1, 2, 3])]

/** The base that a poll makes, after membership changed to two at 20 and three at 60; undefined for none. */
async function baseOf({ last, durable, compactBytes, followers = [] }: Given): Promise<LogBase | undefined> {
  const data = new Uint8Array(100)
  const entries = Array.from({ length: last }, (_, i) => ({
    ...{ term: 1 + (i >> 5), index: i + 1, type: 'normal' as const, data }
  }))
  const log = new MemoryStorage({ entries, confState: ONE })
  const bases: LogBase[] = []
  const wal = {
    compact: (base: LogBase) => {
      bases.push(base)
      return Promise.resolve()
    }
  } as unknown as Wal
  const progress = followers.map((follower) => ({ recentActive: true, state: 'replicate', ...follower }))
  const compactor = new Compactor(
    {
      wal,
      log,
      compactBytes,
      durable: () => ({ index: durable, term: 1, confState: THREE }),
      raft: () => ({ progress }) as unknown as RaftStatus,
      logger: SILENT,
      onFailure: () => undefined
    },
    { index: 0, term: 0, confState: ONE }
  )
  compactor.membership(20, TWO)
  compactor.membership(60, THREE)
  compactor.poll()
  compactor.poll()
  await settled()
  expect(bases.length).toBeLessThanOrEqual(1)
  if (bases[0] !== undefined) expect(log.firstIndex()).toBe(bases[0].index + 1)
  return bases[0]
}

test('a log within its bound is left alone', async () => {
  expect(await baseOf({ last: 100, durable: 100, compactBytes: 1_000_000 })).toBeUndefined()
})

test('half of a log that is too long stays (C3)', async () => {
  expect((await baseOf({ last: 101, durable: 101, compactBytes: 5_000 }))?.index).toBe(51)
})

test('nothing above what is durable goes (C1)', async () => {
  expect((await baseOf({ last: 101, durable: 30, compactBytes: 1 }))?.index).toBe(30)
  expect(await baseOf({ last: 101, durable: 0, compactBytes: 1 })).toBeUndefined()
})

test.each<[string, Follower, number]>([
  ['that is being fed keeps its entries', { match: 10 }, 10],
  ['that is away does not', { match: 10, recentActive: false }, 51],
  ['that gets a snapshot keeps those above it', { match: 10, state: 'snapshot', pendingSnapshot: 40 }, 40]
])('a follower %s (C2)', async (_, follower, expected) => {
  const followers = [{ match: 101 }, follower]
  expect((await baseOf({ last: 101, durable: 101, compactBytes: 5_000, followers }))?.index).toBe(expected)
})

test('a log four times too long goes all the same (C2)', async () => {
  const followers = [{ match: 10 }]
  expect((await baseOf({ last: 101, durable: 101, compactBytes: 1_000, followers }))?.index).toBe(51)
})

test.each([
  [19, ONE],
  [20, TWO],
  [59, TWO]
])('a base at %i carries the membership and the term that held there', async (durable, confState) => {
  const base = await baseOf({ last: 130, durable, compactBytes: 1 })
  expect(base).toEqual({ index: durable, term: 1 + ((durable - 1) >> 5), confState })
})
