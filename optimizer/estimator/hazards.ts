/**
 * What the class statistics expect, by octaves: the network's own distribution corrects it (its hazards: of the runs that last as long as
 * an octave, the share that ends within it) and is bounded by it. So a network that has learned nothing says about what
 * the statistics say; one that has learned little cannot promise days to what takes milliseconds; and one that was made to harm cannot either.
 */
import { OCTAVES, PER_OCTAVE, quantileLn } from './bins.ts'

/** Kept for what the statistics do not expect, by distance from their median in octaves: like t^−1.5, as in `experts.ts`. */
const LEAST = 0.03
const AROUND = Float64Array.from({ length: OCTAVES }, (_, octave) => LEAST * 2 ** (-1.5 * octave))
const LARGEST_LOGIT = 12
/** Statistics are too sure of themselves: this share of their logits spreads a run over a little more than they do. */
const BELIEVED = 0.75
/** In no octave is the network believed to see more than so many times what is expected there. */
const MOST_TIMES = 30

/** Room for one computation at a time. */
const EXPECTED = new Float64Array(OCTAVES)

/** Writes the logit of each octave's hazard under `masses` into `into`; the last octave's stays 0, since what is left ends there. */
export function writeHazardLogits(masses: Float64Array, into: Float32Array): void {
  expect(masses)
  let left = 0
  for (let octave = OCTAVES - 1; octave >= 0; octave--) {
    const mass = EXPECTED[octave] ?? 0
    const logit = octave === OCTAVES - 1 ? 0 : Math.log(mass / left)
    into[octave] = BELIEVED * Math.max(-LARGEST_LOGIT, Math.min(LARGEST_LOGIT, logit))
    left += mass
  }
}

/** Writes what is believed of a network's `octaves` where the statistics expect `masses` into `into`. It sums to 1 at most. */
export function boundOctaves(
  octaves: Float32Array,
  masses: Float64Array | Float32Array,
  into: Float64Array
): void {
  expect(masses)
  for (let octave = 0; octave < OCTAVES; octave++) {
    into[octave] = Math.min(octaves[octave] ?? 0, MOST_TIMES * (EXPECTED[octave] ?? 0))
  }
}

/** The same, where the statistics expect what `writeHazardLogits` wrote as `logits`. */
export function boundOctavesByLogits(octaves: Float32Array, logits: Float32Array, into: Float64Array): void {
  let left = 1
  for (let octave = 0; octave < OCTAVES; octave++) {
    const hazard = octave === OCTAVES - 1 ? 1 : 1 / (1 + Math.exp(-(logits[octave] ?? 0) / BELIEVED))
    into[octave] = Math.min(octaves[octave] ?? 0, MOST_TIMES * left * hazard)
    left *= 1 - hazard
  }
}

/** Fills `EXPECTED`, which sums to 1. */
function expect(masses: Float64Array | Float32Array): void {
  const middle = Math.min(OCTAVES - 1, Math.floor(quantileLn(masses, 0.5) / Math.LN2))
  let total = 0
  for (let octave = 0; octave < OCTAVES; octave++) {
    let sum = AROUND[Math.abs(octave - middle)] ?? 0
    for (let bin = octave * PER_OCTAVE; bin < (octave + 1) * PER_OCTAVE; bin++) sum += masses[bin] ?? 0
    EXPECTED[octave] = sum
    total += sum
  }
  for (let octave = 0; octave < OCTAVES; octave++) EXPECTED[octave] = (EXPECTED[octave] ?? 0) / total
}
