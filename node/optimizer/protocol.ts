/** What the node and its optimizer thread say to each other. Plain data: it is cloned on the way. */
import type { ErrorCode } from '../../base/errors.ts'
import type { TrainingRow } from '../../optimizer/estimator/rows.ts'
import type { FinishedTask } from '../../optimizer/guard/history.ts'
import type { Verdict } from '../../optimizer/guard/promotion.ts'
import type { RecentComparison } from '../../optimizer/guard/recent.ts'
import type { NodeFacts } from '../../optimizer/guard/replay.ts'
import type { Unended } from '../../optimizer/guard/unended.ts'

/** A policy in a replay, with the model that predicts for it; without one, statistics do. */
export interface ContenderSpec {
  readonly name: string
  readonly policy: string
  readonly weights: Uint8Array | undefined
}

/**
 * Of the history that the thread was told the `count` tasks that arrived last, and what arrived among them and has not ended, under
 * each contender; the first is the base.
 */
export interface ReplayRequest {
  readonly type: 'replay'
  readonly count: number
  readonly nodes: readonly NodeFacts[]
  readonly unended: Unended
  readonly contenders: readonly ContenderSpec[]
}

/** How a replay went, and what it was of. */
export type ReplayAnswer = RecentComparison

/** A shadow's evidence; the replay is of two contenders, what serves and the shadow. */
export interface JudgeRequest {
  readonly type: 'judge'
  readonly incumbent: Float64Array
  readonly challenger: Float64Array
  readonly last: boolean
  readonly replay: ReplayRequest | undefined
}

export type Request = ReplayRequest | JudgeRequest
export type AnswerTo<R extends Request> = R extends ReplayRequest ? ReplayAnswer : Verdict

export type ToThread =
  | {
      readonly type: 'train'
      readonly seed: number
      /** Share of a core that the thread may use, in (0, 1]. */
      readonly cpuShare: number
      /** Goes on from this model; undefined: from nothing. */
      readonly weights: Uint8Array | undefined
      /** So many of the rows that follow are of the past: the weights may have been trained on them. */
      readonly pastRows: number
    }
  | { readonly type: 'rows'; readonly rows: readonly TrainingRow[] }
  | { readonly type: 'history'; readonly tasks: readonly FinishedTask[] }
  /** Asks for a model, as soon as one is worth it. */
  | { readonly type: 'want-model' }
  | { readonly type: 'request'; readonly id: number; readonly request: Request }
  | { readonly type: 'ping' }

/** What training has come to. */
export interface TrainingProgress {
  readonly backend: string
  readonly steps: number
  /** Rows that it was given. */
  readonly rows: number
  /** Of one core, over the last minute. */
  readonly cpuShare: number
  /** The most over any ten seconds since it began. */
  readonly peakCpuShare: number
}

/** A model that is worth looking at. */
export interface TrainedModel {
  readonly weights: Uint8Array
  readonly trainedOn: number
  readonly evaluation: Readonly<Record<string, unknown>>
}

export type FromThread =
  | { readonly type: 'pong' }
  | ({ readonly type: 'progress' } & TrainingProgress)
  | ({ readonly type: 'model' } & TrainedModel)
  | { readonly type: 'answer'; readonly id: number; readonly value: ReplayAnswer | Verdict }
  | { readonly type: 'refused'; readonly id: number; readonly code: ErrorCode; readonly message: string }
