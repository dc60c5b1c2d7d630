/** What the learned estimator takes and offers. */
import type { NodeView, TaskView } from '../../scheduler/policy.ts'
import type { ClassKey, Estimator, Prediction } from '../estimate.ts'
import type { PredictionExplanation } from './explain.ts'
import type { TrainingRow } from './rows.ts'
import type { EstimatorStatus } from './status.ts'
import type { Model } from './weights.ts'

export interface LearnedOptions {
  /** Classes that are remembered. Default 4,096, at about 6 KiB each with their share of cells. */
  readonly classes?: number
  /** Hour of the day in [0, 24) of a state time. Default: UTC. */
  readonly hourOf?: (now: number) => number
  /** Whether rows to train on are gathered. Default true; who trains nothing saves their cost. */
  readonly rows?: boolean
}

export interface LearnedEstimator extends Estimator {
  predictByClass(task: TaskView, node?: NodeView): Prediction
  predictFresh(task: TaskView, node?: NodeView): Prediction
  lnNodeFactor(node: NodeView, deviations: number): number
  placed(task: TaskView, node: NodeView, now: number): void
  advance(now: number): Iterable<ClassKey>
  stir(): void
  readonly epoch: number
  /** Training rows gathered since the last call. */
  drainSamples(): TrainingRow[]
  /** Predicts with this model from now on; undefined: with none. */
  useModel(model: Model | undefined): void
  /** What a prediction is made of. */
  explain(task: TaskView, node?: NodeView): PredictionExplanation
  status(): EstimatorStatus
}
