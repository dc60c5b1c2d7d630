/** Made-up training rows in which one feature says which expert is right, and models that know it or its opposite. */
import { createRng } from '../../../../base/prng.ts'
import { initialWeights, LAYERS } from '../../../../optimizer/estimator/model.ts'
import {
  EXPERT_COUNT,
  FAILED_AT,
  FAILED_UNKNOWN,
  LIKELIHOOD_AT,
  LN_AT,
  MEMORY_AT,
  NO_MEMORY,
  OFFSETS_AT,
  ROW_LENGTH,
  type TrainingRow
} from '../../../../optimizer/estimator/rows.ts'
import { encodeModel } from '../../../../optimizer/estimator/weights.ts'

/** Feature 0 is 1 or −1: then the first or the second expert knows the run time, and all others hardly do. */
export function makeRows(count: number, seed = 1): TrainingRow[] {
  const rng = createRng(seed)
  return Array.from({ length: count }, () => {
    const row = new Float32Array(ROW_LENGTH)
    const side = rng.nextFloat() < 0.5
    row[0] = side ? 1 : -1
    for (let index = 1; index < 4; index++) row[index] = rng.nextFloat()
    for (let expert = 0; expert < EXPERT_COUNT; expert++) row[LIKELIHOOD_AT + expert] = 0.02 * rng.nextFloat()
    // The statistics trust all alike.
    row.fill(-Math.log(EXPERT_COUNT), OFFSETS_AT, OFFSETS_AT + EXPERT_COUNT)
    row[LIKELIHOOD_AT + (side ? 0 : 1)] = 0.4 + 0.4 * rng.nextFloat()
    row[LN_AT] = Math.log(side ? 100 : 10_000) + rng.nextFloat()
    row[FAILED_AT] = FAILED_UNKNOWN
    row[MEMORY_AT] = NO_MEMORY
    return row
  })
}

/** A model that trusts the expert that feature 0 names, so much; a negative trust is in the wrong one. */
export function opinionated(trust: number): Uint8Array {
  const weights = initialWeights(createRng(1))
  weights.fill(0)
  const [[inputs, hidden], [, second], [, outputs]] = LAYERS
  const firstBiases = inputs * hidden
  const secondAt = firstBiases + hidden
  const headAt = secondAt + hidden * second + second
  // Two units carry feature 0 and its opposite through both layers.
  weights[0] = 1
  weights[1] = -1
  weights[secondAt] = 1
  weights[secondAt + second + 1] = 1
  weights[headAt] = trust
  weights[headAt + 1] = -trust
  weights[headAt + outputs] = -trust
  weights[headAt + outputs + 1] = trust
  return encodeModel(weights)
}
