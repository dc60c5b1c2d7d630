/** What a caller of `RawNode` can rely on, beyond the statements of the paper. */
import { describe, expect, test } from 'vitest'
import type { RaftConfig } from '../../../consensus/index.ts'
import {
  LOCAL_APPEND_THREAD,
  MemoryStorage,
  NO_BYTES,
  RawNode,
  confStateOf,
  makeMessage,
  refusePeerMessage
} from '../../../consensus/index.ts'
import { createRng } from '../../../base/prng.ts'
import { TestCluster } from '../../helpers/raft-cluster.ts'
import { TestPeer, entriesOf, from, leaderOf } from '../../helpers/raft-peer.ts'

const data = (size: number): Uint8Array => new Uint8Array(size)
const ack = (index: number, ...ids: readonly number[]): ReturnType<typeof from>[] =>
  ids.map((id) => from(id, { type: 'MsgAppResp', term: 1, index }))

/** A leader of three with its first entry committed and both followers streamed to. */
function leader(options: Parameters<typeof leaderOf>[1] = {}): TestPeer {
  const peer = leaderOf(1, options)
  peer.drain()
  peer.receive(...ack(1, 2, 3))
  return peer
}

describe('proposals', () => {
  test('on a leader are found at the last index', () => {
    const peer = leader()
    expect(peer.raw.propose(data(1))).toBe('ok')
    expect(peer.raw.lastIndex).toBe(2)
    expect(peer.raw.termAt(2)).toBe(1)
  })

  test('are dropped where no leader is known', () => {
    expect(new TestPeer().raw.propose(data(1))).toBe('no-leader')
    const candidate = new TestPeer()
    candidate.raw.campaign()
    expect(candidate.raw.propose(data(1))).toBe('no-leader')
  })

  test('on a follower go to its leader, unless it may not forward', () => {
    const peer = new TestPeer()
    peer.receive(from(2, { type: 'MsgHeartbeat', term: 1 }))
    expect(peer.raw.propose(data(1))).toBe('ok')
    expect(peer.drain()).toMatchObject([{ type: 'MsgProp', to: 2, from: 1, term: 0 }])
    const strict = new TestPeer({ disableProposalForwarding: true })
    strict.receive(from(2, { type: 'MsgHeartbeat', term: 1 }))
    expect(strict.raw.propose(data(1))).toBe('not-forwarded')
    expect(strict.drain()).toEqual([])
  })

  test('beyond the bound on uncommitted bytes are dropped until some are applied', () => {
    const peer = leader({ maxUncommittedBytes: 100 })
    expect(peer.raw.propose(data(60))).toBe('ok')
    expect(peer.raw.propose(data(40))).toBe('ok')
    expect(peer.raw.propose(data(1))).toBe('overloaded')
    expect(peer.raw.propose(NO_BYTES)).toBe('ok')
    peer.drain()
    peer.receive(...ack(2, 2))
    expect(peer.raw.propose(data(61))).toBe('overloaded')
    expect(peer.raw.propose(data(60))).toBe('ok')
  })

  test('of any size are accepted when nothing is uncommitted', () => {
    expect(leader({ maxUncommittedBytes: 10 }).raw.propose(data(1_000))).toBe('ok')
  })
})

describe('flow control', () => {
  test('bounds the messages in flight to a follower', () => {
    const peer = leader({ maxInflightMessages: 2 })
    for (let i = 0; i < 5; i++) peer.raw.propose(data(1))
    const sent = peer.drain().filter(({ to }) => to === 2)
    expect(sent.map(({ entries }) => entries.length)).toEqual([1, 1])
    expect(peer.raw.status().progress[1]).toMatchObject({
      inflightMessages: 2,
      inflightFull: true,
      paused: true
    })
    // One acknowledgement makes room for one message, with all that waited.
    const more = peer.receive(...ack(2, 2)).filter(({ to, entries }) => to === 2 && entries.length > 0)
    expect(more.map(({ entries }) => entries.length)).toEqual([3])
  })

  test('bounds the bytes in flight to a follower', () => {
    const peer = leader({ maxInflightBytes: 1_000, maxMessageBytes: 600 })
    for (let i = 0; i < 4; i++) peer.raw.propose(data(500))
    expect(peer.drain().filter(({ to }) => to === 2)).toHaveLength(2)
  })

  test('bounds the size of a message, which always has an entry', () => {
    const peer = leader({ maxMessageBytes: 0 })
    peer.raw.reportUnreachable(2)
    for (let i = 0; i < 3; i++) peer.raw.propose(data(10))
    peer.drain()
    const sent = peer.receive(...ack(1, 2)).filter(({ to }) => to === 2)
    expect(sent.map(({ entries }) => entries.length)).toEqual([1, 1, 1])
  })

  test('a window whose messages were all lost opens again by a heartbeat', () => {
    const peer = leader({ maxInflightMessages: 1 })
    peer.raw.propose(data(1))
    peer.drain()
    peer.raw.propose(data(1))
    expect(peer.drain().filter(({ to }) => to === 2)).toEqual([])
    const [probe] = peer.receive(from(2, { type: 'MsgHeartbeatResp', term: 1 }))
    expect(probe).toMatchObject({ type: 'MsgApp', to: 2, index: 2, entries: [] })
    const again = peer.receive(
      from(2, { type: 'MsgAppResp', term: 1, index: 2, reject: true, rejectHint: 1, logTerm: 1 })
    )
    expect(again[0]).toMatchObject({ type: 'MsgApp', to: 2, index: 1 })
    expect(again[0]?.entries).toHaveLength(2)
  })

  test('applying is bounded in bytes across ready()s until it is acknowledged', () => {
    const peer = new TestPeer({ voters: [1], maxApplyingBytes: 1, asyncStorageWrites: false })
    peer.raw.campaign()
    peer.drain()
    for (let i = 0; i < 3; i++) peer.raw.propose(data(10))
    peer.handleReady()
    expect(peer.raw.ready().committedEntries).toHaveLength(1)
  })
})

describe('messages that are not to be stepped', () => {
  test.each([
    'MsgHup',
    'MsgBeat',
    'MsgCheckQuorum',
    'MsgUnreachable',
    'MsgSnapStatus',
    'MsgStorageAppendResp'
  ] as const)('a %s from a peer is refused', (type) => {
    expect(leader().raw.step(from(2, { type }))).toBe('local-message')
  })

  test('an answer of a stranger is refused', () => {
    expect(leader().raw.step(from(9, { type: 'MsgAppResp', term: 1, index: 1 }))).toBe('peer-not-found')
  })

  test.each([
    [{ type: 'MsgApp', to: 1, from: 2 }, true],
    [{ type: 'MsgApp', to: 3, from: 2 }, false],
    [{ type: 'MsgApp', to: 1, from: 3 }, false],
    [{ type: 'MsgProp', to: 1, from: 3 }, true],
    [{ type: 'MsgTransferLeader', to: 1, from: 3 }, true],
    [{ type: 'MsgApp', to: 1, from: 0 }, false],
    [{ type: 'MsgStorageAppendResp', to: 1, from: LOCAL_APPEND_THREAD }, false]
  ] as const)('%j over the connection of peer 2 may be stepped: %j', (fields, may) => {
    expect(refusePeerMessage(makeMessage(fields), 2, 1) === undefined).toBe(may)
  })
})

describe('ready', () => {
  test('has nothing to hand out twice', () => {
    const peer = leaderOf(1)
    expect(peer.raw.hasReady()).toBe(true)
    peer.drain()
    expect(peer.raw.hasReady()).toBe(false)
    expect(peer.raw.ready()).toMatchObject({
      entries: [],
      committedEntries: [],
      messages: [],
      mustSync: false
    })
  })

  test('asks for a synced write for entries, term and vote, and not for a commit index', () => {
    const peer = new TestPeer()
    peer.raw.step(from(2, { type: 'MsgApp', term: 1, entries: entriesOf([1]) }))
    const first = peer.raw.ready()
    expect(first.mustSync).toBe(true)
    peer.storage.append(first.entries)
    peer.raw.advance()
    peer.raw.step(from(2, { type: 'MsgHeartbeat', term: 1, commit: 1 }))
    expect(peer.raw.ready()).toMatchObject({ mustSync: false, hardState: { commit: 1 } })
  })

  test('twice without advance, and advance with asynchronous storage, are bugs', () => {
    const peer = leaderOf(1)
    peer.raw.ready()
    expect(() => peer.raw.ready()).toThrow(/without an advance/)
    const async = new TestPeer({ asyncStorageWrites: true })
    expect(() => {
      async.raw.advance()
    }).toThrow(/asynchronous/)
  })

  test('entries that were handed out stay as they were when the log changes', () => {
    const peer = new TestPeer({ asyncStorageWrites: true })
    peer.raw.step(from(2, { type: 'MsgApp', term: 1, entries: entriesOf([1, 1, 1]) }))
    const { entries } = peer.raw.ready()
    peer.raw.step(from(3, { type: 'MsgApp', term: 2, index: 1, logTerm: 1, entries: entriesOf([2], 2) }))
    expect(entries.map(({ term }) => term)).toEqual([1, 1, 1])
  })
})

describe('a restart', () => {
  test('counts what is applied or compacted as committed, whatever the hard state says', () => {
    const storage = new MemoryStorage({
      confState: confStateOf([1]),
      compacted: { index: 4, term: 1 },
      entries: entriesOf([1, 1, 1], 5),
      hardState: { term: 1, vote: 1, commit: 2 }
    })
    const node = new RawNode({
      id: 1,
      storage,
      electionTicks: 10,
      heartbeatTicks: 1,
      rng: createRng(1),
      applied: 6
    })
    expect(node).toMatchObject({ committed: 6, applied: 6, term: 1, lastIndex: 7 })
  })

  test('with a commit index beyond the log is refused: entries were lost', () => {
    const storage = new MemoryStorage({ hardState: { term: 1, vote: 0, commit: 9 } })
    expect(
      () => new RawNode({ id: 1, storage, electionTicks: 10, heartbeatTicks: 1, rng: createRng(1) })
    ).toThrow(/commit 9 is beyond/)
  })

  test('hands out again what was committed and not applied', () => {
    const peer = new TestPeer({
      storage: { entries: entriesOf([1, 1]), hardState: { term: 1, vote: 0, commit: 2 } }
    })
    peer.drain()
    expect(peer.applied).toHaveLength(2)
  })
})

describe('forgetLeader', () => {
  test('lets a follower vote within its leader’s lease', () => {
    const peer = new TestPeer({ checkQuorum: true })
    peer.receive(from(2, { type: 'MsgHeartbeat', term: 1 }))
    peer.raw.forgetLeader()
    expect(peer.raw.lead).toBe(0)
    expect(peer.receive(from(3, { type: 'MsgVote', term: 2 }))).toMatchObject([
      { type: 'MsgVoteResp', reject: false }
    ])
  })

  test('does nothing where reads rest on leases', () => {
    const peer = new TestPeer({ checkQuorum: true, readOnly: 'lease-based' })
    peer.receive(from(2, { type: 'MsgHeartbeat', term: 1 }))
    peer.raw.forgetLeader()
    expect(peer.raw.lead).toBe(2)
  })
})

test('a leader takes back what a lagging follower acknowledged late, without harm', () => {
  const cluster = new TestCluster(3)
  cluster.elect(1)
  const late = from(2, { type: 'MsgAppResp', term: 1, index: 0, reject: true, rejectHint: 0 })
  cluster.peer(1).receive(late)
  expect(cluster.peer(1).raw.status().progress[1]).toMatchObject({ match: 1, next: 2, state: 'replicate' })
})

describe('an impossible configuration is refused', () => {
  const good = { id: 1, electionTicks: 10, heartbeatTicks: 1 }
  test.each<[string, Partial<RaftConfig>]>([
    ['id 0', { id: 0 }],
    ['the id of a local thread', { id: LOCAL_APPEND_THREAD }],
    ['no heartbeat', { heartbeatTicks: 0 }],
    ['an election timeout within a heartbeat', { electionTicks: 1 }],
    ['no message in flight', { maxInflightMessages: 0 }],
    ['fewer bytes in flight than in a message', { maxMessageBytes: 10, maxInflightBytes: 5 }],
    ['leases without CheckQuorum', { readOnly: 'lease-based' }]
  ])('%s', (_, change) => {
    expect(
      () => new RawNode({ ...good, ...change, storage: new MemoryStorage(), rng: createRng(1) })
    ).toThrow()
  })
})

test('the same seed and the same inputs give the same messages', () => {
  const run = (): unknown => {
    const cluster = new TestCluster(3, { preVote: true, checkQuorum: true })
    cluster.tick(100)
    return cluster.delivered
  }
  expect(run()).toEqual(run())
})

describe('a snapshot that passes entries which wait to be applied', () => {
  const snapshot = { index: 9, term: 1, confState: confStateOf([1, 2, 3]), data: NO_BYTES }

  /** A peer with two entries handed out for applying, and then a snapshot above them. */
  function overtaken(): TestPeer {
    const peer = new TestPeer({ asyncStorageWrites: true, maxApplyingBytes: 400 })
    peer.raw.step(from(2, { type: 'MsgApp', term: 1, entries: entriesOf([1, 1]), commit: 2 }))
    const append = peer.raw.ready().messages.at(-1)
    peer.storage.append(append?.entries ?? [])
    for (const response of append?.responses ?? []) if (response.to === 1) peer.raw.step(response)
    expect(peer.raw.ready().committedEntries).toHaveLength(2)
    peer.raw.step(from(2, { type: 'MsgSnap', term: 1, snapshot }))
    return peer
  }

  test('is told, and refuses their membership changes', () => {
    const peer = overtaken()
    expect(peer.raw.pendingSnapshot).toBe(9)
    expect(() =>
      peer.raw.applyConfChange({ version: 1, type: 'add-node', nodeId: 4, context: NO_BYTES })
    ).toThrow(/snapshot 9 waits/)
  })

  test('frees what they counted against the bound, whether or not they are acknowledged', () => {
    const peer = overtaken()
    const append = peer.raw.ready().messages.at(-1)
    peer.storage.applySnapshot(snapshot)
    for (const response of append?.responses ?? []) if (response.to === 1) peer.raw.step(response)
    expect(peer.raw).toMatchObject({ applied: 9, pendingSnapshot: 0 })
    const big = { term: 1, index: 10, type: 'normal' as const, data: data(350) }
    peer.raw.step(
      from(2, { type: 'MsgApp', term: 1, index: 9, logTerm: 1, entries: [big, { ...big, index: 11 }] })
    )
    const next = peer.raw.ready().messages.at(-1)
    peer.storage.append(next?.entries ?? [])
    for (const response of next?.responses ?? []) if (response.to === 1) peer.raw.step(response)
    peer.raw.step(from(2, { type: 'MsgHeartbeat', term: 1, commit: 11 }))
    expect(peer.raw.ready().committedEntries.map(({ index }) => index)).toEqual([10])
  })
})
