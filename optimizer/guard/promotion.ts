/**
 * Whether a shadow model takes the serving model's place (or, when none serves, that of plain statistics).
 *
 * Two kinds of evidence: its losses on attempts that ended after it was published, against those of what serves now
 * (`score.ts`), and a replay of history under the policy in use with either (`compare.ts`).
 *
 * 1. Promoted when the replay saves more than `LEAST_GAIN` of the mean completion time by the lower end of its interval, or
 *    when the losses fall by more than `LEAST_GAIN` by theirs and the replay shows no harm. A cluster without queues
 *    has nothing to gain in the replay, and still has predictions (ETA, alarms) that better losses improve.
 *    A replay of which much is missing or drawn promotes nothing for its completion times (`recent.ts`): what a network knows
 *    beyond the class counts for nothing there.
 * 2. Harm is a mean completion time that is worse by more than `TOLERATED_HARM`, or for sure worse at all.
 * 3. Rejected when it loses for sure, does harm, fails in the replay, or has not won by the last look.
 * 4. It is looked at when `LOOKS` attempts have been scored, and at no other time; each look's interval is as much wider
 *    as several looks need (Bonferroni), so that looking often does not make luck look like merit.
 */
import type { PairedDifference } from '../lab/statistics.ts'
import type { ContenderResult } from './compare.ts'
import { compareLosses } from './score.ts'
import { changeText, intervalText } from './shares.ts'

const LEAST_GAIN = 0.02
const TOLERATED_HARM = 0.005
/** Numbers of scored attempts at which a shadow is judged. */
export const LOOKS: readonly number[] = [128, 256, 512]
/** Confidence of all looks together. */
const CONFIDENCE = 0.95
/** Confidence of one look. */
const LOOK_CONFIDENCE = 1 - (1 - CONFIDENCE) / LOOKS.length

/** What a replay with the challenger showed; `failed`: it did not get through. */
export type ReplayEvidence =
  | (Pick<ContenderResult, 'jct' | 'slowdown'> & {
      /** Most of what arrived had ended (`recent.ts`). */
      readonly isMostlyKnown: boolean
    })
  | { readonly failed: string }
  | undefined

export interface Evidence {
  /** Losses on the same attempts, in the order of their ends. */
  readonly incumbent: ArrayLike<number>
  readonly challenger: ArrayLike<number>
  /** Undefined when there is no history to replay. */
  readonly replay: ReplayEvidence
}

export interface Verdict {
  readonly verdict: 'promote' | 'reject' | 'wait'
  readonly reason: string
  readonly loss: PairedDifference
}

/** The number of scored attempts of the next look after `scored`; undefined after the last. */
export function nextLook(scored: number): number | undefined {
  return LOOKS.find((look) => look > scored)
}

/** Judges a shadow at a look; `last`: there will be no other. */
export function judge(evidence: Evidence, last: boolean): Verdict {
  const { incumbent, challenger, replay } = evidence
  const loss = compareLosses(incumbent, challenger, LOOK_CONFIDENCE)
  const { low, high } = loss.relativeInterval
  const change = `loss ${described(loss)} on ${challenger.length} attempts`
  const reject = (reason: string): Verdict => ({ verdict: 'reject', reason, loss })
  if (low > 0) return reject(`predicts worse than what serves: ${change}`)
  if (replay !== undefined && 'failed' in replay) return reject(`failed in the replay: ${replay.failed}`)
  if (replay !== undefined && doesHarm(replay.jct))
    return reject(`completion times in the replay ${described(replay.jct)}; ${change}`)
  if (replay !== undefined && replay.isMostlyKnown && -replay.jct.relativeInterval.high > LEAST_GAIN)
    return {
      verdict: 'promote',
      reason: `completion times in the replay ${described(replay.jct)}; ${change}`,
      loss
    }
  if (-high > LEAST_GAIN) return { verdict: 'promote', reason: change, loss }
  return last ? reject(`no better by the last look: ${change}`) : { verdict: 'wait', reason: change, loss }
}

function doesHarm({ relative, relativeInterval }: PairedDifference): boolean {
  return relative > TOLERATED_HARM || relativeInterval.low > 0
}

function described({ relative, relativeInterval }: PairedDifference): string {
  return `${changeText(relative)} ${intervalText(relativeInterval, changeText)}`
}
