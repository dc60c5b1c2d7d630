/** Raft paper §7: log compaction by snapshots. */
import { describe, expect, test } from 'vitest'
import type { Snapshot } from '../../consensus/index.ts'
import { NO_BYTES, confStateOf } from '../../consensus/index.ts'
import { TestPeer, entriesOf, from, leaderOf } from '../helpers/raft-peer.ts'

const CONF = confStateOf([1, 2, 3])
const snapshotAt = (index: number, term: number): Snapshot => ({
  index,
  term,
  confState: CONF,
  data: NO_BYTES
})

/** A leader of term 3 whose log begins after entry 4 of term 2. */
function compactedLeader(
  snapshot: () => Snapshot | 'temporarily-unavailable' = () => snapshotAt(4, 2)
): TestPeer {
  const peer = leaderOf(3, {
    storage: {
      compacted: { index: 4, term: 2 },
      entries: entriesOf([2, 2], 5),
      hardState: { term: 2, vote: 0, commit: 4 },
      snapshotSource: snapshot
    },
    applied: 4
  })
  peer.drain()
  return peer
}

function ask(peer: TestPeer): ReturnType<TestPeer['drain']> {
  // The follower's log is empty.
  return peer.receive(from(2, { type: 'MsgAppResp', term: 3, index: 6, reject: true, rejectHint: 0 }))
}

test('a leader sends its snapshot to a follower that needs entries which are compacted', () => {
  expect(ask(compactedLeader())).toMatchObject([
    { type: 'MsgSnap', to: 2, term: 3, snapshot: { index: 4, term: 2 } }
  ])
})

test('it sends nothing more until the follower has it, then the entries after it', () => {
  const peer = compactedLeader()
  ask(peer)
  peer.raw.propose(new Uint8Array([1]))
  expect(peer.drain().filter(({ to }) => to === 2)).toEqual([])
  const sent = peer.receive(from(2, { type: 'MsgAppResp', term: 3, index: 4 }))
  expect(sent.filter(({ to }) => to === 2)).toMatchObject([{ type: 'MsgApp', index: 4, logTerm: 2 }])
})

test('a snapshot that was installed elsewhere counts as long as it reconnects the logs', () => {
  const peer = compactedLeader()
  ask(peer)
  peer.receive(from(2, { type: 'MsgAppResp', term: 3, index: 5 }))
  expect(peer.raw.status().progress[1]).toMatchObject({ id: 2, state: 'replicate', match: 5 })
})

describe('a snapshot reported as', () => {
  test('finished is probed after; as failed, before it', () => {
    const finished = compactedLeader()
    ask(finished)
    finished.raw.reportSnapshot(2, 'finished')
    expect(finished.raw.status().progress[1]).toMatchObject({ state: 'probe', next: 5, paused: true })
    const failed = compactedLeader()
    ask(failed)
    failed.raw.reportSnapshot(2, 'failed')
    expect(failed.raw.status().progress[1]).toMatchObject({ state: 'probe', next: 1, paused: true })
  })

  test('failed is sent again after the next heartbeat', () => {
    const peer = compactedLeader()
    ask(peer)
    peer.raw.reportSnapshot(2, 'failed')
    const sent = peer.receive(from(2, { type: 'MsgHeartbeatResp', term: 3 }))
    expect(sent).toMatchObject([{ type: 'MsgSnap', to: 2 }])
  })
})

test('while no snapshot is to be had, the leader asks again later', () => {
  let ready = false
  const peer = compactedLeader(() => (ready ? snapshotAt(4, 2) : 'temporarily-unavailable'))
  expect(ask(peer)).toEqual([])
  ready = true
  expect(peer.receive(from(2, { type: 'MsgHeartbeatResp', term: 3 }))).toMatchObject([
    { type: 'MsgSnap', to: 2 }
  ])
})

test('a follower that was not heard of lately is sent no snapshot', () => {
  const peer = compactedLeader()
  peer.raw.step(from(2, { type: 'MsgAppResp', term: 3, index: 6, reject: true, rejectHint: 0 }))
  peer.drain()
  const idle = compactedLeader()
  // Peer 3 never answered anything, so the leader has no reason to think that it would arrive.
  expect(idle.tick(2).filter(({ type }) => type === 'MsgSnap')).toEqual([])
})

test('a follower discards its log for a snapshot that it conflicts with, and takes its membership', () => {
  const confState = confStateOf([1, 2, 3, 4], [5])
  const peer = new TestPeer({
    storage: { entries: entriesOf([1, 1, 1]), hardState: { term: 1, vote: 0, commit: 1 } }
  })
  const snapshot = { ...snapshotAt(5, 2), confState }
  const [answer] = peer.receive(from(2, { type: 'MsgSnap', term: 2, snapshot }))
  expect(answer).toMatchObject({ type: 'MsgAppResp', to: 2, index: 5 })
  expect(peer.log).toEqual([])
  expect(peer.raw).toMatchObject({ committed: 5, applied: 5, lastIndex: 5 })
  expect(peer.raw.status().confState).toEqual(confState)
})

test('a follower keeps what follows a snapshot that is a prefix of its log', () => {
  const peer = new TestPeer({
    storage: { entries: entriesOf([1, 1, 1]), hardState: { term: 1, vote: 0, commit: 0 } }
  })
  const [answer] = peer.receive(from(2, { type: 'MsgSnap', term: 1, snapshot: snapshotAt(2, 1) }))
  expect(answer).toMatchObject({ type: 'MsgAppResp', index: 2 })
  expect(peer.log).toHaveLength(3)
  expect(peer.raw.committed).toBe(2)
})

test('a follower ignores a snapshot of what it has committed', () => {
  const peer = new TestPeer({
    storage: { entries: entriesOf([1, 1, 1]), hardState: { term: 1, vote: 0, commit: 3 } }
  })
  const answers = peer.receive(from(2, { type: 'MsgSnap', term: 1, snapshot: snapshotAt(2, 1) }))
  expect(answers).toMatchObject([{ type: 'MsgAppResp', index: 3 }])
  expect(peer.log).toHaveLength(3)
})

test('a server with a snapshot still to be installed neither campaigns nor applies entries', () => {
  const peer = new TestPeer()
  peer.raw.step(from(2, { type: 'MsgSnap', term: 1, snapshot: snapshotAt(5, 1) }))
  peer.raw.step(
    from(2, { type: 'MsgApp', term: 1, index: 5, logTerm: 1, entries: entriesOf([1], 6), commit: 6 })
  )
  peer.raw.campaign()
  expect(peer.raw.role).toBe('follower')
  const ready = peer.raw.ready()
  expect(ready.snapshot?.index).toBe(5)
  expect(ready.committedEntries).toEqual([])
})
