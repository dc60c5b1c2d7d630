/**
 * The hazards of the class statistics by octaves, which the network's own distribution corrects: of the runs that last as long as an
 * octave, the share that ends within it. So a network that has learned nothing says what the statistics say, and one that has learned
 * little cannot promise days to what takes milliseconds: where it says nothing its tail is theirs.
 */
import { OCTAVES, quantileLn } from './bins.ts'

const PER_OCTAVE = 4
/** Kept for what the statistics do not expect, falling like t^−1.5 from their median on, as in `experts.ts`. */
const LEAST = 0.03
const TAIL = 2 ** -1.5
const LARGEST_LOGIT = 12

/** Room for one computation at a time. */
const OF_OCTAVE = new Float64Array(OCTAVES)

/** Writes the logit of each octave's hazard under `masses` into `into`; the last octave's stays 0, since what is left ends there. */
export function writeHazardLogits(masses: Float64Array, into: Float32Array): void {
  const middle = Math.min(OCTAVES - 1, Math.floor(quantileLn(masses, 0.5) / Math.LN2))
  for (let octave = 0; octave < OCTAVES; octave++) {
    let sum = 0
    for (let bin = octave * PER_OCTAVE; bin < (octave + 1) * PER_OCTAVE; bin++) sum += masses[bin] ?? 0
    OF_OCTAVE[octave] = sum + LEAST * TAIL ** Math.abs(octave - middle)
  }
  let left = 0
  for (let octave = OCTAVES - 1; octave >= 0; octave--) {
    const mass = OF_OCTAVE[octave] ?? 0
    const logit = octave === OCTAVES - 1 ? 0 : Math.log(mass / left)
    into[octave] = Math.max(-LARGEST_LOGIT, Math.min(LARGEST_LOGIT, logit))
    left += mass
  }
}
