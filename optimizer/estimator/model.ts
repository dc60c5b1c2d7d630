/**
 * The network's shape, and where each part of it lies in the one `Float32Array` that is the model.
 *
 *     64 features → 64 → 64 (ReLU) → gates of the mixture (softmax) | hazards by octave | failure | ln peak memory p50, p95, p99
 *
 * The gates say how much each expert counts for such a class, on top of what the statistics give it; the last gate is for the distribution that
 * the hazards make: of the runs that last as long as octave k, the share that ends within it (discrete-time hazards, Cox 1972), as
 * a correction of what it is by the statistics (`hazards.ts`). Failure and memory are corrections to what they expect, too.
 * Matrices are stored by input, row after row.
 */
import { OCTAVES } from './bins.ts'
import { EXPERT_COUNT, FEATURE_COUNT, GATE_COUNT, MEMORY_QUANTILES } from './rows.ts'
import type { Rng } from '../../base/prng.ts'

export const HIDDEN = 64
const HEAD = GATE_COUNT + OCTAVES + 1 + MEMORY_QUANTILES.length

/** Where the head's parts begin. */
export const HAZARDS_AT = GATE_COUNT
export const FAILURE_AT = GATE_COUNT + OCTAVES
export const MEMORY_HEAD_AT = FAILURE_AT + 1

/** The layers: [inputs, outputs]. */
export const LAYERS = [
  [FEATURE_COUNT, HIDDEN],
  [HIDDEN, HIDDEN],
  [HIDDEN, HEAD]
] as const

export const WEIGHT_COUNT = LAYERS.reduce((sum, [inputs, outputs]) => sum + (inputs + 1) * outputs, 0)

/** Logit of the network's own distribution before training: nearly nothing. */
const OWN_GATE_LOGIT = Math.log(0.02)

/** Fresh weights: the mixture starts as that of the statistics. Normal variates by Box & Muller (1958). */
export function initialWeights(rng: Rng): Float32Array {
  const weights = new Float32Array(WEIGHT_COUNT)
  let at = 0
  LAYERS.forEach(([inputs, outputs], layer) => {
    const isHead = layer === LAYERS.length - 1
    const deviation = isHead ? 0 : Math.sqrt(1 / inputs)
    for (let index = 0; index < inputs * outputs; index++) weights[at++] = deviation * normal(rng)
    if (isHead) weights[at + EXPERT_COUNT] = OWN_GATE_LOGIT
    at += outputs
  })
  return weights
}

function normal(rng: Rng): number {
  return Math.sqrt(-2 * Math.log(1 - rng.nextFloat())) * Math.cos(2 * Math.PI * rng.nextFloat())
}
