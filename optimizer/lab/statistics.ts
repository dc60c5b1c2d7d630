/**
 * How sure a difference is: bootstrap intervals for paired measurements.
 *
 * Policies run on the same instances (common random numbers), so differences are taken pair by pair. With several seeds
 * the seeds are resampled; with one the units themselves are, in blocks of neighbours by arrival, because tasks that
 * wait together are not independent (Künsch, "The Jackknife and the Bootstrap for General Stationary Observations",
 * Annals of Statistics 1989). Intervals are percentile intervals (Efron & Tibshirani, 1993, ch. 13).
 *
 * All that is asked of a resample are sums over its units. Of a block of neighbours such a sum is the difference of two
 * sums from the beginning, so a round costs count ÷ block, not count.
 */
import { createRng } from '../../base/prng.ts'
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
const NONE = new Float64Array(0)

/** One measurement of all units; the columns of a resample have the same units in the same order. */
type Column = ArrayLike<number>

/**
 * A percentile interval of `statistic`, which is given the sums of the columns over resampled units. Each resample has as
 * many units as the shortest column. `sums` is used again by the next round.
 */
export function bootstrap(
  columns: readonly Column[],
  statistic: (sums: Float64Array) => number,
  options: BootstrapOptions = {}
): Interval {
  const [values = NONE] = resampled(columns, [statistic], options)
  return intervalOf(values, options)
}

/** The values of each statistic over all rounds, sorted. All of them see the same resamples. */
function resampled(
  columns: readonly Column[],
  statistics: readonly ((sums: Float64Array) => number)[],
  { rounds = ROUNDS, seed = 1, block = 1 }: BootstrapOptions
): Float64Array[] {
  const count = unitsOf(columns)
  const length = Math.max(1, Math.min(block, count))
  const rng = createRng(seed)
  const addBlock = blockAdder(columns, count, length)
  const sums = new Float64Array(columns.length)
  const values = statistics.map(() => new Float64Array(rounds))
  for (let round = 0; round < rounds; round++) {
    sums.fill(0)
    // The last block may be shorter.
    for (let at = 0; at < count; at += length) {
      addBlock(sums, rng.nextInt(count - length + 1), Math.min(length, count - at))
    }
    statistics.forEach((statistic, index) => {
      const own = values[index]
      if (own !== undefined) own[round] = statistic(sums)
    })
  }
  return values.map((own) => own.sort())
}

function unitsOf(columns: readonly Column[]): number {
  return columns.reduce((least, { length }) => Math.min(least, length), columns[0]?.length ?? 0)
}

/** Adds to each column's sum that of its values in [start, start + size). */
function blockAdder(
  columns: readonly Column[],
  count: number,
  length: number
): (sums: Float64Array, start: number, size: number) => void {
  const totals = columns.map((column) => runningTotals(column, count))
  // What is not finite would spread from running totals to blocks that do not hold it.
  if (length > 1 && totals.every((total) => Number.isFinite(total[count]))) {
    return (sums, start, size) => {
      for (let index = 0; index < totals.length; index++) {
        const total = totals[index]
        sums[index] = (sums[index] ?? 0) + (total?.[start + size] ?? 0) - (total?.[start] ?? 0)
      }
    }
  }
  return (sums, start, size) => {
    for (let index = 0; index < columns.length; index++) {
      let sum = sums[index] ?? 0
      for (let at = start; at < start + size; at++) sum += columns[index]?.[at] ?? 0
      sums[index] = sum
    }
  }
}

/** At index k the sum of the first k values. */
function runningTotals(column: Column, count: number): Float64Array {
  const totals = new Float64Array(count + 1)
  for (let at = 0; at < count; at++) totals[at + 1] = (totals[at] ?? 0) + (column[at] ?? 0)
  return totals
}

function intervalOf(sorted: Float64Array, { confidence = CONFIDENCE }: BootstrapOptions): Interval {
  const tail = (1 - confidence) / 2
  return { low: quantileSorted(sorted, tail), high: quantileSorted(sorted, 1 - tail) }
}

/** A 95 % interval of the mean. */
export function meanInterval(values: ArrayLike<number>, options: BootstrapOptions = {}): Interval {
  return bootstrap([values], meanOf(values.length), options)
}

/** The mean of `count` units, by the sum of the first column. */
function meanOf(count: number): (sums: Float64Array) => number {
  return ([sum = 0]) => (count === 0 ? 0 : sum / count)
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
  const relativeOf = ([change = 0, whole = 0]: Float64Array): number => (whole === 0 ? 0 : change / whole)
  const [changes = NONE, relatives = NONE] = resampled(
    [differences, incumbent],
    [meanOf(count), relativeOf],
    options
  )
  const base = mean(incumbent)
  return {
    difference: mean(differences),
    relative: base === 0 ? 0 : mean(differences) / base,
    ...intervalOf(changes, options),
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
