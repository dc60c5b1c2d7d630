/**
 * The layout of what the network is told and taught: one `Float32Array` per row, so that rows cross threads as they are.
 *
 *     features | logit of each expert by the statistics | logit of each octave's hazard by the statistics
 *     | likelihood of each expert | ln t | censored | failed | memory (one for each of `MEMORY_QUANTILES`)
 *
 * - Likelihoods are each expert's mass within `WINDOW` bins of the outcome, five quarter octaves in all, or above it when the run is
 *   censored: known to have taken longer. A window instead of one bin teaches the mixture where a run lies, not to repeat digits.
 * - `ln t` is the outcome's (the age, when censored). `failed` is 1, 0, or −1 when unknown. `memory` is ln of the peak minus ln of the
 *   quantile that was expected, within ±`LARGEST_CORRECTION` (`memory-trust.ts`), or `NO_MEMORY`.
 */
import { OCTAVES } from './bins.ts'
import { EXPERTS } from './experts.ts'

export const FEATURE_COUNT = 64
export const EXPERT_COUNT = EXPERTS.length
/** The experts and the network's own distribution. */
export const GATE_COUNT = EXPERT_COUNT + 1
/** Bins on each side of the outcome that count as hit. */
export const WINDOW = 2

/**
 * What a prediction needs: features, ln of the experts' weights by the statistics, and logits of their hazards. The network's logits are
 * added to both.
 */
export const INPUT_COUNT = FEATURE_COUNT + EXPERT_COUNT + OCTAVES
export const OFFSETS_AT = INPUT_COUNT - OCTAVES - EXPERT_COUNT
export const HAZARD_OFFSETS_AT = OFFSETS_AT + EXPERT_COUNT
export const LIKELIHOOD_AT = HAZARD_OFFSETS_AT + OCTAVES
export const LN_AT = LIKELIHOOD_AT + EXPERT_COUNT
export const CENSORED_AT = LN_AT + 1
export const FAILED_AT = LN_AT + 2
export const MEMORY_AT = LN_AT + 3
export const MEMORY_QUANTILES = [0.5, 0.95, 0.99] as const
export const ROW_LENGTH = MEMORY_AT + MEMORY_QUANTILES.length

export const NO_MEMORY = -1000
export const FAILED_UNKNOWN = -1

/** One training row, `ROW_LENGTH` long. */
export type TrainingRow = Float32Array

/** Half the width of the window in octaves: whole bins on each side and half the outcome's own. */
const HALF_WINDOW = (2 * WINDOW + 1) / 8

/** The overlap of each octave with the window around the row's outcome, or with all above it when censored. */
export function octavesOf(row: TrainingRow): Float32Array {
  const at = Math.min(OCTAVES - 1e-3, Math.max(0, (row[LN_AT] ?? 0) / Math.LN2))
  const censored = row[CENSORED_AT] === 1
  const low = censored ? at : Math.max(0, at - HALF_WINDOW)
  const high = censored ? OCTAVES : Math.min(OCTAVES, at + HALF_WINDOW)
  return Float32Array.from({ length: OCTAVES }, (_, octave) =>
    Math.max(0, Math.min(octave + 1, high) - Math.max(octave, low))
  )
}
