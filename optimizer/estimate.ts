/**
 * What a policy may ask about run times, and how an estimator hears of them.
 *
 * Owns the seam only: the statistics, the network and their mixture implement it elsewhere. `policies/predictors.ts`
 * holds the predictors of the published baselines (user limit, last two, clairvoyant).
 *
 * 1. An estimator learns from `observe` alone, and that comes at completion: never from a task that still runs.
 * 2. Tasks of one class (`classOf`) get the same prediction for the same node at the same moment, so queues can hold
 *    classes instead of tasks and re-score a class in one step.
 * 3. Every prediction is finite and > 0.
 */
import type { AttemptFeedback, NodeView, TaskView } from '../scheduler/policy.ts'

/** A run time's predicted distribution, in milliseconds. Valid until the estimator is asked again. */
export interface Prediction {
  readonly meanMs: number
  readonly medianMs: number
  /** The run time that is not exceeded with probability `q`, in (0, 1). */
  quantileMs(q: number): number
}

/** A class key: compare it with `===`. */
export type ClassKey = string | number

/** Predicts run times. */
export interface Estimator {
  readonly name: string
  /** The class whose tasks share predictions. */
  classOf(task: TaskView): ClassKey
  /** Predicts one attempt of the task on `node`, or on a typical node when none is named. */
  predict(task: TaskView, node?: NodeView): Prediction
  /** Learns from an attempt that is over. */
  observe(feedback: AttemptFeedback): void
}

/** A prediction without spread: every quantile is the one value. */
export class PointPrediction implements Prediction {
  meanMs = 1

  get medianMs(): number {
    return this.meanMs
  }

  quantileMs(): number {
    return this.meanMs
  }

  /** Sets the value and returns itself, so that an estimator can reuse one object. */
  of(ms: number): this {
    this.meanMs = ms
    return this
  }
}
