/** Raft paper §5.4: the restrictions that make it safe. */
import { describe, expect, test } from 'vitest'
import { TestCluster } from '../helpers/raft-cluster.ts'
import { TestPeer, entriesOf, from, leaderOf } from '../helpers/raft-peer.ts'

describe('§5.4.1: a voter refuses a candidate whose log is less up to date than its own', () => {
  test.each([
    // own terms; the candidate's last term and index; granted
    [[1], 1, 1, true],
    [[1], 1, 2, true],
    [[1, 1], 1, 1, false],
    [[1], 2, 1, true],
    [[1], 2, 2, true],
    [[1, 1], 2, 1, true],
    [[2], 1, 1, false],
    [[2], 1, 2, false],
    [[1, 2], 1, 9, false]
  ] as const)(
    'log of terms %j, candidate ends with term %i at %i: granted %j',
    (terms, logTerm, index, granted) => {
      const peer = new TestPeer({
        storage: { entries: entriesOf(terms), hardState: { term: 2, vote: 0, commit: 0 } }
      })
      const [answer] = peer.receive(from(2, { type: 'MsgVote', term: 3, logTerm, index }))
      expect(answer).toMatchObject({ type: 'MsgVoteResp', term: 3, reject: !granted })
    }
  )

  test('so a server that missed a committed entry cannot win', () => {
    const cluster = new TestCluster(3)
    cluster.elect(1)
    cluster.isolate(3)
    cluster.peer(1).raw.propose(new Uint8Array([1]))
    cluster.settle()
    cluster.heal()
    cluster.elect(3)
    expect(cluster.peer(3).raw.role).not.toBe('leader')
    cluster.elect(2)
    expect(cluster.leaders()).toEqual([2])
  })
})

describe('§5.4.2: a leader commits entries of earlier terms only through one of its own', () => {
  test.each([
    [1, 0],
    [2, 0],
    [3, 3]
  ] as const)('a majority that has entries up to %i commits up to %i', (index, committed) => {
    // Entry 3 is the first of the leader's own term.
    const peer = leaderOf(3, {
      storage: { entries: entriesOf([1, 2]), hardState: { term: 2, vote: 0, commit: 0 } }
    })
    peer.drain()
    peer.receive(from(2, { type: 'MsgAppResp', term: 3, index }))
    expect(peer.raw.committed).toBe(committed)
  })

  test('figure 8: an entry on a majority is overwritten if its term’s leader did not commit it', () => {
    const storage = (
      terms: readonly number[]
    ): {
      entries: ReturnType<typeof entriesOf>
      hardState: { term: number; vote: number; commit: number }
    } => ({
      entries: entriesOf(terms),
      hardState: { term: 3, vote: 0, commit: 0 }
    })
    const voters = [1, 2, 3, 4, 5]
    // (c): S1 leads term 4 and has put its entry of term 2 on S2 and S3 as well; S5 has one of term 3.
    const s1 = leaderOf(4, { voters, storage: storage([1, 2]) })
    s1.drain()
    s1.receive(
      from(2, { type: 'MsgAppResp', term: 4, index: 2 }),
      from(3, { type: 'MsgAppResp', term: 4, index: 2 })
    )
    expect(s1.raw.committed).toBe(0)
    // (d): S5 is elected by S2, S3 and S4, and replaces it.
    const s2 = new TestPeer({ id: 2, voters, storage: storage([1, 2]) })
    const [vote] = s2.receive(from(5, { type: 'MsgVote', to: 2, term: 5, logTerm: 3, index: 2 }))
    expect(vote?.reject).toBe(false)
    s2.receive(from(5, { type: 'MsgApp', to: 2, term: 5, index: 1, logTerm: 1, entries: entriesOf([3], 2) }))
    expect(s2.log).toEqual([
      [1, 1],
      [3, 2]
    ])
  })
})

test('a leader never overwrites or deletes entries of its own log', () => {
  const peer = leaderOf(2)
  peer.drain()
  const before = peer.log
  peer.receive(from(2, { type: 'MsgAppResp', term: 2, index: 1, reject: true, rejectHint: 0 }))
  peer.raw.propose(new Uint8Array(1))
  peer.drain()
  expect(peer.log.slice(0, before.length)).toEqual(before)
})

test('a conflict with a committed entry stops the server rather than replace it', () => {
  const peer = new TestPeer({
    storage: { entries: entriesOf([1, 1]), hardState: { term: 1, vote: 0, commit: 2 } }
  })
  peer.drain()
  expect(() => peer.receive(from(2, { type: 'MsgHeartbeat', term: 2, commit: 5 }))).toThrow(
    /commit 5 is beyond/
  )
  const other = new TestPeer({
    storage: { entries: entriesOf([1, 1]), hardState: { term: 1, vote: 0, commit: 2 } }
  })
  const late = from(2, { type: 'MsgApp', term: 2, index: 0, entries: entriesOf([2]) })
  // Below the commit index nothing is compared: the answer is how far the log is known to be right.
  expect(other.receive(late)).toMatchObject([{ type: 'MsgAppResp', index: 2, reject: false }])
  expect(other.log).toEqual([
    [1, 1],
    [1, 2]
  ])
})
