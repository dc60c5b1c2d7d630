/** Raft paper §5.1: terms act as a logical clock. */
import { describe, expect, test } from 'vitest'
import type { MessageType } from '../../consensus/index.ts'
import { TestPeer, from, leaderOf } from '../helpers/raft-peer.ts'

const FROM_PEERS: readonly MessageType[] = [
  'MsgApp',
  'MsgAppResp',
  'MsgVote',
  'MsgVoteResp',
  'MsgHeartbeat',
  'MsgHeartbeatResp'
]

function inRole(role: 'follower' | 'candidate' | 'leader'): TestPeer {
  if (role === 'leader') return leaderOf(1)
  const peer = new TestPeer()
  if (role === 'candidate') peer.raw.campaign()
  return peer
}

describe.each(['follower', 'candidate', 'leader'] as const)('a %s', (role) => {
  test.each(FROM_PEERS)('moves to the larger term of a %s and is a follower', (type) => {
    const peer = inRole(role)
    expect(peer.raw.role).toBe(role)
    peer.raw.step(from(2, { type, term: 5, logTerm: 0, index: 0 }))
    expect(peer.raw.term).toBe(5)
    expect(peer.raw.role).toBe('follower')
  })

  test('ignores an append of a smaller term', () => {
    const peer = inRole(role)
    peer.raw.step(from(2, { type: 'MsgHeartbeat', term: 5 }))
    peer.drain()
    const entries = [{ term: 4, index: 1, type: 'normal' as const, data: new Uint8Array(1) }]
    const before = peer.raw.lastIndex
    expect(peer.receive(from(3, { type: 'MsgApp', term: 4, entries, commit: 1 }))).toEqual([])
    expect(peer.raw).toMatchObject({ term: 5, lead: 2, lastIndex: before })
  })
})

test('servers begin as followers in term 0', () => {
  expect(new TestPeer().raw).toMatchObject({ role: 'follower', term: 0, lead: 0 })
})

test('with CheckQuorum, a leader of a smaller term is told the larger one', () => {
  const peer = new TestPeer({ checkQuorum: true, storage: { hardState: { term: 3, vote: 0, commit: 0 } } })
  const answers = peer.receive(from(2, { type: 'MsgApp', term: 2 }))
  expect(answers).toMatchObject([{ type: 'MsgAppResp', to: 2, term: 3 }])
})

test('the term survives a restart', () => {
  const peer = new TestPeer()
  peer.receive(from(2, { type: 'MsgHeartbeat', term: 7 }))
  peer.restart()
  expect(peer.raw.term).toBe(7)
})
