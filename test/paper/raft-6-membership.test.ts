/** Raft paper §6 and thesis §4: cluster membership changes. */
import { describe, expect, test } from 'vitest'
import type { ConfChange, ConfChangeSingle } from '../../consensus/index.ts'
import { NO_BYTES } from '../../consensus/index.ts'
import { TestPeer, entriesOf, from, leaderOf } from '../helpers/raft-peer.ts'

const v1 = (type: ConfChangeSingle['type'], nodeId: number): ConfChange => ({
  version: 1,
  type,
  nodeId,
  context: NO_BYTES
})
const v2 = (transition: 'auto' | 'joint-explicit', ...changes: readonly ConfChangeSingle[]): ConfChange => ({
  version: 2,
  transition,
  changes,
  context: NO_BYTES
})
const add = (nodeId: number): ConfChangeSingle => ({ type: 'add-node', nodeId })
const remove = (nodeId: number): ConfChangeSingle => ({ type: 'remove-node', nodeId })
const learn = (nodeId: number): ConfChangeSingle => ({ type: 'add-learner-node', nodeId })
const ack = (index: number, ...ids: readonly number[]): ReturnType<typeof from>[] =>
  ids.map((id) => from(id, { type: 'MsgAppResp', term: 1, index }))

/** A leader of the given voters whose first entry is committed and applied. */
function establishedLeader(voters: readonly number[] = [1, 2, 3]): TestPeer {
  const peer = leaderOf(1, { voters })
  peer.drain()
  peer.receive(...ack(1, ...voters.filter((id) => id !== 1)))
  return peer
}

/** The same, in the joint configuration of {1, 4, 5} and {1, 2, 3}; its entry stands at 2. */
function jointLeader(): TestPeer {
  const peer = establishedLeader()
  peer.raw.proposeConfChange(v2('joint-explicit', add(4), add(5), remove(2), remove(3)))
  peer.drain()
  peer.receive(...ack(2, 2, 3))
  return peer
}

describe('joint consensus', () => {
  test.each([
    [[2, 3], 2],
    [[4, 5], 2],
    [[2, 4], 3],
    [[3, 5], 3],
    [[2, 3, 4, 5], 3]
  ] as const)(
    'an entry on the leader and %j commits up to %i: both majorities are needed',
    (ids, committed) => {
      const peer = jointLeader()
      expect(peer.raw.status().confState).toMatchObject({ voters: [1, 4, 5], votersOutgoing: [1, 2, 3] })
      peer.raw.propose(new Uint8Array([1]))
      peer.drain()
      peer.receive(...ack(3, ...ids))
      expect(peer.raw.committed).toBe(committed)
    }
  )

  test.each([
    [[2, 3], 'candidate'],
    [[4, 5], 'candidate'],
    [[2, 5], 'leader']
  ] as const)('with the votes of %j, a candidate is then a %s', (ids, role) => {
    const peer = new TestPeer({
      storage: {
        confState: {
          voters: [1, 4, 5],
          votersOutgoing: [1, 2, 3],
          learners: [],
          learnersNext: [],
          autoLeave: false
        }
      }
    })
    peer.raw.campaign()
    peer.drain()
    peer.receive(...ids.map((id) => from(id, { type: 'MsgVoteResp', term: 1 })))
    expect(peer.raw.role).toBe(role)
  })

  test('is left by an entry that both majorities commit, after which the old servers have no say', () => {
    const peer = jointLeader()
    peer.raw.proposeConfChange(v2('auto'))
    peer.drain()
    peer.receive(...ack(3, 4, 5))
    expect(peer.raw.status().confState.votersOutgoing).toEqual([1, 2, 3])
    peer.receive(...ack(3, 2))
    expect(peer.raw.status().confState).toMatchObject({ voters: [1, 4, 5], votersOutgoing: [] })
    peer.raw.propose(new Uint8Array([1]))
    peer.drain()
    peer.receive(...ack(4, 4))
    expect(peer.raw.committed).toBe(4)
  })

  test('is left by itself when the change says so', () => {
    const peer = establishedLeader()
    peer.raw.proposeConfChange(v2('auto', add(4), remove(2)))
    peer.drain()
    peer.receive(...ack(2, 2))
    expect(peer.raw.status().confState).toMatchObject({ votersOutgoing: [1, 2, 3], autoLeave: true })
    peer.receive(...ack(3, 2, 3))
    expect(peer.raw.status().confState).toMatchObject({ voters: [1, 3, 4], votersOutgoing: [] })
  })
})

test('at most one change is in the log and not applied; another becomes an empty entry', () => {
  const peer = establishedLeader()
  peer.raw.proposeConfChange(v1('add-node', 4))
  peer.raw.proposeConfChange(v1('add-node', 5))
  peer.drain()
  peer.receive(...ack(3, 2))
  expect(peer.applied.map(({ type }) => type)).toEqual(['normal', 'conf-change', 'normal'])
  expect(peer.raw.status().confState.voters).toEqual([1, 2, 3, 4])
})

test('a new leader accepts no change before all that it inherited is applied', () => {
  const storage = { entries: entriesOf([1]), hardState: { term: 1, vote: 0, commit: 0 } }
  const peer = leaderOf(2, { storage })
  peer.drain()
  peer.raw.proposeConfChange(v1('add-node', 4))
  peer.drain()
  peer.receive(from(2, { type: 'MsgAppResp', term: 2, index: 3 }))
  expect(peer.applied.map(({ term, type }) => [term, type])).toEqual([
    [1, 'normal'],
    [2, 'normal'],
    [2, 'normal']
  ])
  peer.raw.proposeConfChange(v1('add-node', 4))
  peer.drain()
  peer.receive(from(2, { type: 'MsgAppResp', term: 2, index: 4 }))
  expect(peer.raw.status().confState.voters).toEqual([1, 2, 3, 4])
})

test('a server without vote gets the log but counts for no majority, and may be promoted', () => {
  const peer = establishedLeader([1, 2])
  peer.raw.proposeConfChange(v2('auto', learn(3)))
  peer.drain()
  peer.receive(...ack(2, 2))
  peer.receive(...ack(2, 3))
  peer.raw.propose(new Uint8Array([1]))
  const sent = peer.drain()
  expect(sent.some(({ to, type }) => to === 3 && type === 'MsgApp')).toBe(true)
  peer.receive(...ack(3, 3))
  expect(peer.raw.committed).toBe(2)
  peer.receive(...ack(3, 2))
  expect(peer.raw.committed).toBe(3)
  peer.raw.proposeConfChange(v2('auto', add(3)))
  peer.drain()
  peer.receive(...ack(4, 2))
  expect(peer.raw.status().confState).toMatchObject({ voters: [1, 2, 3], learners: [] })
})

test('a learner never campaigns, but votes, since it may have been promoted without knowing', () => {
  const peer = new TestPeer({
    storage: {
      confState: { voters: [2, 3], learners: [1], votersOutgoing: [], learnersNext: [], autoLeave: false }
    }
  })
  expect(peer.tick(100)).toEqual([])
  expect(peer.raw.term).toBe(0)
  expect(peer.receive(from(2, { type: 'MsgVote', term: 1 }))).toMatchObject([
    { type: 'MsgVoteResp', reject: false }
  ])
})

describe('a leader that is not in the new configuration', () => {
  test('does not count itself for a majority, and goes on until told otherwise', () => {
    const peer = establishedLeader()
    peer.raw.proposeConfChange(v1('remove-node', 1))
    peer.raw.propose(new Uint8Array([1]))
    peer.drain()
    peer.receive(...ack(2, 2, 3))
    peer.receive(...ack(3, 2))
    expect(peer.raw.committed).toBe(2)
    peer.receive(...ack(3, 3))
    expect(peer.raw).toMatchObject({ committed: 3, role: 'leader' })
    expect(peer.raw.propose(new Uint8Array([2]))).toBe('not-a-member')
  })

  test('steps down as soon as the change is applied, when so configured', () => {
    const peer = leaderOf(1, { stepDownOnRemoval: true })
    peer.drain()
    peer.receive(...ack(1, 2, 3))
    peer.raw.proposeConfChange(v1('remove-node', 1))
    peer.drain()
    peer.receive(...ack(2, 2))
    expect(peer.raw).toMatchObject({ role: 'follower', lead: 0, term: 1 })
  })
})

test('a server that knows of a committed change it has not applied does not campaign', () => {
  const peer = new TestPeer()
  const change = { term: 1, index: 1, type: 'conf-change-v2' as const, data: NO_BYTES }
  peer.raw.step(from(2, { type: 'MsgApp', term: 1, entries: [change], commit: 1 }))
  peer.raw.campaign()
  expect(peer.raw.role).toBe('follower')
})

test('servers that were removed cannot disrupt: votes asked for within a leader’s lease are ignored', () => {
  const peer = new TestPeer({ checkQuorum: true })
  peer.receive(from(2, { type: 'MsgHeartbeat', term: 1 }))
  expect(peer.receive(from(9, { type: 'MsgVote', term: 5, logTerm: 9, index: 9 }))).toEqual([])
  expect(peer.raw.term).toBe(1)
  peer.tick(9)
  expect(peer.receive(from(9, { type: 'MsgVote', term: 5, logTerm: 9, index: 9 }))).toEqual([])
})

test('the quorum of one remaining server commits what was waiting for the removed one', () => {
  const peer = establishedLeader([1, 2])
  peer.raw.proposeConfChange(v1('remove-node', 2))
  peer.raw.propose(new Uint8Array([1]))
  peer.drain()
  peer.receive(...ack(2, 2))
  expect(peer.raw).toMatchObject({ committed: 3, applied: 3 })
})
