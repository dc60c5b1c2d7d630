/**
 * How likely the outcome of a training row was held to be: by what a model would have been served as, and without one. So a model is
 * judged by its part in predictions, not by what it says beyond the bounds that it is held to.
 */
import { OCTAVES } from './bins.ts'
import { boundOctavesByLogits } from './hazards.ts'
import { EXPERT_COUNT, HAZARD_OFFSETS_AT, LIKELIHOOD_AT, octavesOf, OFFSETS_AT } from './rows.ts'
import type { TrainingRow } from './rows.ts'

/**
 * Of what the network says, the part that stays as the statistics have it. Gates learn to close on what is mostly wrong, and what is left then
 * has no tail for high quantiles to reach into, however high the level.
 */
export const KEPT = 0.03

/** What is believed of a network's octaves; room for one computation at a time. */
const BELIEVED = new Float64Array(OCTAVES)

/** Under the mixture with these gates and the network's own distribution. */
export function likelihoodOf(row: TrainingRow, gates: Float32Array, octaves: Float32Array): number {
  boundOctavesByLogits(octaves, row.subarray(HAZARD_OFFSETS_AT, HAZARD_OFFSETS_AT + OCTAVES), BELIEVED)
  let own = 0
  octavesOf(row).forEach((share, octave) => {
    own += share * (BELIEVED[octave] ?? 0)
  })
  let sum = (gates[EXPERT_COUNT] ?? 0) * own
  for (let expert = 0; expert < EXPERT_COUNT; expert++) {
    sum += (gates[expert] ?? 0) * (row[LIKELIHOOD_AT + expert] ?? 0)
  }
  return (1 - KEPT) * sum + KEPT * likelihoodByRecord(row)
}

/** Under the mixture of the statistics alone. */
export function likelihoodByRecord(row: TrainingRow): number {
  let sum = 0
  for (let expert = 0; expert < EXPERT_COUNT; expert++) {
    sum += Math.exp(row[OFFSETS_AT + expert] ?? 0) * (row[LIKELIHOOD_AT + expert] ?? 0)
  }
  return sum
}
