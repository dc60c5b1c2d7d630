/** What a new leader knows of earlier choices of the policy: from the log, and from the history. */
import type { History } from '../../optimizer/guard/history.ts'
import type { Settings } from '../../scheduler/types.ts'
import { HISTORY_TASKS } from './bounds.ts'
import type { PolicyPast } from './policy-watch.ts'

export function policyPast({ policy, policyMode, policyChange }: Settings, history: History): PolicyPast {
  const changedAt = policyChange?.at ?? Infinity
  return {
    policy,
    mode: policyMode,
    returns: policyChange?.returns ?? 0,
    ended: history.newest(HISTORY_TASKS).filter(({ finishedAt }) => finishedAt > changedAt).length
  }
}
