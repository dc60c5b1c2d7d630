/**
 * What a policy may ask about attempts, and how an estimator hears of them.
 *
 * Owns the seam only: `estimator/` implements it with statistics and a network; `policies/predictors.ts` holds the
 * predictors of the published baselines (user limit, last two, clairvoyant).
 *
 * 1. An estimator learns durations from `observe` alone, and that comes at completion. Of a task that still runs it may
 *    know that it does (`placed`), so that time itself is evidence (`advance`).
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
  /** Mean time left of an attempt that has run for `elapsedMs` and still runs. */
  remainingMs(elapsedMs: number): number
  /** Probability in [0, 1] that an attempt fails by itself. */
  readonly failureProbability: number
  /** Peak resident size that is not exceeded with probability `q`, in bytes; 0 when nothing is known. */
  memoryBytes(q: number): number
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
  /**
   * The same from what the task's class, and those that it is part of, took so far, where an estimator keeps that apart from what else it
   * goes by; of a class that never ran, what `predict` says. Absent: `predict` is all there is.
   */
  predictByClass?(task: TaskView, node?: NodeView): Prediction
  /**
   * What an attempt that begins now would take, from attempts that are over alone: those that run are what it is compared with, and say
   * nothing here. Absent: what `predict` says.
   */
  predictFresh?(task: TaskView, node?: NodeView): Prediction
  /**
   * ln of the factor by which the node multiplies run times beyond what its hardware class does, so many standard deviations above what is
   * expected of it. A look-up, for decisions that compare every node. Absent: nodes of a class are alike.
   */
  lnNodeFactor?(node: NodeView, deviations: number): number
  /** Learns from an attempt that is over. */
  observe(feedback: AttemptFeedback): void
  /** An attempt began on the node at `now`, in state time. */
  placed?(task: TaskView, node: NodeView, now: number): void
  /** It is `now`: returns the classes whose predictions moved because attempts still run, or because a model arrived. */
  advance?(now: number): Iterable<ClassKey>
  /** Has the next `advance` name every class that was asked for: something beside the estimator moved what it answers. */
  stir?(): void
  /** Grows when all predictions move at once, as when a model arrived; constant where it is absent. */
  readonly epoch?: number
}

/** A prediction without spread: every quantile is the one value. */
export class PointPrediction implements Prediction {
  failureProbability = 0
  meanMs = 1

  get medianMs(): number {
    return this.meanMs
  }

  quantileMs(): number {
    return this.meanMs
  }

  /** What is left of the value; an attempt that has run past it is taken to have as much again as it exceeds it by. */
  remainingMs(elapsedMs: number): number {
    return Math.max(1, Math.abs(this.meanMs - elapsedMs))
  }

  memoryBytes(): number {
    return 0
  }

  /** Sets the value and returns itself, so that an estimator can reuse one object. */
  of(ms: number): this {
    this.meanMs = ms
    return this
  }
}
