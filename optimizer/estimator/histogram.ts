/**
 * A decayed histogram on the grid of `bins.ts`: each new observation multiplies the weight of all before it by the decay.
 *
 * Adding costs O(1): instead of shrinking what is there, later observations weigh more, and all is scaled down now and then.
 */
import { binOfLn, binsOfShift, FINE_BINS, massBelowLn, quantileLn } from './bins.ts'
import { blend, shrink } from './sums.ts'

/** Observations grow by 1 ÷ decay; beyond this all weights are scaled back, well within what a float32 tells apart. */
const LARGEST_SCALE = 1e12
/** Share of an observation that goes to each of the neighbouring bins: run times repeat, but not to the digit. */
const BESIDE = 0.1

export class DecayedHistogram {
  readonly #weights = new Float32Array(FINE_BINS)
  #scale = 1
  #total = 0
  #mean = 0
  #meanSquare = 0
  #count = 0

  /** Observations since the beginning, undecayed. */
  get count(): number {
    return this.#count
  }

  /** Decayed weight of all observations: 1 ÷ (1 − decay) after many. */
  get weight(): number {
    return this.#total / this.#scale
  }

  /** Decayed mean of ln t; 0 before the first. */
  get meanLn(): number {
    return this.#mean
  }

  /** Decayed variance of ln t. */
  get varianceLn(): number {
    return Math.max(0, this.#meanSquare - this.#mean * this.#mean)
  }

  /** The ln t below which lies the share `q` of what was observed. */
  quantileLn(q: number): number {
    return quantileLn(this.#weights, q * this.#total)
  }

  /** The share of what was observed that lies above ln t; 0 before the first. */
  shareAboveLn(ln: number): number {
    return this.#total > 0 ? Math.max(0, 1 - massBelowLn(this.#weights, ln) / this.#total) : 0
  }

  /** Adds one observation of `ms`. */
  add(ms: number, decay: number): void {
    this.addLn(Math.log(Math.max(1, ms)), decay)
  }

  /** Adds one observation of ln t, ≥ 0. */
  addLn(ln: number, decay: number): void {
    this.#count++
    this.#scale /= decay
    this.#total += this.#scale
    const share = this.#scale / this.#total
    this.#mean += share * (ln - this.#mean)
    this.#meanSquare += share * (ln * ln - this.#meanSquare)
    const bin = binOfLn(ln)
    this.#put(bin, 1 - 2 * BESIDE)
    this.#put(Math.max(0, bin - 1), BESIDE)
    this.#put(Math.min(FINE_BINS - 1, bin + 1), BESIDE)
    if (this.#scale > LARGEST_SCALE) this.#rescale()
  }

  /** Adds something that is known as a spread over bins (a censored run); `spread` sums to 1. */
  addSpread(spread: Float64Array, meanLn: number, decay: number): void {
    this.#scale /= decay
    this.#total += this.#scale
    const share = this.#scale / this.#total
    this.#mean += share * (meanLn - this.#mean)
    this.#meanSquare += share * (meanLn * meanLn - this.#meanSquare)
    for (let bin = 0; bin < FINE_BINS; bin++) {
      this.#weights[bin] = (this.#weights[bin] ?? 0) + this.#scale * (spread[bin] ?? 0)
    }
    if (this.#scale > LARGEST_SCALE) this.#rescale()
  }

  /** masses ← (histogram + prior × masses) ÷ (weight + prior): one level of shrinkage. `masses` sums to 1 before and after. */
  shrink(masses: Float64Array, prior: number): void {
    const unit = 1 / this.#scale
    const norm = 1 / (this.#total * unit + prior)
    const own = unit * norm
    const rest = prior * norm
    shrink(masses, this.#weights, own, rest)
  }

  /** The same, from `base` into `masses`, in the precision of experts. */
  blend(masses: Float32Array, base: Float32Array, prior: number): void {
    const unit = 1 / this.#scale
    const norm = 1 / (this.#total * unit + prior)
    const own = unit * norm
    const rest = prior * norm
    blend(masses, this.#weights, own, base, rest)
  }

  /** masses += share × this histogram, moved by `shiftLn`; what leaves the grid stays on its edge. */
  addShifted(masses: Float32Array, shiftLn: number, share: number): void {
    const shift = binsOfShift(shiftLn)
    const unit = share / this.#total
    for (let bin = 0; bin < FINE_BINS; bin++) {
      const weight = this.#weights[bin] ?? 0
      if (weight === 0) continue
      const to = Math.max(0, Math.min(FINE_BINS - 1, bin + shift))
      masses[to] = (masses[to] ?? 0) + weight * unit
    }
  }

  #put(bin: number, share: number): void {
    this.#weights[bin] = (this.#weights[bin] ?? 0) + share * this.#scale
  }

  #rescale(): void {
    const by = 1 / this.#scale
    for (let bin = 0; bin < FINE_BINS; bin++) this.#weights[bin] = (this.#weights[bin] ?? 0) * by
    this.#total *= by
    this.#scale = 1
  }
}
