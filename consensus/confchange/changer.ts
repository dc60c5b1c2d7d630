/**
 * Membership changes as functions from one valid membership to the next: simple (at most one voter differs) or through
 * a joint configuration. A change that would break a rule is refused as a value; nothing is changed in place.
 *
 * C1. Voters (either half) and learners never intersect; a demoted voter waits in `learnersNext` while it is outgoing.
 * C2. Every member has a `Progress`; a peer that left has none.
 * C3. `learnersNext` and `autoLeave` are only set while joint.
 *
 * Raft thesis §4.1 (single changes), §4.3 (joint consensus).
 */
import { invariant, unreachable } from '../../base/invariant.ts'
import { Progress } from '../tracker/progress.ts'
import { isJoint } from '../tracker/tracker.ts'
import type { Membership, ProgressMap, ProgressTracker } from '../tracker/tracker.ts'
import type { ConfChangeSingle } from '../types.ts'
import { ascending } from '../types.ts'

/** A new membership with its peers, or why there is none. */
export type ChangeResult =
  | { readonly ok: true; readonly membership: Membership; readonly progress: ProgressMap }
  | { readonly ok: false; readonly reason: string }

/** What a change starts from. `lastIndex` is where probing a new peer begins. */
export interface ChangeBase {
  readonly tracker: ProgressTracker
  readonly membership: Membership
  readonly progress: ProgressMap
  readonly lastIndex: number
}

/** The tracker's own membership as a base. */
export function baseOf(tracker: ProgressTracker, lastIndex: number): ChangeBase {
  return { tracker, membership: tracker.membership, progress: tracker.progress, lastIndex }
}

/** Applies changes that differ in at most one voter; refused while joint. */
export function simpleChange(base: ChangeBase, changes: readonly ConfChangeSingle[]): ChangeResult {
  if (isJoint(base.membership)) return refuse("can't apply simple config change in joint config")
  const draft = new Draft(base)
  const refused = draft.applyAll(changes)
  if (refused !== undefined) return refuse(refused)
  if (symmetricDifference(base.membership.voters.incoming, draft.incoming) > 1) {
    return refuse('more than one voter changed without entering joint config')
  }
  return draft.finish(false)
}

/** Keeps today's voters as the outgoing half and applies the changes to the incoming one. */
export function enterJoint(
  base: ChangeBase,
  autoLeave: boolean,
  changes: readonly ConfChangeSingle[]
): ChangeResult {
  if (isJoint(base.membership)) return refuse('config is already joint')
  if (base.membership.voters.incoming.length === 0) return refuse("can't make a zero-voter config joint")
  const draft = new Draft(base)
  for (const id of draft.incoming) draft.outgoing.add(id)
  const refused = draft.applyAll(changes)
  if (refused !== undefined) return refuse(refused)
  return draft.finish(autoLeave)
}

/** Drops the outgoing half; demoted voters become learners and peers that are nowhere else are forgotten. */
export function leaveJoint(base: ChangeBase): ChangeResult {
  if (!isJoint(base.membership)) return refuse("can't leave a non-joint config")
  const draft = new Draft(base)
  draft.dropOutgoing()
  return draft.finish(false)
}

function refuse(reason: string): ChangeResult {
  return { ok: false, reason }
}

/** A private copy that is changed step by step. */
class Draft {
  readonly incoming: Set<number>
  readonly outgoing: Set<number>
  private readonly learners: Set<number>
  private readonly learnersNext: Set<number>
  private readonly progress = new Map<number, Progress>()
  private readonly base: ChangeBase

  constructor(base: ChangeBase) {
    this.base = base
    const { voters, learners, learnersNext } = base.membership
    this.incoming = new Set(voters.incoming)
    this.outgoing = new Set(voters.outgoing)
    this.learners = new Set(learners)
    this.learnersNext = new Set(learnersNext)
    for (const [id, peer] of base.progress) this.progress.set(id, peer.clone())
  }

  /** Returns why the changes are refused, if they are. */
  applyAll(changes: readonly ConfChangeSingle[]): string | undefined {
    for (const change of changes) {
      // Zero stands for a change that the layer above decided not to make.
      if (change.nodeId !== 0) this.apply(change)
    }
    return this.incoming.size === 0 ? 'removed all voters' : undefined
  }

  dropOutgoing(): void {
    for (const id of this.learnersNext) {
      this.learners.add(id)
      this.peer(id).isLearner = true
    }
    this.learnersNext.clear()
    for (const id of this.outgoing) {
      if (!this.incoming.has(id) && !this.learners.has(id)) this.progress.delete(id)
    }
    this.outgoing.clear()
  }

  finish(autoLeave: boolean): ChangeResult {
    const membership: Membership = {
      voters: { incoming: sortedIds(this.incoming), outgoing: sortedIds(this.outgoing) },
      learners: sortedIds(this.learners),
      learnersNext: sortedIds(this.learnersNext),
      autoLeave
    }
    checkMembership(membership, this.progress)
    return { ok: true, membership, progress: this.progress }
  }

  private apply(change: ConfChangeSingle): void {
    switch (change.type) {
      case 'add-node':
        this.makeVoter(change.nodeId)
        return
      case 'add-learner-node':
        this.makeLearner(change.nodeId)
        return
      case 'remove-node':
        this.remove(change.nodeId)
        return
      case 'update-node':
        return
      default:
        unreachable(change.type)
    }
  }

  private makeVoter(id: number): void {
    const peer = this.progress.get(id)
    if (peer === undefined) {
      this.incoming.add(id)
      this.addPeer(id, false)
      return
    }
    peer.isLearner = false
    this.learners.delete(id)
    this.learnersNext.delete(id)
    this.incoming.add(id)
  }

  private makeLearner(id: number): void {
    const peer = this.progress.get(id)
    if (peer === undefined) {
      this.learners.add(id)
      this.addPeer(id, true)
      return
    }
    if (peer.isLearner) return
    this.remove(id)
    this.progress.set(id, peer)
    if (this.outgoing.has(id)) {
      this.learnersNext.add(id)
    } else {
      peer.isLearner = true
      this.learners.add(id)
    }
  }

  private remove(id: number): void {
    if (!this.progress.has(id)) return
    this.incoming.delete(id)
    this.learners.delete(id)
    this.learnersNext.delete(id)
    if (!this.outgoing.has(id)) this.progress.delete(id)
  }

  private addPeer(id: number, isLearner: boolean): void {
    const { tracker, lastIndex } = this.base
    const peer = new Progress(id, Math.max(lastIndex, 1), tracker.newInflights(), isLearner)
    // Otherwise CheckQuorum could depose the leader before the new peer had a chance to say anything.
    peer.recentActive = true
    this.progress.set(id, peer)
  }

  private peer(id: number): Progress {
    const peer = this.progress.get(id)
    invariant(peer !== undefined, () => `no progress for ${id}`)
    return peer
  }
}

function checkMembership(membership: Membership, progress: ProgressMap): void {
  const { voters, learners, learnersNext, autoLeave } = membership
  for (const id of [...voters.incoming, ...voters.outgoing, ...learners, ...learnersNext]) {
    invariant(progress.has(id), () => `no progress for ${id}`)
  }
  for (const id of learnersNext) {
    invariant(voters.outgoing.includes(id), () => `${id} is a next learner but not an outgoing voter`)
    invariant(progress.get(id)?.isLearner === false, () => `${id} is a next learner and already a learner`)
  }
  for (const id of learners) {
    invariant(!voters.outgoing.includes(id), () => `${id} is a learner and an outgoing voter`)
    invariant(!voters.incoming.includes(id), () => `${id} is a learner and an incoming voter`)
    invariant(progress.get(id)?.isLearner === true, () => `${id} is a learner without the mark of one`)
  }
  if (isJoint(membership)) return
  invariant(learnersNext.length === 0, 'next learners without a joint configuration')
  invariant(!autoLeave, 'autoLeave without a joint configuration')
}

function sortedIds(ids: ReadonlySet<number>): readonly number[] {
  return [...ids].sort(ascending)
}

function symmetricDifference(left: readonly number[], right: ReadonlySet<number>): number {
  const common = left.filter((id) => right.has(id)).length
  return left.length + right.size - 2 * common
}
