/**
 * How sure a difference is: intervals and tests for paired measurements.
 *
 * Policies run on the same instances (common random numbers), so differences are taken pair by pair.
 *
 * 1. What is resampled are measurements that are independent of each other. Neighbours that wait together are not: they are resampled in
 *    blocks (Künsch, "The Jackknife and the Bootstrap for General Stationary Observations", Annals of Statistics 1989), and count ÷ block is
 *    how many measurements there really are.
 * 2. An interval is the estimate ± t standard errors: the error by bootstrap (Efron & Tibshirani, 1993, ch. 6), t Student's for that many
 *    measurements. Percentiles of resamples, which need no t, hold the truth in 85 of 100 cases when there are five measurements, and cannot do
 *    better: they never leave what was measured.
 * 3. A p-value is that of the sign-flip test (Fisher, "The Design of Experiments", 1935, §21): were there no change, each difference could as
 *    well have had the other sign. With five measurements none is below 1 in 16, however large the change.
 * 4. One measurement says nothing of the next: its interval is everything, its p-value 1.
 *
 * All that is asked of a resample are sums over its units. Of a block of neighbours such a sum is the difference of two
 * sums from the beginning, so a round costs count ÷ block, not count.
 */
import { createRng } from '../../base/prng.ts'
import { mean } from './metrics.ts'
import { studentQuantile } from './student.ts'

/** From −∞ to ∞ where nothing is known. */
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
/** All signs are gone through up to so many differences; of more, `FLIPS` are drawn. */
const MOST_EXACT = 12
const FLIPS = 9999
/** Blocks that a series of neighbours is cut into: enough for a variance, long enough to be nearly independent (Schmeiser 1982: 10 to 30). */
const BLOCKS = 20
/** Nothing is known. */
export const EVERYTHING: Interval = { low: -Infinity, high: Infinity }

/** One measurement of all units; the columns of a resample have the same units in the same order. */
type Column = ArrayLike<number>
type Statistic = (sums: Float64Array) => number

/**
 * The interval of `statistic`, which is given the sums of the columns over units, resampled or not. Each resample has as many units as the
 * shortest column. `sums` is used again by the next round.
 */
export function bootstrap(
  columns: readonly Column[],
  statistic: Statistic,
  options: BootstrapOptions = {}
): Interval {
  return bootstrapAll(columns, [statistic], options)[0] ?? EVERYTHING
}

/** The same for several statistics, all of which see the same resamples. */
function bootstrapAll(
  columns: readonly Column[],
  statistics: readonly Statistic[],
  options: BootstrapOptions
): Interval[] {
  const count = unitsOf(columns)
  const pieces = piecesOf(count, options.block)
  if (pieces < 2) return statistics.map(() => EVERYTHING)
  const whole = Float64Array.from(columns, (column) => totalOf(column, count))
  const errors = resampled(columns, statistics, options).map(standardDeviation)
  // Resampled measurements vary less than measurements do, by (n − 1) ÷ n.
  const factor =
    studentQuantile(options.confidence ?? CONFIDENCE, pieces - 1) * Math.sqrt(pieces / (pieces - 1))
  return statistics.map((statistic, index) => {
    const at = statistic(whole)
    const error = factor * (errors[index] ?? Infinity)
    return Number.isFinite(at) && Number.isFinite(error) ? { low: at - error, high: at + error } : EVERYTHING
  })
}

/** How many independent measurements `count` units in blocks are. */
function piecesOf(count: number, block = 1): number {
  return Math.floor(count / Math.max(1, block))
}

/** The values of each statistic over all rounds. All of them see the same resamples. */
export function resampled(
  columns: readonly Column[],
  statistics: readonly Statistic[],
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
  return values
}

function standardDeviation(values: Float64Array): number {
  const middle = mean(values)
  let squares = 0
  for (const value of values) squares += (value - middle) ** 2
  return Math.sqrt(squares / Math.max(1, values.length - 1))
}

function totalOf(column: Column, count: number): number {
  let total = 0
  for (let at = 0; at < count; at++) total += column[at] ?? 0
  return total
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

/** The interval of the mean, by default of 95 %. */
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
  /** Two-sided p-value of "no change" by the sign-flip test, in (0, 1]. */
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
  const [changes = EVERYTHING, relativeInterval = EVERYTHING] = bootstrapAll(
    [differences, incumbent],
    [meanOf(count), relativeOf],
    options
  )
  const base = mean(incumbent)
  return {
    difference: mean(differences),
    relative: base === 0 ? 0 : mean(differences) / base,
    ...changes,
    relativeInterval,
    p: signFlip(blockSums(differences, options.block ?? 1), options.seed ?? 1)
  }
}

/** Sums of so many neighbours each; what is left at the end belongs to the last. */
function blockSums(values: Float64Array, block: number): Float64Array {
  const length = Math.max(1, block)
  const sums = new Float64Array(Math.max(1, piecesOf(values.length, length)))
  values.forEach((value, at) => {
    const piece = Math.min(sums.length - 1, Math.floor(at / length))
    sums[piece] = (sums[piece] ?? 0) + value
  })
  return sums
}

/** The share of sign changes that take the sum as far from 0 as it is. */
function signFlip(differences: Float64Array, seed: number): number {
  const sum = totalOf(differences, differences.length)
  const size = differences.reduce((all, each) => all + Math.abs(each), 0)
  if (!Number.isFinite(size) || size === 0) return 1
  // Sums of the same numbers in other orders differ in their last digits.
  const least = Math.abs(sum) - 1e-9 * size
  const isExact = differences.length <= MOST_EXACT
  const rounds = isExact ? 2 ** differences.length : FLIPS
  const rng = createRng(seed)
  let asFar = isExact ? 0 : 1
  for (let round = 0; round < rounds; round++) {
    let flipped = 0
    for (let at = 0; at < differences.length; at++) {
      const isNegative = isExact ? ((round >>> at) & 1) === 1 : rng.nextInt(2) === 1
      flipped += isNegative ? -(differences[at] ?? 0) : (differences[at] ?? 0)
    }
    if (Math.abs(flipped) >= least) asFar++
  }
  return asFar / (isExact ? rounds : rounds + 1)
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

/**
 * Block length for `count` neighbouring units that wait together: a twentieth of them, and no less than ∛count (Künsch 1989), in
 * [1, count]. Queues remember for thousands of tasks, so ∛count alone takes far too many measurements for independent.
 */
export function blockLength(count: number): number {
  return Math.max(1, Math.round(Math.cbrt(count)), Math.ceil(count / BLOCKS))
}
