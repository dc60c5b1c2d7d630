/** What a new leader knows of earlier choices of the policy: from the log, from the history, and from what its node saw of predictions. */
import type { History } from '../../optimizer/guard/history.ts'
import type { Settings } from '../../scheduler/types.ts'
import { HISTORY_TASKS } from './bounds.ts'
import type { PolicyPast } from './policy-watch.ts'

/** `misledAt`: state time when predictions misled for the last time since an operator chose; 0 for never. */
export function policyPast(settings: Settings, history: History, misledAt: number): PolicyPast {
  const { policy, policyMode, policyChange } = settings
  const changedAt = policyChange?.at ?? 0
  const ends = history.newest(HISTORY_TASKS).map(({ finishedAt }) => finishedAt)
  const endedSince = (at: number): number => ends.filter((finishedAt) => finishedAt > at).length
  const endedSinceMisled = misledAt > changedAt ? endedSince(misledAt) : undefined
  return {
    policy,
    mode: policyMode,
    returns: policyChange?.returns ?? 0,
    ended: policyChange === undefined ? (endedSinceMisled ?? 0) : endedSince(changedAt),
    endedSinceMisled
  }
}
