/**
 * Predicted run times as tables that can be drawn from often: a class's distribution is read once, as equally likely
 * values, and an estimator is not asked again while a forecast is made.
 */
import type { Prediction } from '../estimate.ts'

/** Values of a table: quantiles in the middle of as many equal parts. */
const VALUES = 64
/** One more value stands for the tail: the last of a hundred tasks ends with it. */
const TAIL = 0.999
const SHORTEST_MS = 1

/** Equally likely run times in milliseconds, rising, and the end of the tail. */
export type DurationTable = Float64Array

/** Reads a prediction into a table. */
export function durationTable(prediction: Prediction): DurationTable {
  const table = new Float64Array(VALUES + 1)
  let least = SHORTEST_MS
  for (let index = 0; index <= VALUES; index++) {
    const value = prediction.quantileMs(index < VALUES ? (index + 0.5) / VALUES : TAIL)
    // A table rises even if an estimator's quantiles should cross.
    if (value > least && value < Infinity) least = value
    table[index] = least
  }
  return table
}

/** The run time at `u`, uniform in [0, 1): values in between are interpolated, those above the last up to the tail's end. */
export function drawMs(table: DurationTable, u: number): number {
  const at = u * VALUES - 0.5
  const index = Math.floor(at)
  const low = table[Math.max(0, index)] ?? SHORTEST_MS
  const high = table[index + 1] ?? low
  // Above the last value there is half a part.
  const share = index < 0 ? 0 : index === VALUES - 1 ? 2 * (at - index) : at - index
  return low + (high - low) * share
}

/**
 * What is left of an attempt that has run for `elapsedMs` and still runs, at `u` in [0, 1): the table's part beyond
 * `elapsedMs`. Past the table's end the rest is taken to be exponential, with the mean that the table's upper half has.
 */
export function drawRemainingMs(table: DurationTable, elapsedMs: number, u: number): number {
  const below = shareBelow(table, elapsedMs)
  const left = drawMs(table, below + u * (1 - below)) - elapsedMs
  if (below < 1 - 1 / VALUES && left > 0) return Math.max(SHORTEST_MS, left)
  return Math.max(SHORTEST_MS, -Math.log(1 - u) * Math.max(upperSpread(table), elapsedMs / 2))
}

/** The share of the table at or below `ms`, in [0, 1]; interpolated as `drawMs` does. */
export function shareBelow(table: DurationTable, ms: number): number {
  if (ms < (table[0] ?? 0)) return 0
  let low = 0
  let high = VALUES
  while (low + 1 < high) {
    const middle = (low + high) >> 1
    if ((table[middle] ?? 0) <= ms) low = middle
    else high = middle
  }
  if (low === VALUES - 1) return 1
  const from = table[low] ?? 0
  const to = table[low + 1] ?? from
  return (low + 0.5 + (to > from ? Math.min(1, (ms - from) / (to - from)) : 0)) / VALUES
}

/** Mean of what the table's upper half exceeds its median by. */
function upperSpread(table: DurationTable): number {
  const median = table[VALUES / 2] ?? 0
  let total = 0
  for (let index = VALUES / 2; index < VALUES; index++) total += (table[index] ?? 0) - median
  return total / (VALUES / 2)
}
