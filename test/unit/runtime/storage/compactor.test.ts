import { expect, test } from 'vitest'
import { confStateOf } from '../../../../consensus/types.ts'
import { MemoryStorage, type Entry, type RaftStatus } from '../../../../consensus/index.ts'
import type { LogBase } from '../../../../consensus/wal/types.ts'
import type { Wal } from '../../../../runtime/wal/wal.ts'
import { Compactor } from '../../../../runtime/storage/compactor.ts'
import { HandClock, settled, SILENT } from '../stub-ports.ts'

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

/** A log, and a compactor of it, where the membership changed to two at 20 and three at 60. */
function setUp({ last, durable, compactBytes, followers = [] }: Given) {
  const data = new Uint8Array(100)
  const entriesUpTo = (first: number, end: number): Entry[] =>
    Array.from({ length: end - first + 1 }, (_, i) => ({
      ...{ term: 1 + ((first + i - 1) >> 5), index: first + i, type: 'normal' as const, data }
    }))
  const log = new MemoryStorage({ entries: entriesUpTo(1, last), confState: ONE })
  const bases: LogBase[] = []
  const wal = {
    compact: (base: LogBase) => {
      bases.push(base)
      return Promise.resolve()
    }
  } as unknown as Wal
  const clock = new HandClock()
  let progress: object[] = []
  let durableIndex = durable
  const compactor = new Compactor(
    {
      clock,
      wal,
      log,
      compactBytes,
      durable: () => ({ index: durableIndex, term: 1, confState: THREE }),
      raft: () => ({ progress }) as unknown as RaftStatus,
      logger: SILENT,
      onFailure: () => undefined
    },
    { index: 0, term: 0, confState: ONE }
  )
  compactor.membership(20, TWO)
  compactor.membership(60, THREE)
  const show = (shown: readonly Follower[]): void => {
    progress = shown.map((follower, id) => ({ id, recentActive: true, state: 'replicate', ...follower }))
  }
  show(followers)
  return {
    ...{ log, bases, clock, show },
    poll: async (): Promise<LogBase | undefined> => {
      const before = bases.length
      compactor.poll()
      compactor.poll()
      await settled()
      expect(bases.length - before).toBeLessThanOrEqual(1)
      const [base] = bases.slice(before)
      if (base !== undefined) expect(log.firstIndex()).toBe(base.index + 1)
      return base
    },
    /** So many more entries, all durable in the state. */
    grow: (count: number): void => {
      const end = log.lastIndex() + count
      log.append(entriesUpTo(log.lastIndex() + 1, end))
      durableIndex = end
    }
  }
}

/** The base that a poll makes; undefined for none. */
async function baseOf(given: Given): Promise<LogBase | undefined> {
  return await setUp(given).poll()
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
  ['that gets a snapshot keeps those above it', { match: 10, state: 'snapshot', pendingSnapshot: 40 }, 40]
])('a follower %s (C2)', async (_, follower, expected) => {
  const followers = [{ match: 101 }, follower]
  expect((await baseOf({ last: 101, durable: 101, compactBytes: 5_000, followers }))?.index).toBe(expected)
})

test('a follower that was not heard of at this moment keeps its entries, one that is away does not (C4)', async () => {
  const follower = { match: 10, recentActive: false }
  const { poll, clock, show } = setUp({ last: 101, durable: 101, compactBytes: 5_000, followers: [follower] })
  expect((await poll())?.index).toBe(10)
  clock.advance(9_999)
  expect(await poll()).toBeUndefined()
  show([{ match: 10 }])
  clock.advance(1)
  expect(await poll()).toBeUndefined()
  show([follower])
  expect(await poll()).toBeUndefined()
  clock.advance(10_000)
  expect((await poll())?.index).toBe(56)
})

test('one that says nothing while it receives and installs a snapshot keeps the entries above it (C4)', async () => {
  const silent = { match: 0, recentActive: false, state: 'snapshot', pendingSnapshot: 40 }
  const { poll, clock } = setUp({ last: 101, durable: 101, compactBytes: 5_000, followers: [silent] })
  expect((await poll())?.index).toBe(40)
  clock.advance(60_000)
  expect(await poll()).toBeUndefined()
})

test('one that is outrun by the load while it gets its snapshot is not outrun for ever (C2)', async () => {
  const compactBytes = 10_000
  const { poll, grow, show, log } = setUp({ last: 101, durable: 101, compactBytes })
  // Ten times `compactBytes` come while a snapshot is sent.
  const growth = 800
  let snapshots = 0
  for (let pendingSnapshot = 101; snapshots < 10; pendingSnapshot = log.lastIndex()) {
    snapshots++
    show([{ match: 0, state: 'snapshot', pendingSnapshot }])
    for (let step = 0; step < 8; step++) {
      grow(growth / 8)
      await poll()
    }
    if (log.firstIndex() <= pendingSnapshot + 1) break
  }
  expect(snapshots).toBe(3)
  // Once it has caught up the log is as short for it as for any other.
  show([{ match: log.lastIndex() }])
  while ((await poll()) !== undefined);
  show([{ match: log.firstIndex() - 1 }])
  grow(growth / 2)
  expect(await poll()).toBeDefined()
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
