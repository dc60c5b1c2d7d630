/** Raft paper §5.2: leader election. */
import { describe, expect, test } from 'vitest'
import { TestCluster } from '../helpers/raft-cluster.ts'
import { TestPeer, from, leaderOf } from '../helpers/raft-peer.ts'

test('a leader sends heartbeats to all followers at every heartbeat interval', () => {
  const peer = leaderOf(1, { heartbeatTicks: 2 })
  peer.drain()
  expect(peer.tick()).toEqual([])
  expect(peer.tick()).toMatchObject([
    { type: 'MsgHeartbeat', to: 2, term: 1 },
    { type: 'MsgHeartbeat', to: 3, term: 1 }
  ])
})

test('a follower that hears from its leader stays a follower', () => {
  const peer = new TestPeer()
  for (let i = 0; i < 100; i++) {
    peer.tick(5)
    peer.receive(from(2, { type: 'MsgHeartbeat', term: 1 }))
  }
  expect(peer.raw).toMatchObject({ role: 'follower', term: 1, lead: 2 })
})

test.each(['follower', 'candidate'] as const)(
  'a %s that hears nothing over its election timeout begins an election: next term, own vote, requests to all others',
  (role) => {
    const peer = new TestPeer()
    const term = role === 'candidate' ? 1 : 0
    if (role === 'candidate') peer.raw.campaign()
    peer.drain()
    const sent = peer.tick(20)
    expect(peer.raw).toMatchObject({ role: 'candidate', lead: 0 })
    expect(peer.raw.term).toBeGreaterThan(term)
    expect(peer.storage.initialState().hardState).toMatchObject({ term: peer.raw.term, vote: 1 })
    expect(sent.slice(-2)).toMatchObject([
      { type: 'MsgVote', to: 2, term: peer.raw.term },
      { type: 'MsgVote', to: 3, term: peer.raw.term }
    ])
  }
)

test('election timeouts are drawn from one to two times the minimum, all of it', () => {
  const timeouts = new Set<number>()
  for (let seed = 1; seed <= 300; seed++) {
    const peer = new TestPeer({ seed })
    let ticks = 0
    while (peer.raw.role === 'follower') {
      peer.tick()
      ticks++
    }
    timeouts.add(ticks)
  }
  expect([...timeouts].sort((a, b) => a - b)).toEqual(Array.from({ length: 10 }, (_, at) => 10 + at))
})

test('servers seldom time out in the same tick, so that a split vote ends', () => {
  let together = 0
  for (let seed = 1; seed <= 200; seed++) {
    const peers = [1, 2, 3].map((id) => new TestPeer({ id, seed: seed * 10 + id }))
    let first: number[] = []
    while (first.length === 0) {
      for (const peer of peers) peer.tick()
      first = peers.filter((peer) => peer.raw.role === 'candidate').map((peer) => peer.id)
    }
    if (first.length > 1) together++
  }
  expect(together).toBeLessThan(200 * 0.4)
})

describe.each([
  [1, []],
  [3, [2]],
  [3, [2, 3]],
  [5, [2, 3]],
  [5, [2, 3, 4, 5]]
] as const)('of %i servers, a candidate with the votes of itself and %j', (size, grants) => {
  test('leads, and says so at once', () => {
    const voters = Array.from({ length: size }, (_, at) => at + 1)
    const peer = new TestPeer({ voters })
    peer.raw.campaign()
    peer.drain()
    const sent = peer.receive(...grants.map((id) => from(id, { type: 'MsgVoteResp', term: 1 })))
    expect(peer.raw).toMatchObject({ role: 'leader', lead: 1, term: 1 })
    expect(sent.filter(({ type }) => type === 'MsgApp').map(({ to }) => to)).toEqual(voters.slice(1))
  })
})

describe.each([
  [3, [], []],
  [5, [2], [3]],
  [5, [2], []]
] as const)('of %i servers, a candidate with the votes of %j and refused by %j', (size, grants, refusals) => {
  test('goes on being a candidate', () => {
    const peer = new TestPeer({ voters: Array.from({ length: size }, (_, at) => at + 1) })
    peer.raw.campaign()
    peer.drain()
    peer.receive(...grants.map((id) => from(id, { type: 'MsgVoteResp', term: 1 })))
    peer.receive(...refusals.map((id) => from(id, { type: 'MsgVoteResp', term: 1, reject: true })))
    expect(peer.raw).toMatchObject({ role: 'candidate', term: 1 })
  })
})

test('a vote that arrives twice counts once', () => {
  const peer = new TestPeer({ voters: [1, 2, 3, 4, 5] })
  peer.raw.campaign()
  peer.drain()
  const vote = from(2, { type: 'MsgVoteResp', term: 1 })
  peer.receive(vote, vote, vote)
  expect(peer.raw.role).toBe('candidate')
})

describe('a server votes for at most one candidate a term, first come, first served', () => {
  test.each([
    [0, true],
    [2, true],
    [3, false]
  ] as const)('having voted for %i it answers candidate 2 with %j', (vote, grants) => {
    const peer = new TestPeer({ storage: { hardState: { term: 1, vote, commit: 0 } } })
    expect(peer.receive(from(2, { type: 'MsgVote', term: 1 }))).toMatchObject([
      { type: 'MsgVoteResp', to: 2, term: 1, reject: !grants }
    ])
  })

  test('and not again after a restart', () => {
    const peer = new TestPeer()
    peer.receive(from(2, { type: 'MsgVote', term: 1 }))
    peer.restart()
    expect(peer.receive(from(3, { type: 'MsgVote', term: 1 }))).toMatchObject([{ to: 3, reject: true }])
    expect(peer.receive(from(2, { type: 'MsgVote', term: 1 }))).toMatchObject([{ to: 2, reject: false }])
  })
})

test.each([1, 2])('a candidate of term 1 follows a leader of term %i', (term) => {
  const peer = new TestPeer()
  peer.raw.campaign()
  peer.receive(from(2, { type: 'MsgApp', term }))
  expect(peer.raw).toMatchObject({ role: 'follower', term, lead: 2 })
})

test('the leader of a cluster whose members all live is one, and all know it', () => {
  const cluster = new TestCluster(5)
  cluster.tick(60)
  expect(cluster.leaders()).toHaveLength(1)
  const [leader] = cluster.leaders()
  expect(cluster.peers.map((peer) => peer.raw.lead)).toEqual(new Array(5).fill(leader))
})
