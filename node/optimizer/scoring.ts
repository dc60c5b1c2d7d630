/** What a training row says of a model that was not trained on it: how likely it held what came. */
import { binOfLn, FINE_BINS, OCTAVES } from '../../optimizer/estimator/bins.ts'
import { PRIOR_LOGITS } from '../../optimizer/estimator/experts.ts'
import { ForwardPass } from '../../optimizer/estimator/forward.ts'
import {
  CENSORED_AT,
  EXPERT_COUNT,
  LIKELIHOOD_AT,
  LN_AT,
  WINDOW,
  type TrainingRow
} from '../../optimizer/estimator/rows.ts'
import type { Model } from '../../optimizer/estimator/weights.ts'
import { lossOf } from '../../optimizer/guard/score.ts'

const PRIOR = softmax(PRIOR_LOGITS)
const BINS_PER_OCTAVE = FINE_BINS / OCTAVES

/** Evaluates models on rows. One for each model: it keeps room for the pass. */
export class ModelScorer {
  readonly #pass: ForwardPass

  constructor({ weights }: Model) {
    this.#pass = new ForwardPass(weights)
  }

  /** The model's loss, in nats. */
  loss(row: TrainingRow): number {
    const { gates, octaves } = this.#pass.run(row)
    const own = (gates[EXPERT_COUNT] ?? 0) * ownLikelihood(octaves, row)
    return lossOf(mixed(gates, row) + own)
  }
}

/** The loss of the mixture before anything is learned: what predicts when no model does. */
export function lossWithoutModel(row: TrainingRow): number {
  return lossOf(mixed(PRIOR, row))
}

function mixed(weights: ArrayLike<number>, row: TrainingRow): number {
  let sum = 0
  for (let expert = 0; expert < EXPERT_COUNT; expert++)
    sum += (weights[expert] ?? 0) * (row[LIKELIHOOD_AT + expert] ?? 0)
  return sum
}

/** As the experts' likelihoods: mass within `WINDOW` bins of the outcome, or above it when censored. Octaves are even. */
function ownLikelihood(octaves: Float32Array, row: TrainingRow): number {
  const bin = binOfLn(row[LN_AT] ?? 0)
  const first = row[CENSORED_AT] === 1 ? bin + 1 : Math.max(0, bin - WINDOW)
  const last = row[CENSORED_AT] === 1 ? FINE_BINS - 1 : Math.min(FINE_BINS - 1, bin + WINDOW)
  let sum = 0
  for (let at = first; at <= last; at++)
    sum += (octaves[Math.floor(at / BINS_PER_OCTAVE)] ?? 0) / BINS_PER_OCTAVE
  return sum
}

function softmax(logits: readonly number[]): number[] {
  const values = logits.map((logit) => Math.exp(logit))
  const sum = values.reduce((total, value) => total + value, 0)
  return values.map((value) => value / sum)
}
