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
  const { rounds = ROUNDS, confidence = CONFIDENCE, seed = 1, block = 1 } = options
  const rng = createRng(seed)
  const indexes = new Int32Array(count)
  const values = new Float64Array(rounds)
  for (let round = 0; round < rounds; round++) {
    resample(indexes, Math.max(1, Math.min(block, count)), rng)
    values[round] = statistic(indexes)
  }
  values.sort()
  const tail = (1 - confidence) / 2
  return { low: quantileSorted(values, tail), high: quantileSorted(values, 1 - tail) }
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

/** What the challenger changes, pair by pair. Both have one value for each unit or seed, in the same order. */
export function pairedDifference(
  incumbent: ArrayLike<number>,
  challenger: ArrayLike<number>,
  options: BootstrapOptions = {}
): PairedDifference {
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
  return {
    difference: mean(differences),
    relative: base === 0 ? 0 : mean(differences) / base,
    ...meanInterval(differences, options),
    relativeInterval: bootstrap(count, relativeOf, options)
  }
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
