/** What a training row says of a model that was not trained on it: how likely it held what came. */
import { OCTAVES } from '../../optimizer/estimator/bins.ts'
import { PRIOR_LOGITS } from '../../optimizer/estimator/experts.ts'
import { ForwardPass } from '../../optimizer/estimator/forward.ts'
import { likelihoodOf, type TrainingRow } from '../../optimizer/estimator/rows.ts'
import type { Model } from '../../optimizer/estimator/weights.ts'
import { lossOf } from '../../optimizer/guard/score.ts'

const PRIOR = softmax(PRIOR_LOGITS)
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

/** The loss of the mixture before anything is learned: what predicts when no model does. */
export function lossWithoutModel(row: TrainingRow): number {
  return lossOf(likelihoodOf(row, PRIOR, NO_OCTAVES))
}

function softmax(logits: readonly number[]): Float32Array {
  const values = Float32Array.from(logits, (logit) => Math.exp(logit))
  const sum = values.reduce((total, value) => total + value, 0)
  return values.map((value) => value / sum)
}
