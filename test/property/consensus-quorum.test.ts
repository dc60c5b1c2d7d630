/** Quorum decisions against oracles that count in the most obvious way. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { JointVoters } from '../../consensus/quorum/joint.ts'
import { committedByJoint, isVoter, jointVoterIds, voteOfJoint } from '../../consensus/quorum/joint.ts'
import type { VoteResult } from '../../consensus/quorum/majority.ts'
import { committedByMajority, quorumSize, voteOfMajority } from '../../consensus/quorum/majority.ts'

const ids = fc.uniqueArray(fc.integer({ min: 1, max: 12 }), { maxLength: 9 }).map(sorted)
const acks = fc.dictionary(fc.integer({ min: 1, max: 12 }).map(String), fc.nat(20))
const votes = fc.dictionary(fc.integer({ min: 1, max: 12 }).map(String), fc.boolean())
const joint: fc.Arbitrary<JointVoters> = fc.record({ incoming: ids, outgoing: ids })

function sorted(values: readonly number[]): number[] {
  return [...values].sort((a, b) => a - b)
}

/** The highest index such that more than half have at least it. */
function countedCommit(voters: readonly number[], acked: Record<string, number>): number {
  if (voters.length === 0) return Infinity
  for (let index = 20; index > 0; index--) {
    if (voters.filter((id) => (acked[id] ?? 0) >= index).length * 2 > voters.length) return index
  }
  return 0
}

function countedVote(voters: readonly number[], cast: ReadonlyMap<number, boolean>): VoteResult {
  const yes = voters.filter((id) => cast.get(id) === true).length
  const no = voters.filter((id) => cast.get(id) === false).length
  if (voters.length === 0 || yes * 2 > voters.length) return 'won'
  return (voters.length - no) * 2 > voters.length ? 'pending' : 'lost'
}

function asMap(cast: Record<string, boolean>): Map<number, boolean> {
  return new Map(Object.entries(cast).map(([id, vote]) => [Number(id), vote]))
}

test('a majority commits what more than half have acknowledged, and no more', () => {
  fc.assert(
    fc.property(ids, acks, (voters, acked) => {
      expect(committedByMajority(voters, (id) => acked[id])).toBe(countedCommit(voters, acked))
    })
  )
})

test('a majority vote is decided exactly when the open votes cannot change it', () => {
  fc.assert(
    fc.property(ids, votes, (voters, cast) => {
      expect(voteOfMajority(voters, asMap(cast))).toBe(countedVote(voters, asMap(cast)))
    })
  )
})

test('a joint configuration commits the lower of both halves and does not care for their order', () => {
  fc.assert(
    fc.property(joint, acks, (voters, acked) => {
      const expected = Math.min(countedCommit(voters.incoming, acked), countedCommit(voters.outgoing, acked))
      const swapped = { incoming: voters.outgoing, outgoing: voters.incoming }
      expect(committedByJoint(voters, (id) => acked[id])).toBe(expected)
      expect(committedByJoint(swapped, (id) => acked[id])).toBe(expected)
    })
  )
})

test('a joint vote is won by both halves and lost by either', () => {
  fc.assert(
    fc.property(joint, votes, (voters, cast) => {
      const halves = [voters.incoming, voters.outgoing].map((half) => countedVote(half, asMap(cast)))
      const expected = halves.includes('lost') ? 'lost' : halves.includes('pending') ? 'pending' : 'won'
      expect(voteOfJoint(voters, asMap(cast))).toBe(expected)
    })
  )
})

test('any two quorums of the same voters share a voter', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20 }), (size) => {
      expect(quorumSize(size) * 2).toBeGreaterThan(size)
      expect((quorumSize(size) - 1) * 2).toBeLessThanOrEqual(size)
    })
  )
})

test('the voters of a joint configuration are those of either half, sorted', () => {
  fc.assert(
    fc.property(joint, (voters) => {
      const expected = sorted([...new Set([...voters.incoming, ...voters.outgoing])])
      expect(jointVoterIds(voters)).toEqual(expected)
      for (let id = 1; id <= 12; id++) expect(isVoter(voters, id)).toBe(expected.includes(id))
    })
  )
})
