/**
 * Deadlines that are at risk: the predicted p90 of the finish lies past the deadline, or the deadline itself has passed. An
 * alarm rises before the miss; it costs the task nothing, since deadlines are wishes, not timeouts.
 */
import type { Moment } from './eta.ts'

export type DeadlineVerdict = 'safe' | 'at-risk' | 'missed'

/** Judges a live task. `finish` undefined: nothing is forecast, so only a miss is known. */
export function judgeDeadline(deadlineAt: number, now: number, finish: Moment | undefined): DeadlineVerdict {
  if (deadlineAt === 0) return 'safe'
  if (deadlineAt < now) return 'missed'
  return finish !== undefined && finish.p90At > deadlineAt ? 'at-risk' : 'safe'
}
