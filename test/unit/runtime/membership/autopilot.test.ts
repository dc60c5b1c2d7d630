import { describe, expect, test } from 'vitest'
import { incarnation, nodeId, peerId } from '../../../../base/ids.ts'
import { timestampMs } from '../../../../base/units.ts'
import { confStateOf } from '../../../../consensus/types.ts'
import type { RaftStatus } from '../../../../consensus/index.ts'
import type { ClusterNode } from '../../../../scheduler/types.ts'
import { nextConfChange, wantedVoters } from '../../../../runtime/membership/autopilot.ts'
import { offer } from '../../../helpers/scheduler.ts'

interface Member {
  readonly zone?: string
  readonly status?: ClusterNode['status']
  readonly open?: boolean
  readonly dead?: boolean
  readonly held?: number
  /** Entries behind the commit. */
  readonly behind?: number
  readonly active?: boolean
  readonly state?: 'probe' | 'replicate' | 'snapshot'
}

interface Given {
  readonly voters: readonly number[]
  readonly learners?: readonly number[]
  readonly outgoing?: readonly number[]
  /** Registered nodes by number; members that are not registered are gone. */
  readonly nodes: Readonly<Record<number, Member>>
}

const COMMITTED = 5_000

/** The leader is node 1. Renders the change as the etcd scripts do: v2 voter, l2 learner, r2 removed. */
function check({ voters, learners = [], outgoing = [], nodes }: Given, expected: string): void {
  const known = new Map(
    Object.entries(nodes).map(([id, member]) => [nodeId(Number(id)), toNode(+id, member)])
  )
  const progress = [...voters, ...learners].map((id) => ({
    id,
    isLearner: learners.includes(id),
    recentActive: nodes[id]?.active ?? true,
    state: nodes[id]?.state ?? 'replicate',
    match: COMMITTED - (nodes[id]?.behind ?? 0)
  }))
  const confState = { ...confStateOf(voters, learners), votersOutgoing: [...outgoing] }
  const change = nextConfChange({
    nodes: known,
    raft: { id: 1, confState, progress } as unknown as RaftStatus,
    committed: COMMITTED,
    isDead: (node) => nodes[node.id]?.dead === true
  })
  const steps = change?.changes.map(
    (step) =>
      `${{ 'add-node': 'v', 'add-learner-node': 'l', 'remove-node': 'r' }[step.type as 'add-node']}${step.nodeId}`
  )
  expect(steps?.join(' ') ?? 'nothing').toBe(expected)
}

function toNode(
  id: number,
  { zone = `z${id}`, status = 'active', open = true, held = 0 }: Member
): ClusterNode {
  const placements = new Set(Array.from({ length: held }, (_, i) => i + 1)) as ClusterNode['placements']
  const marks = { rowFlags: 0, hashA: 0, hashB: 0, joinedAt: timestampMs(0), used: {} }
  const number = incarnation(1)
  return {
    ...{ id: nodeId(id), peerId: peerId(`p${id}`), status, incarnation: number, open, placements },
    ...{ ...marks, offer: offer({ zone }) }
  }
}

test.each([
  [1, 1],
  [2, 2],
  [3, 3],
  [4, 3],
  [5, 5],
  [9, 5]
])('%i nodes want %i voters', (nodes, voters) => {
  expect(wantedVoters(nodes)).toBe(voters)
})

describe('admission and promotion (A1, A2)', () => {
  test('a registered node becomes a learner', () => {
    check({ voters: [1], nodes: { 1: {}, 2: {} } }, 'l2')
  })
  test('a caught-up learner becomes a voter', () => {
    check({ voters: [1], learners: [2], nodes: { 1: {}, 2: { behind: 1_000 } } }, 'v2')
  })
  test.each<[string, Member]>([
    ['is far behind', { behind: 1_001 }],
    ['is silent', { active: false }],
    ['gets a snapshot', { state: 'snapshot' }],
    ['has not announced itself', { open: false }],
    ['is dead', { dead: true }]
  ])('a learner that %s stays one', (_, member) => {
    check({ voters: [1], learners: [2], nodes: { 1: {}, 2: member } }, 'nothing')
  })
  test('a fourth node stays a learner, a fifth brings two votes', () => {
    check({ voters: [1, 2, 3], learners: [4], nodes: { 1: {}, 2: {}, 3: {}, 4: {} } }, 'nothing')
    check({ voters: [1, 2, 3], learners: [4, 5], nodes: { 1: {}, 2: {}, 3: {}, 4: {}, 5: {} } }, 'v4')
    check({ voters: [1, 2, 3, 4], learners: [5], nodes: { 1: {}, 2: {}, 3: {}, 4: {}, 5: {} } }, 'v5')
  })
  test('a complete membership is left alone', () => {
    check({ voters: [1, 2, 3], nodes: { 1: {}, 2: {}, 3: {} } }, 'nothing')
  })
  test('nothing is proposed during a joint change', () => {
    check({ voters: [1, 2], outgoing: [1], nodes: { 1: {}, 2: {}, 3: {} } }, 'nothing')
  })
})

describe('exchange of a dead voter (A3)', () => {
  const nodes = { 1: {}, 2: { dead: true, open: false }, 3: {}, 4: {} }
  test('it is exchanged for a caught-up learner in one change', () => {
    check({ voters: [1, 2, 3], learners: [4], nodes }, 'v4 l2')
  })
  test('without a caught-up learner it stays', () => {
    check({ voters: [1, 2, 3], learners: [4], nodes: { ...nodes, 4: { behind: 9_999 } } }, 'nothing')
    check({ voters: [1, 2, 3], nodes: { 1: {}, 2: { dead: true }, 3: {} } }, 'nothing')
  })
  test('the leader never exchanges itself', () => {
    check({ voters: [1, 2, 3], learners: [4], nodes: { 1: { dead: true }, 2: {}, 3: {}, 4: {} } }, 'nothing')
  })
})

describe('zones (A4)', () => {
  test('a learner in the zone with the fewest voters comes first', () => {
    const nodes = { 1: { zone: 'a' }, 2: { zone: 'a' }, 3: { zone: 'b' } }
    check({ voters: [1], learners: [2, 3], nodes }, 'v3')
  })
  test('among equals the lowest number comes first', () => {
    check({ voters: [1], learners: [2, 3], nodes: { 1: {}, 2: {}, 3: {} } }, 'v2')
  })
})

describe('leaving (A5)', () => {
  const leaving: Member = { status: 'leaving', open: false }
  test('a node whose incarnation is over is taken out, a voter as well as a learner', () => {
    check({ voters: [1, 2, 3], nodes: { 1: {}, 2: {}, 3: leaving } }, 'r3')
    check({ voters: [1], learners: [2], nodes: { 1: {}, 2: leaving } }, 'r2')
  })
  test('one that may still run something stays', () => {
    check({ voters: [1, 2, 3], nodes: { 1: {}, 2: {}, 3: { ...leaving, open: true } } }, 'nothing')
    check({ voters: [1, 2, 3], nodes: { 1: {}, 2: {}, 3: { ...leaving, held: 1 } } }, 'nothing')
  })
  test('a member that the state does not know is taken out', () => {
    check({ voters: [1, 2, 3], nodes: { 1: {}, 2: {} } }, 'r3')
  })
  test('the last voter stays', () => {
    check({ voters: [1], nodes: { 1: leaving } }, 'nothing')
  })
  test('a node that leaves is not let in again', () => {
    check({ voters: [1], nodes: { 1: {}, 2: leaving } }, 'nothing')
  })
})
