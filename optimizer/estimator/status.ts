import type { Scores } from './scorekeeper.ts'

/** What an operator wants to know of it. */
export interface EstimatorStatus extends Scores {
  /**
   * Share of late outcomes at or below the promised quantile, each over about 2,000; undefined before the first. Unlike in `reliability`, a run counts as above as
   * soon as it has outlived its quantile, whatever becomes of it.
   */
  readonly coverage90: number | undefined
  readonly coverage99: number | undefined
  readonly classes: number
  /** Whether a model is in use. */
  readonly model: boolean
  /** Weights of the components where a class says nothing of its own. */
  readonly hedge: Readonly<Record<string, number>>
  /** Classes that behave anew, for which the network is not asked. */
  readonly driftingClasses: number
  readonly driftAlarms: number
}
