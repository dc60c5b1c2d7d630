import type { Scores } from './scorekeeper.ts'

/** What an operator wants to know of it. */
export interface EstimatorStatus extends Scores {
  /** Share of late outcomes at or below the promised quantile, each over about 2,000. */
  readonly coverage90: number
  readonly coverage99: number
  readonly classes: number
  /** Whether a model is in use. */
  readonly model: boolean
  /** Weights of the components where a class says nothing of its own. */
  readonly hedge: Readonly<Record<string, number>>
  /** Classes that behave anew, for which the network is not asked. */
  readonly driftingClasses: number
  readonly driftAlarms: number
  /** Outcomes by tenth of their predicted distribution, per tenant. */
  readonly pit: Readonly<Record<string, readonly number[]>>
}
