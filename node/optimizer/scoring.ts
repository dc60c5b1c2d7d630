/** What a training row says of a model that was not trained on it: how likely it held what came. */
import { OCTAVES } from '../../optimizer/estimator/bins.ts'
import { ForwardPass } from '../../optimizer/estimator/forward.ts'
import { EXPERT_COUNT, likelihoodOf, OFFSETS_AT, type TrainingRow } from '../../optimizer/estimator/rows.ts'
import type { Model } from '../../optimizer/estimator/weights.ts'
import { lossOf } from '../../optimizer/guard/score.ts'

/** Without a model there is no distribution of its own. */
const NO_OCTAVES = new Float32Array(OCTAVES)

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
  const offsets = row.subarray(OFFSETS_AT, OFFSETS_AT + EXPERT_COUNT)
  const largest = offsets.reduce((most, offset) => Math.max(most, offset), -Infinity)
  const weights = offsets.map((offset) => Math.exp(offset - largest))
  const sum = weights.reduce((total, weight) => total + weight, 0)
  return lossOf(likelihoodOf(row, weights, NO_OCTAVES) / sum)
}
