/** A `ConfState` (from a snapshot) turned back into a membership, by the same changes that could have led to it. */
import { invariant } from '../../base/invariant.ts'
import type { ConfChangeSingle, ConfChangeType, ConfState } from '../types.ts'
import type { Membership, ProgressMap, ProgressTracker } from '../tracker/tracker.ts'
import { EMPTY_MEMBERSHIP } from '../tracker/tracker.ts'
import type { ChangeBase } from './changer.ts'
import { enterJoint, simpleChange } from './changer.ts'

/** The membership and fresh peers that `confState` describes. Throws `InvariantError` when it describes none. */
export function restoreMembership(
  tracker: ProgressTracker,
  lastIndex: number,
  confState: ConfState
): { membership: Membership; progress: ProgressMap } {
  let base: ChangeBase = { tracker, membership: EMPTY_MEMBERSHIP, progress: new Map(), lastIndex }
  const step = (change: (from: ChangeBase) => ReturnType<typeof simpleChange>): void => {
    const result = change(base)
    invariant(result.ok, () => `unable to restore config ${JSON.stringify(confState)}`)
    base = { tracker, membership: result.membership, progress: result.progress, lastIndex }
  }

  const incoming = [
    ...changesOf('add-node', confState.voters),
    ...changesOf('add-learner-node', confState.learners),
    ...changesOf('add-learner-node', confState.learnersNext)
  ]
  if (confState.votersOutgoing.length === 0) {
    for (const change of incoming) step((from) => simpleChange(from, [change]))
  } else {
    // First the configuration that is being left, as if it stood alone; then the joint one on top of it.
    for (const change of changesOf('add-node', confState.votersOutgoing)) {
      step((from) => simpleChange(from, [change]))
    }
    const replaceAll = [...changesOf('remove-node', confState.votersOutgoing), ...incoming]
    step((from) => enterJoint(from, confState.autoLeave, replaceAll))
  }
  return { membership: base.membership, progress: base.progress }
}

function changesOf(type: ConfChangeType, ids: readonly number[]): ConfChangeSingle[] {
  return ids.map((nodeId) => ({ type, nodeId }))
}
