/** Ongaro's thesis beyond the paper: persistence, transfer, reads, PreVote, CheckQuorum, writing in parallel. */
import { describe, expect, test } from 'vitest'
import { LOCAL_APPEND_THREAD, NO_BYTES } from '../../consensus/index.ts'
import { TestCluster } from '../helpers/raft-cluster.ts'
import { TestPeer, entriesOf, from, leaderOf } from '../helpers/raft-peer.ts'

const ack = (index: number, ...ids: readonly number[]): ReturnType<typeof from>[] =>
  ids.map((id) => from(id, { type: 'MsgAppResp', term: 1, index }))

describe('§3.8: nothing that rests on term, vote or log leaves before these are on disk', () => {
  test('a vote, and the acknowledgement of an append, wait for the write', () => {
    const peer = new TestPeer({ asyncStorageWrites: true })
    peer.raw.step(from(2, { type: 'MsgVote', term: 1 }))
    peer.raw.step(from(2, { type: 'MsgApp', term: 1, entries: entriesOf([1]) }))
    const { messages } = peer.raw.ready()
    expect(messages.map(({ to }) => to)).toEqual([LOCAL_APPEND_THREAD])
    expect(messages[0]).toMatchObject({ type: 'MsgStorageAppend', term: 1, vote: 2 })
    expect(messages[0]?.responses).toMatchObject([
      { type: 'MsgVoteResp', to: 2 },
      { type: 'MsgAppResp', to: 2, index: 1 },
      { type: 'MsgStorageAppendResp', to: 1 }
    ])
  })

  test('a heartbeat’s answer does not', () => {
    const peer = new TestPeer({ asyncStorageWrites: true })
    peer.raw.step(from(2, { type: 'MsgHeartbeat', term: 1 }))
    expect(peer.raw.ready().messages).toMatchObject([
      { type: 'MsgHeartbeatResp', to: 2 },
      { to: LOCAL_APPEND_THREAD }
    ])
  })

  test('a single server does not apply an entry that is not on its own disk', () => {
    const peer = new TestPeer({ voters: [1], asyncStorageWrites: true })
    peer.raw.campaign()
    const first = peer.raw.ready().messages
    expect(peer.raw.role).toBe('candidate')
    for (const response of first[0]?.responses ?? []) peer.raw.step(response)
    const second = peer.raw.ready()
    expect(second.committedEntries).toEqual([])
    peer.storage.append(second.entries)
    for (const response of second.messages[0]?.responses ?? []) peer.raw.step(response)
    expect(peer.raw.ready().committedEntries).toHaveLength(1)
  })
})

describe('§10.2.1: a leader writes to its disk while its followers write to theirs', () => {
  test('and commits by their majority before its own write is done', () => {
    const peer = leaderOf(1, { asyncStorageWrites: false })
    const async = new TestPeer({ asyncStorageWrites: true })
    expect(peer.raw.role).toBe('leader')
    async.raw.campaign()
    for (const { responses } of async.raw.ready().messages)
      for (const response of responses) async.raw.step(response)
    async.raw.step(from(2, { type: 'MsgVoteResp', term: 1 }))
    expect(async.raw.ready().messages.filter(({ type }) => type === 'MsgApp')).toHaveLength(2)
    for (const message of ack(1, 2, 3)) async.raw.step(message)
    expect(async.raw.committed).toBe(1)
    // It does not apply it yet, though: a read of the log could go back in time after a crash.
    expect(async.raw.ready().committedEntries).toEqual([])
  })

  test('a write that ends in a later term does not make the log count as durable', () => {
    const peer = new TestPeer({ asyncStorageWrites: true })
    peer.raw.step(from(2, { type: 'MsgApp', term: 1, entries: entriesOf([1, 1]) }))
    const first = peer.raw.ready().messages.at(-1)
    peer.raw.step(from(3, { type: 'MsgApp', term: 2, entries: entriesOf([2]) }))
    const second = peer.raw.ready().messages.at(-1)
    peer.raw.step(from(2, { type: 'MsgApp', term: 3, entries: entriesOf([1, 1]) }))
    const third = peer.raw.ready().messages.at(-1)
    const done = (message: typeof first): void => {
      peer.storage.append(message?.entries ?? [])
      for (const response of message?.responses ?? []) if (response.to === 1) peer.raw.step(response)
    }
    done(first)
    // Entry 1 of term 1 is in the log again, but the write of the other one is still to come.
    done(second)
    peer.raw.step(from(2, { type: 'MsgHeartbeat', term: 3, commit: 2 }))
    expect(peer.raw.ready().committedEntries).toEqual([])
    done(third)
    expect(peer.raw.ready().committedEntries.map(({ term, index }) => [term, index])).toEqual([
      [1, 1],
      [1, 2]
    ])
  })
})

describe('§3.10: leadership transfer', () => {
  test('to a server that is up to date is immediate, and needs neither its timeout nor anybody’s lease', () => {
    const cluster = new TestCluster(3, { preVote: true, checkQuorum: true })
    cluster.elect(1)
    cluster.peer(1).raw.transferLeader(3)
    cluster.settle()
    expect(cluster.leaders()).toEqual([3])
  })

  test('brings the target up to date first', () => {
    const cluster = new TestCluster(3)
    cluster.elect(1)
    cluster.isolate(3)
    cluster.peer(1).raw.propose(new Uint8Array([1]))
    cluster.settle()
    cluster.heal()
    cluster.peer(1).raw.transferLeader(3)
    cluster.settle()
    cluster.tick(1, [1])
    expect(cluster.leaders()).toEqual([3])
    expect(cluster.peer(3).applied.map(({ index }) => index)).toEqual([1, 2, 3])
  })

  test('holds proposals back, and is abandoned after an election timeout', () => {
    const peer = leaderOf(1)
    peer.drain()
    peer.raw.transferLeader(2)
    expect(peer.raw.propose(NO_BYTES)).toBe('transferring')
    peer.tick(9)
    expect(peer.raw.propose(NO_BYTES)).toBe('transferring')
    peer.tick(1)
    expect(peer.raw.propose(NO_BYTES)).toBe('ok')
    expect(peer.raw.basicStatus().leadTransferee).toBe(0)
  })

  test.each([
    ['a higher term', (peer: TestPeer) => peer.receive(from(3, { type: 'MsgApp', term: 5 }))],
    ['a quorum that is gone', (peer: TestPeer) => peer.tick(20)]
  ] as const)('ends with the leadership, by %s', (_, end) => {
    const peer = leaderOf(1, { checkQuorum: true })
    peer.drain()
    peer.raw.transferLeader(2)
    end(peer)
    expect(peer.raw.role).not.toBe('leader')
    expect(peer.raw.basicStatus().leadTransferee).toBe(0)
  })

  test('is not possible to a learner or a stranger', () => {
    const peer = leaderOf(1, { voters: [1, 2] })
    peer.drain()
    peer.raw.transferLeader(9)
    expect(peer.raw.basicStatus().leadTransferee).toBe(0)
  })
})

describe('§6.4: linearizable reads', () => {
  /** A leader of three whose first entry is committed. */
  function readyLeader(options: Parameters<typeof leaderOf>[1] = {}): TestPeer {
    const peer = leaderOf(1, options)
    peer.drain()
    peer.receive(...ack(1, 2, 3))
    return peer
  }
  const context = new Uint8Array([7])

  test('are answered with the commit index once a majority confirmed the leader after the request', () => {
    const peer = readyLeader()
    peer.raw.readIndex(context)
    const beats = peer.drain()
    expect(beats.map(({ type, to }) => [type, to])).toEqual([
      ['MsgHeartbeat', 2],
      ['MsgHeartbeat', 3]
    ])
    expect(peer.readStates).toEqual([])
    peer.receive(from(2, { type: 'MsgHeartbeatResp', term: 1, context: beats[0]?.context }))
    expect(peer.readStates).toEqual([{ index: 1, context }])
  })

  test('are not answered by the answers to heartbeats from before the request', () => {
    const peer = readyLeader()
    const [before] = peer.tick()
    peer.raw.readIndex(context)
    peer.drain()
    peer.receive(from(2, { type: 'MsgHeartbeatResp', term: 1, context: before?.context }))
    expect(peer.readStates).toEqual([])
  })

  test('that wait together are confirmed by one round, in their order', () => {
    const peer = readyLeader()
    peer.raw.readIndex(new Uint8Array([1]))
    peer.raw.readIndex(new Uint8Array([2]))
    const last = peer.drain().at(-1)
    peer.receive(from(3, { type: 'MsgHeartbeatResp', term: 1, context: last?.context }))
    expect(peer.readStates.map((state) => state.context[0])).toEqual([1, 2])
  })

  test('wait until the leader has committed an entry of its own term', () => {
    const peer = leaderOf(1)
    peer.drain()
    peer.raw.readIndex(context)
    expect(peer.drain()).toEqual([])
    const beats = peer.receive(...ack(1, 2)).filter(({ type }) => type === 'MsgHeartbeat')
    peer.receive(from(2, { type: 'MsgHeartbeatResp', term: 1, context: beats[0]?.context }))
    expect(peer.readStates).toEqual([{ index: 1, context }])
  })

  test('that a follower passes on are answered to it', () => {
    const cluster = new TestCluster(3)
    cluster.elect(1)
    cluster.peer(3).raw.readIndex(context)
    cluster.settle()
    expect(cluster.peer(3).readStates).toEqual([{ index: 1, context }])
    expect(cluster.peer(1).readStates).toEqual([])
  })

  test('by a deposed leader are never answered', () => {
    const cluster = new TestCluster(3)
    cluster.elect(1)
    cluster.isolate(1)
    cluster.peer(1).raw.readIndex(context)
    cluster.elect(2)
    cluster.tick(5)
    cluster.heal()
    cluster.tick(5)
    expect(cluster.leaders()).toEqual([2])
    expect(cluster.peer(1).readStates).toEqual([])
  })

  test('that waited when the leadership ended stay unanswered in the next one of the same server', () => {
    const cluster = new TestCluster(3)
    cluster.elect(1)
    cluster.isolate(1)
    cluster.peer(1).raw.readIndex(context)
    cluster.settle()
    cluster.elect(2)
    cluster.heal()
    cluster.tick(2)
    cluster.elect(1)
    cluster.tick(2)
    expect(cluster.leaders()).toEqual([1])
    expect(cluster.peer(1).readStates).toEqual([])
  })

  test('with leases are answered at once', () => {
    const peer = readyLeader({ checkQuorum: true, readOnly: 'lease-based' })
    peer.raw.readIndex(context)
    expect(peer.drain()).toEqual([])
    expect(peer.readStates).toEqual([{ index: 1, context }])
  })

  test('by the only voter are answered at once', () => {
    const peer = new TestPeer({ voters: [1] })
    peer.raw.campaign()
    peer.drain()
    peer.raw.readIndex(context)
    peer.drain()
    expect(peer.readStates).toEqual([{ index: 1, context }])
  })
})

describe('§9.6: PreVote', () => {
  test('a server that cannot win does not raise its term, however long it is cut off', () => {
    const cluster = new TestCluster(3, { preVote: true, checkQuorum: true })
    cluster.elect(1)
    cluster.isolate(3)
    cluster.tick(200)
    expect(cluster.peer(3).raw).toMatchObject({ role: 'pre-candidate', term: 1 })
    cluster.heal()
    cluster.tick(5)
    expect(cluster.leaders()).toEqual([1])
    expect(cluster.peer(1).raw.term).toBe(1)
  })

  test('asking changes neither the term nor the vote of those asked', () => {
    const peer = new TestPeer({ preVote: true })
    const answers = peer.receive(from(2, { type: 'MsgPreVote', term: 5, logTerm: 0, index: 0 }))
    expect(answers).toMatchObject([{ type: 'MsgPreVoteResp', term: 5, reject: false }])
    expect(peer.storage.initialState().hardState).toEqual({ term: 0, vote: 0, commit: 0 })
  })

  test('a majority of promises begins the real election', () => {
    const peer = new TestPeer({ preVote: true })
    peer.raw.campaign()
    peer.drain()
    const sent = peer.receive(from(2, { type: 'MsgPreVoteResp', term: 1 }))
    expect(sent.map(({ type }) => type)).toEqual(['MsgVote', 'MsgVote'])
    expect(peer.raw).toMatchObject({ role: 'candidate', term: 1 })
  })

  test('a refusal from a higher term is moved to', () => {
    const peer = new TestPeer({ preVote: true })
    peer.raw.campaign()
    peer.drain()
    peer.receive(from(2, { type: 'MsgPreVoteResp', term: 4, reject: true }))
    expect(peer.raw).toMatchObject({ role: 'follower', term: 4 })
  })

  test('a request from a lower term is refused with the term, so that nobody asks for ever', () => {
    const peer = new TestPeer({ preVote: true, storage: { hardState: { term: 6, vote: 0, commit: 0 } } })
    expect(peer.receive(from(2, { type: 'MsgPreVote', term: 3 }))).toMatchObject([
      { type: 'MsgPreVoteResp', term: 6, reject: true }
    ])
  })
})

describe('§6.2: CheckQuorum', () => {
  test('a leader that hears from no majority for an election timeout steps down', () => {
    const cluster = new TestCluster(3, { preVote: true, checkQuorum: true })
    cluster.elect(1)
    cluster.isolate(1)
    cluster.tick(20, [1])
    expect(cluster.peer(1).raw).toMatchObject({ role: 'follower', lead: 0, term: 1 })
  })

  test('a leader that hears from a majority stays', () => {
    const cluster = new TestCluster(3, { preVote: true, checkQuorum: true })
    cluster.elect(1)
    cluster.isolate(3)
    cluster.tick(100, [1, 2])
    expect(cluster.leaders()).toEqual([1])
  })

  test('with PreVote, a link that is cut between the leader and one follower changes nothing', () => {
    const cluster = new TestCluster(3, { preVote: true, checkQuorum: true })
    cluster.elect(1)
    cluster.lose(({ from: sender, to }) => sender + to === 4 && sender !== 2)
    cluster.tick(100)
    expect(cluster.leaders()).toEqual([1])
    expect(cluster.peer(1).raw.term).toBe(1)
  })
})
