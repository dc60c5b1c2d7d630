/** Raft paper §5.3: log replication. */
import { describe, expect, test } from 'vitest'
import type { Message } from '../../consensus/index.ts'
import { TestCluster } from '../helpers/raft-cluster.ts'
import { TestPeer, entriesOf, from, leaderOf } from '../helpers/raft-peer.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const texts = (peer: TestPeer): string[] =>
  peer.applied.map(({ data }) => new TextDecoder().decode(data)).filter((text) => text !== '')

test('a leader appends a command to its log and sends it to all followers at once', () => {
  const peer = leaderOf(1)
  peer.drain()
  peer.receive(...[2, 3].map((id) => from(id, { type: 'MsgAppResp', term: 1, index: 1 })))
  peer.raw.propose(bytes('a'))
  expect(peer.drain()).toMatchObject([
    { type: 'MsgApp', to: 2, index: 1, logTerm: 1, entries: [{ term: 1, index: 2, data: bytes('a') }] },
    { type: 'MsgApp', to: 3, index: 1, logTerm: 1, entries: [{ term: 1, index: 2, data: bytes('a') }] }
  ])
  expect(peer.log).toEqual([
    [1, 1],
    [1, 2]
  ])
})

describe.each([
  [1, [], true],
  [3, [], false],
  [3, [2], true],
  [5, [2], false],
  [5, [2, 3], true],
  [5, [2, 3, 4, 5], true]
] as const)('of %i servers, an entry on the leader and %j', (size, acks, committed) => {
  test(committed ? 'is committed' : 'is not committed', () => {
    const voters = Array.from({ length: size }, (_, at) => at + 1)
    const peer = leaderOf(1, { voters })
    peer.drain()
    peer.raw.propose(bytes('a'))
    peer.drain()
    const sent = peer.receive(...acks.map((id) => from(id, { type: 'MsgAppResp', term: 1, index: 2 })))
    expect(peer.raw.committed).toBe(committed ? 2 : 0)
    expect(texts(peer)).toEqual(committed ? ['a'] : [])
    // Followers learn of it in later messages.
    if (committed) expect(sent.every((message) => message.commit === 2)).toBe(true)
  })
})

test('a committed entry commits all before it, those of earlier leaders included', () => {
  const peer = leaderOf(4, {
    storage: { entries: entriesOf([1, 2, 3]), hardState: { term: 3, vote: 0, commit: 0 } }
  })
  peer.drain()
  peer.receive(from(2, { type: 'MsgAppResp', term: 4, index: 4 }))
  expect(peer.applied.map(({ index }) => index)).toEqual([1, 2, 3, 4])
})

test('a follower applies an entry when it learns that it is committed, in the order of the log', () => {
  const peer = new TestPeer()
  peer.receive(from(2, { type: 'MsgApp', term: 1, entries: entriesOf([1, 1, 1]), commit: 1 }))
  expect(texts(peer)).toEqual(['1/1'])
  peer.receive(from(2, { type: 'MsgHeartbeat', term: 1, commit: 3 }))
  expect(texts(peer)).toEqual(['1/1', '1/2', '1/3'])
})

test('a follower does not commit beyond what the append brought it', () => {
  const peer = new TestPeer()
  peer.receive(from(2, { type: 'MsgApp', term: 1, entries: entriesOf([1]), commit: 9 }))
  expect(peer.raw.committed).toBe(1)
})

describe('a follower refuses an append unless it has the entry before it', () => {
  const OURS = [1, 2]
  test.each([
    // previous index and term, whether accepted, and otherwise where the logs may agree
    [0, 0, true, 0, 0],
    [1, 1, true, 0, 0],
    [2, 2, true, 0, 0],
    [1, 2, false, 1, 1],
    [2, 1, false, 1, 1],
    [3, 3, false, 2, 2]
  ] as const)('previous entry %i of term %i: %j', (index, logTerm, accepted, hint, hintTerm) => {
    const peer = new TestPeer({
      storage: { entries: entriesOf(OURS), hardState: { term: 2, vote: 0, commit: 0 } }
    })
    const [answer] = peer.receive(from(2, { type: 'MsgApp', term: 2, index, logTerm }))
    expect(answer).toMatchObject({
      type: 'MsgAppResp',
      reject: !accepted,
      index,
      rejectHint: accepted ? 0 : hint,
      logTerm: accepted ? 0 : hintTerm
    })
  })
})

describe('a follower deletes what conflicts with the leader and appends what is new', () => {
  test.each([
    [1, 1, [], [1, 2, 2]],
    [0, 0, [1], [1, 2, 2]],
    [0, 0, [3], [3]],
    [1, 1, [3, 3], [1, 3, 3]],
    [1, 1, [2, 2, 3], [1, 2, 2, 3]],
    [3, 2, [3], [1, 2, 2, 3]]
  ] as const)('after entry %i of term %i, terms %j leave terms %j', (index, logTerm, terms, expected) => {
    const peer = new TestPeer({
      storage: { entries: entriesOf([1, 2, 2]), hardState: { term: 2, vote: 0, commit: 0 } }
    })
    peer.receive(from(2, { type: 'MsgApp', term: 3, index, logTerm, entries: entriesOf(terms, index + 1) }))
    expect(peer.log.map(([term]) => term)).toEqual(expected)
  })
})

describe('figure 7: the leader makes its followers’ logs equal to its own', () => {
  const LEADER = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6]
  test.each([
    ['a', [1, 1, 1, 4, 4, 5, 5, 6, 6]],
    ['b', [1, 1, 1, 4]],
    ['c', [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6]],
    ['d', [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7]],
    ['e', [1, 1, 1, 4, 4, 4, 4]],
    ['f', [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3]]
  ] as const)('follower %s', (_, terms) => {
    const leader = leaderOf(8, {
      storage: { entries: entriesOf(LEADER), hardState: { term: 7, vote: 0, commit: 0 } }
    })
    const follower = new TestPeer({
      id: 2,
      storage: { entries: entriesOf(terms), hardState: { term: 7, vote: 0, commit: 0 } }
    })
    let rounds = 0
    let queue: Message[] = leader.drain()
    while (queue.length > 0) {
      const answers = queue.filter(({ to }) => to === 2).flatMap((message) => follower.receive(message))
      rounds += answers.filter(({ reject }) => reject).length
      queue = answers.flatMap((answer) => leader.receive(answer))
    }
    expect(follower.log).toEqual(leader.log)
    // A whole term is skipped by each rejection, on both sides.
    expect(rounds).toBeLessThanOrEqual(3)
  })
})

test('a leader sends again what a follower does not have, until it has all', () => {
  const cluster = new TestCluster(3)
  cluster.elect(1)
  cluster.isolate(3)
  for (const text of ['a', 'b', 'c']) {
    cluster.peer(1).raw.propose(bytes(text))
    cluster.settle()
  }
  expect(texts(cluster.peer(2))).toEqual(['a', 'b', 'c'])
  expect(texts(cluster.peer(3))).toEqual([])
  cluster.heal()
  cluster.tick(1, [1])
  expect(texts(cluster.peer(3))).toEqual(['a', 'b', 'c'])
})
