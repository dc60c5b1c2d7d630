/**
 * How sure a difference is: bootstrap intervals for paired measurements.
 *
 * Policies run on the same instances (common random numbers), so differences are taken pair by pair. With several seeds
 * the seeds are resampled; with one the units themselves are, in blocks of neighbours by arrival, because tasks that
 * wait together are not independent (Künsch, "The Jackknife and the Bootstrap for General Stationary Observations",
 * Annals of Statistics 1989). Intervals are percentile intervals (Efron & Tibshirani, 1993, ch. 13).
 */
import { createRng } from '../../base/prng.ts'
import type { Rng } from '../../base/prng.ts'
import { mean, quantileSorted } from './metrics.ts'

export interface Interval {
  readonly low: number
  readonly high: number
}

export interface BootstrapOptions {
  /** Default 1000. */
  readonly rounds?: number
  /** In (0, 1). Default 0.95. */
  readonly confidence?: number
  readonly seed?: number
  /** Neighbours that are resampled together. Default 1: independent measurements. */
  readonly block?: number
}

const ROUNDS = 1000
const CONFIDENCE = 0.95

/** A percentile interval of `statistic` over resampled indexes 0…count − 1. */
export function bootstrap(
  count: number,
  statistic: (indexes: Int32Array) => number,
  options: BootstrapOptions = {}
): Interval {
  return intervalOf(resampled(count, statistic, options), options)
}

/** The statistic's values over all rounds, sorted. */
function resampled(
  count: number,
  statistic: (indexes: Int32Array) => number,
  { rounds = ROUNDS, seed = 1, block = 1 }: BootstrapOptions
): Float64Array {
  const rng = createRng(seed)
  const indexes = new Int32Array(count)
  const values = new Float64Array(rounds)
  for (let round = 0; round < rounds; round++) {
    resample(indexes, Math.max(1, Math.min(block, count)), rng)
    values[round] = statistic(indexes)
  }
  return values.sort()
}

function intervalOf(sorted: Float64Array, { confidence = CONFIDENCE }: BootstrapOptions): Interval {
  const tail = (1 - confidence) / 2
  return { low: quantileSorted(sorted, tail), high: quantileSorted(sorted, 1 - tail) }
}

/** A 95 % interval of the mean. */
export function meanInterval(values: ArrayLike<number>, options: BootstrapOptions = {}): Interval {
  return bootstrap(
    values.length,
    (indexes) => {
      let total = 0
      for (const index of indexes) total += values[index] ?? 0
      return values.length === 0 ? 0 : total / values.length
    },
    options
  )
}

export interface PairedDifference extends Interval {
  /** Mean of `challenger` − mean of `incumbent`. */
  readonly difference: number
  /** The difference relative to the incumbent's mean; 0 when that is 0. */
  readonly relative: number
  readonly relativeInterval: Interval
}

export interface PairedTest extends PairedDifference {
  /** Two-sided bootstrap p-value of "no change", in (0, 1]; never below 2 ÷ (rounds + 1). */
  readonly p: number
}

/** What the challenger changes, pair by pair. Both have one value for each unit or seed, in the same order. */
export function pairedDifference(
  incumbent: ArrayLike<number>,
  challenger: ArrayLike<number>,
  options: BootstrapOptions = {}
): PairedTest {
  const count = Math.min(incumbent.length, challenger.length)
  const differences = Float64Array.from(
    { length: count },
    (_, index) => (challenger[index] ?? 0) - (incumbent[index] ?? 0)
  )
  const relativeOf = (indexes: Int32Array): number => {
    let base = 0
    let change = 0
    for (const index of indexes) {
      base += incumbent[index] ?? 0
      change += differences[index] ?? 0
    }
    return base === 0 ? 0 : change / base
  }
  const base = mean(incumbent)
  const relatives = resampled(count, relativeOf, options)
  return {
    difference: mean(differences),
    relative: base === 0 ? 0 : mean(differences) / base,
    ...meanInterval(differences, options),
    relativeInterval: intervalOf(relatives, options),
    p: sidedness(relatives)
  }
}

/** How easily resampling crosses 0 (Efron & Tibshirani, 1993, §15.4, with one round added to both sides). */
function sidedness(values: Float64Array): number {
  let low = 1
  let high = 1
  for (const value of values) {
    if (value <= 0) low++
    if (value >= 0) high++
  }
  return Math.min(1, (2 * Math.min(low, high)) / (values.length + 1))
}

/**
 * p-values adjusted for how many were looked at, in the same order (Holm, "A Simple Sequentially Rejective Multiple Test
 * Procedure", Scandinavian Journal of Statistics 1979): below 0.05 means that not even one of all is likely to be luck.
 */
export function holm(pValues: readonly number[]): number[] {
  const order = pValues.map((p, index) => ({ p, index })).sort((a, b) => a.p - b.p)
  const adjusted = new Array<number>(pValues.length).fill(1)
  let least = 0
  order.forEach(({ p, index }, rank) => {
    least = Math.max(least, Math.min(1, p * (pValues.length - rank)))
    adjusted[index] = least
  })
  return adjusted
}

/** Block length for `count` neighbouring units: ∛count, which balances bias and variance (Künsch 1989), in [1, count]. */
export function blockLength(count: number): number {
  return Math.max(1, Math.round(Math.cbrt(count)))
}

function resample(indexes: Int32Array, block: number, rng: Rng): void {
  const count = indexes.length
  for (let at = 0; at < count; at += block) {
    const start = rng.nextInt(count - block + 1)
    for (let offset = 0; offset < block && at + offset < count; offset++)
      indexes[at + offset] = start + offset
  }
}
