/**
 * The grid on which run times are predicted: quarter octaves of milliseconds from 1 ms to 2^32 ms (49.7 days), and the arithmetic of
 * distributions on it. The network sees the same range in whole octaves.
 *
 * 1. A distribution is a `Float64Array` of `FINE_BINS` masses that sum to 1. Within a bin it is uniform in ln t.
 * 2. The first bin takes all that is shorter, the last all that is longer.
 * 3. Nothing here allocates but `BinnedPrediction` itself.
 */
import type { Prediction } from '../estimate.ts'

/** Octaves of the range: the network's bins. */
export const OCTAVES = 32
/** Bins in an octave. */
export const PER_OCTAVE = 4
export const FINE_BINS = OCTAVES * PER_OCTAVE
/** Width of a bin in ln t. */
const WIDTH = Math.LN2 / PER_OCTAVE
const FINE_PER_LN = 1 / WIDTH

/** Mean of t over a bin that begins at 1, for t uniform in ln t. */
const BIN_MEAN = (Math.exp(WIDTH) - 1) / WIDTH
const EDGES_MS = Float64Array.from({ length: FINE_BINS + 1 }, (_, bin) => Math.exp(bin * WIDTH))

/** The bin of ln t. */
export function binOfLn(ln: number): number {
  const bin = Math.floor(ln * FINE_PER_LN)
  return bin < 0 ? 0 : bin >= FINE_BINS ? FINE_BINS - 1 : bin
}

/** The bin of a run time in milliseconds. */
export function binOf(ms: number): number {
  return ms <= 1 ? 0 : binOfLn(Math.log(ms))
}

/** The middle of the bin, as ln t. */
export function lnOfBin(bin: number): number {
  return (bin + 0.5) * WIDTH
}

/** Relative times (shares of a limit, residuals) are kept around this ln t, in the middle of the grid. */
export const RELATIVE_ZERO_LN = lnOfBin(FINE_BINS / 2)

/** The ln t below which lies the share `q` of the masses; the end of the grid where there are none. */
export function quantileLn(masses: Float64Array | Float32Array, q: number): number {
  return quantileLnFrom(masses, q, 0, 0)
}

/** The same, looked for from the bin `first` on, below which lies the share `below`, less than `q`. */
function quantileLnFrom(
  masses: Float64Array | Float32Array,
  q: number,
  first: number,
  belowFirst: number
): number {
  let below = belowFirst
  // Sums are rounded, so that all masses together may be less than a `q` near 1: then it is where the last of them ends.
  let end = belowFirst > 0 ? first : FINE_BINS
  for (let bin = first; bin < FINE_BINS; bin++) {
    const mass = masses[bin] ?? 0
    if (!(mass > 0)) continue
    if (below + mass >= q) return (bin + Math.min(1, Math.max(0, q - below) / mass)) * WIDTH
    below += mass
    end = bin + 1
  }
  return end * WIDTH
}

/** How far apart in ln t bins are that lie `bins` apart. */
export function lnOfBins(bins: number): number {
  return bins * WIDTH
}

/** How many bins a shift of ln t by `ln` is. */
export function binsOfShift(ln: number): number {
  return Math.round(ln * FINE_PER_LN)
}

/** The share of the masses at or below ln t. */
export function shareBelowLn(masses: Float64Array, ln: number): number {
  return Math.min(1, massBelowLn(masses, ln))
}

/** The same where masses do not sum to 1. */
export function massBelowLn(masses: Float64Array | Float32Array, ln: number): number {
  const at = ln * FINE_PER_LN
  if (at <= 0) return 0
  const last = Math.min(FINE_BINS, Math.floor(at))
  let below = 0
  for (let bin = 0; bin < last; bin++) below += masses[bin] ?? 0
  return below + (last < FINE_BINS ? (at - last) * (masses[last] ?? 0) : 0)
}

/** ln of the factor between neighbouring bins. */
export const BIN_LN = WIDTH

/** The mean of t in milliseconds. */
function meanMs(masses: Float64Array): number {
  let sum = 0
  for (let bin = 0; bin < FINE_BINS; bin++) sum += (masses[bin] ?? 0) * (EDGES_MS[bin] ?? 0)
  return sum * BIN_MEAN
}

/** Mean of t − `elapsedMs` given t > `elapsedMs`; as long again where next to nothing is expected above. */
function meanExcessMs(masses: Float64Array, elapsedMs: number): number {
  const at = elapsedMs <= 1 ? 0 : Math.log(elapsedMs) * FINE_PER_LN
  const first = Math.min(FINE_BINS, Math.floor(at))
  let survival = 0
  let sum = 0
  for (let bin = first + 1; bin < FINE_BINS; bin++) {
    const mass = masses[bin] ?? 0
    survival += mass
    sum += mass * (EDGES_MS[bin] ?? 0) * BIN_MEAN
  }
  if (first < FINE_BINS) {
    const part = (first + 1 - at) * (masses[first] ?? 0)
    survival += part
    // The rest of the bin, uniform in ln t from `elapsedMs` to its edge.
    const width = (first + 1 - at) * WIDTH
    if (width > 1e-9) sum += (part * ((EDGES_MS[first + 1] ?? 0) - Math.max(1, elapsedMs))) / width
  }
  // The less was expected above, the less its shape says.
  const unforeseen = UNFORESEEN * Math.max(0, 1 - survival)
  const excess = Math.max(0, sum - survival * elapsedMs) + unforeseen * BEYOND * elapsedMs
  return survival + unforeseen > 0 ? excess / (survival + unforeseen) : 0
}

/** What is left of a run that outlived all that was expected, as a share of its age: a tail like t^−2. */
const BEYOND = 1
/** The mass of that tail beside what is expected: where less is left above, it says more. */
const UNFORESEEN = 0.01
/** What of it is beyond a further bin, and beyond the last on the grid lies too little to matter. */
const BEYOND_PER_BIN = Math.exp(-2 * WIDTH)

/** Spreads the weight of a run that is known to have taken longer than `ms` over what is expected above it. */
export function addCensored(into: Float64Array, expected: Float64Array, ms: number, weight: number): void {
  const at = ms <= 1 ? 0 : Math.log(ms) * FINE_PER_LN
  const first = Math.min(FINE_BINS - 1, Math.floor(at))
  const share = Math.max(0, first + 1 - at)
  let above = share * (expected[first] ?? 0)
  for (let bin = first + 1; bin < FINE_BINS; bin++) above += expected[bin] ?? 0
  // The less was expected above, the less its shape says.
  const beyond = (weight * UNFORESEEN) / (above + UNFORESEEN)
  const scale = above === 0 ? 0 : (weight - beyond) / above
  let left = beyond
  let of = scale * share
  for (let bin = first; bin < FINE_BINS - 1; bin++) {
    const next = left * BEYOND_PER_BIN
    into[bin] = (into[bin] ?? 0) + left - next + of * (expected[bin] ?? 0)
    left = next
    of = scale
  }
  into[FINE_BINS - 1] = (into[FINE_BINS - 1] ?? 0) + left + of * (expected[FINE_BINS - 1] ?? 0)
}

/** Moves all mass above the bin `last` into it: a run is killed at its limit. */
export function cutAt(masses: Float64Array, last: number): void {
  if (last >= FINE_BINS - 1) return
  let above = 0
  for (let bin = last + 1; bin < FINE_BINS; bin++) {
    above += masses[bin] ?? 0
    masses[bin] = 0
  }
  masses[last] = (masses[last] ?? 0) + above
}

/** Extra knowledge that a prediction carries beside the run time. */
export interface SideKnowledge {
  readonly failureProbability: number
  memoryBytes(q: number): number
  /** The level to ask of the distribution when `q` is promised; `q` itself where absent. */
  level?(q: number): number
}

const NOTHING: SideKnowledge = { failureProbability: 0, memoryBytes: () => 0 }

/** Sums of masses are kept at each so many bins. */
const STRIDE = 16

/** A distribution on the grid as a `Prediction`, times a factor (a node's slowness), capped. */
export class BinnedPrediction implements Prediction {
  readonly #masses: Float64Array
  /** What lies below every `STRIDE`-th bin. */
  readonly #below = new Float64Array(FINE_BINS / STRIDE)
  #isSummed = false
  /** Of the masses alone; NaN while it is not known. */
  #wholeMeanMs = NaN
  #factor = 1
  #capMs = Infinity
  #side = NOTHING

  /** `masses` is kept; who changes them says so by `changed`. */
  constructor(masses: Float64Array) {
    this.#masses = masses
  }

  /** The masses are others now. */
  changed(): void {
    this.#isSummed = false
    this.#wholeMeanMs = NaN
  }

  /** `factor` multiplies times; no time exceeds `capMs`. Returns itself. */
  refresh(factor: number, capMs: number, side: SideKnowledge = NOTHING): this {
    this.#factor = factor
    this.#capMs = capMs > 0 ? capMs : Infinity
    this.#side = side
    return this
  }

  get meanMs(): number {
    if (Number.isNaN(this.#wholeMeanMs)) this.#wholeMeanMs = meanMs(this.#masses)
    return this.#capped(this.#wholeMeanMs * this.#factor)
  }

  get medianMs(): number {
    return this.quantileMs(0.5)
  }

  get failureProbability(): number {
    return this.#side.failureProbability
  }

  quantileMs(q: number): number {
    const level = this.#side.level?.(q) ?? q
    return this.#capped(Math.exp(this.#quantileLn(level)) * this.#factor)
  }

  remainingMs(elapsedMs: number): number {
    const left = meanExcessMs(this.#masses, elapsedMs / this.#factor) * this.#factor
    return Math.max(1, elapsedMs < this.#capMs ? Math.min(left, this.#capMs - elapsedMs) : left)
  }

  memoryBytes(q: number): number {
    return this.#side.memoryBytes(q)
  }

  /** `quantileLn`, from the last of the kept sums that is below `q`. */
  #quantileLn(q: number): number {
    const below = this.#below
    if (!this.#isSummed) {
      sumInto(below, this.#masses)
      this.#isSummed = true
    }
    let from = 0
    while (from + 1 < below.length && (below[from + 1] ?? 0) < q) from++
    return quantileLnFrom(this.#masses, q, from * STRIDE, below[from] ?? 0)
  }

  #capped(ms: number): number {
    return Math.max(1, Math.min(ms, this.#capMs))
  }
}

function sumInto(below: Float64Array, masses: Float64Array): void {
  let sum = 0
  for (let bin = 0; bin < FINE_BINS; bin++) {
    if (bin % STRIDE === 0) below[bin / STRIDE] = sum
    sum += masses[bin] ?? 0
  }
}
