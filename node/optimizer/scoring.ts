/** What a training row says of a model that was not trained on it: how likely it held what came. */
import { ForwardPass } from '../../optimizer/estimator/forward.ts'
import { likelihoodByRecord, likelihoodOf } from '../../optimizer/estimator/likelihood.ts'
import type { TrainingRow } from '../../optimizer/estimator/rows.ts'
import type { Model } from '../../optimizer/estimator/weights.ts'
import { lossOf } from '../../optimizer/guard/score.ts'

/** Evaluates models on rows. One for each model: it keeps room for the pass. */
export class ModelScorer {
  readonly #pass: ForwardPass

  constructor({ weights }: Model) {
    this.#pass = new ForwardPass(weights)
  }

  /** The model's loss, in nats. */
  loss(row: TrainingRow): number {
    const { gates, octaves } = this.#pass.run(row)
    return lossOf(likelihoodOf(row, gates, octaves))
  }
}

/** The loss of the mixture that the experts' records alone make: what predicts when no model does. */
export function lossWithoutModel(row: TrainingRow): number {
  return lossOf(likelihoodByRecord(row))
}
