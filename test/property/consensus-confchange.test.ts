/** Membership changes against an oracle of plain sets, over random sequences. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeConfChange, encodeConfChange } from '../../consensus/conf-change.ts'
import type { ChangeResult } from '../../consensus/confchange/changer.ts'
import { baseOf, enterJoint, leaveJoint, simpleChange } from '../../consensus/confchange/changer.ts'
import { restoreMembership } from '../../consensus/confchange/restore.ts'
import { ProgressTracker, toConfState } from '../../consensus/tracker/tracker.ts'
import type { ConfChange, ConfChangeSingle } from '../../consensus/types.ts'

const single: fc.Arbitrary<ConfChangeSingle> = fc.record({
  type: fc.constantFrom('add-node', 'remove-node', 'update-node', 'add-learner-node'),
  nodeId: fc.nat(6)
})
const operation = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('simple' as const),
      changes: fc.array(single, { maxLength: 3 })
    })
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('enter' as const),
      autoLeave: fc.boolean(),
      changes: fc.array(single, { maxLength: 5 })
    })
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('leave' as const) }) }
)
type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never

/** What a membership is, in sets; `learners` are those that were asked for, in force or waiting. */
class Oracle {
  voters = new Set<number>()
  outgoing = new Set<number>()
  learners = new Set<number>()

  /** The membership after the operation, or undefined when it must be refused. */
  after(operation: Operation): Oracle | undefined {
    const next = new Oracle()
    next.voters = new Set(this.voters)
    next.outgoing = new Set(this.outgoing)
    next.learners = new Set(this.learners)
    const joint = this.outgoing.size > 0
    if (operation.kind === 'leave') {
      next.outgoing.clear()
      return joint ? next : undefined
    }
    if (joint || (operation.kind === 'enter' && this.voters.size === 0)) return undefined
    if (operation.kind === 'enter') next.outgoing = new Set(this.voters)
    for (const { type, nodeId } of operation.changes) if (nodeId !== 0) next.change(type, nodeId)
    if (next.voters.size === 0) return undefined
    return operation.kind === 'enter' || this.votersChanged(next) <= 1 ? next : undefined
  }

  private change(type: ConfChangeSingle['type'], id: number): void {
    if (type === 'update-node') return
    this.voters.delete(id)
    this.learners.delete(id)
    if (type === 'add-node') this.voters.add(id)
    if (type === 'add-learner-node') this.learners.add(id)
  }

  private votersChanged(next: Oracle): number {
    const all = new Set([...this.voters, ...next.voters])
    return [...all].filter((id) => this.voters.has(id) !== next.voters.has(id)).length
  }
}

function sorted(ids: Iterable<number>): number[] {
  return [...ids].sort((a, b) => a - b)
}

function run(tracker: ProgressTracker, operation: Operation): ChangeResult {
  const base = baseOf(tracker, 10)
  if (operation.kind === 'simple') return simpleChange(base, operation.changes)
  if (operation.kind === 'enter') return enterJoint(base, operation.autoLeave, operation.changes)
  return leaveJoint(base)
}

function checkAgainst(oracle: Oracle, tracker: ProgressTracker, autoLeave: boolean): void {
  const { voters, learners, learnersNext } = tracker.membership
  expect(voters.incoming).toEqual(sorted(oracle.voters))
  expect(voters.outgoing).toEqual(sorted(oracle.outgoing))
  // Whoever still votes on the way out becomes a learner only afterwards.
  const waiting = sorted(oracle.learners).filter((id) => oracle.outgoing.has(id))
  expect(learnersNext).toEqual(waiting)
  expect(learners).toEqual(sorted(oracle.learners).filter((id) => !waiting.includes(id)))
  expect(tracker.membership.autoLeave).toBe(oracle.outgoing.size > 0 && autoLeave)
  const members = sorted(new Set([...oracle.voters, ...oracle.outgoing, ...oracle.learners]))
  expect(tracker.peers.map((peer) => peer.id)).toEqual(members)
  for (const peer of tracker.peers) expect(peer.isLearner).toBe(learners.includes(peer.id))
}

test('random sequences of changes lead where plain sets lead, and are refused where those refuse', () => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 20 }), (operations) => {
      const tracker = new ProgressTracker(10, Infinity)
      let oracle = new Oracle()
      let autoLeave = false
      for (const one of operations) {
        const before = tracker.membership
        const result = run(tracker, one)
        const next = oracle.after(one)
        expect(result.ok).toBe(next !== undefined)
        if (!result.ok || next === undefined) {
          expect(tracker.membership).toBe(before)
          continue
        }
        tracker.replace(result.membership, result.progress)
        oracle = next
        if (one.kind === 'enter') autoLeave = one.autoLeave
        checkAgainst(oracle, tracker, autoLeave)
      }
    }),
    { numRuns: 500 }
  )
})

test('what is known of a peer survives a change that keeps it, and a new peer starts unknown', () => {
  const tracker = new ProgressTracker(10, Infinity)
  const first = simpleChange(baseOf(tracker, 10), [{ type: 'add-node', nodeId: 1 }])
  if (!first.ok) throw new Error(first.reason)
  tracker.replace(first.membership, first.progress)
  tracker.get(1)?.maybeUpdate(7)
  const second = enterJoint(baseOf(tracker, 10), true, [
    { type: 'add-learner-node', nodeId: 1 },
    { type: 'add-node', nodeId: 2 }
  ])
  if (!second.ok) throw new Error(second.reason)
  expect(second.progress.get(1)).toMatchObject({ match: 7, next: 10, isLearner: false })
  expect(second.progress.get(2)).toMatchObject({ match: 0, next: 10, recentActive: true })
})

test('every membership that changes lead to is restored from its conf state', () => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 12 }), (operations) => {
      const tracker = new ProgressTracker(10, Infinity)
      for (const one of operations) {
        const result = run(tracker, one)
        if (result.ok) tracker.replace(result.membership, result.progress)
      }
      const { membership, progress } = restoreMembership(
        new ProgressTracker(10, Infinity),
        5,
        toConfState(tracker.membership)
      )
      expect(membership).toEqual(tracker.membership)
      expect([...progress.keys()].sort()).toEqual([...tracker.progress.keys()].sort())
    }),
    { numRuns: 300 }
  )
})

test('a change survives being an entry', () => {
  const context = fc.uint8Array({ maxLength: 20 })
  const id = fc.maxSafeNat()
  const type = single.map((change) => change.type)
  const change: fc.Arbitrary<ConfChange> = fc.oneof(
    fc.record({ version: fc.constant(1 as const), type, nodeId: id, context }),
    fc.record({
      version: fc.constant(2 as const),
      transition: fc.constantFrom('auto', 'joint-implicit', 'joint-explicit'),
      changes: fc.array(fc.record({ type, nodeId: id }), { maxLength: 5 }),
      context
    })
  )
  fc.assert(
    fc.property(change, (one) => {
      expect(decodeConfChange(encodeConfChange(one))).toEqual(one)
    })
  )
})
