/**
 * Predicted run times as tables that can be drawn from often: a class's distribution is read once, as ln t at rising levels, and an
 * estimator is not asked again while a forecast is made.
 *
 * 1. Between levels ln t is interpolated: a tail that grows a thousandfold from one level to the next would otherwise be drawn as if most
 *    of it lay near its end.
 * 2. Above the level that the attempts of a class are evidence of, an estimator's tail is what it keeps for what nobody expects. A run of
 *    hundreds of tasks ends with the longest of as many draws, so that tail alone would say when it ends. There a table follows the
 *    log-normal tail that goes on from the median and that level, where it is the shorter one.
 * 3. How long the tails really are is not known either: who draws may stretch them, for all tasks of one future alike. So the p90 of a run
 *    is late where tails are long, and its p50 is not.
 *
 * Rules 2 and 3 and their constants were chosen on seeds 1 to 60 of the trials in `test/helpers/eta-trials.ts`, and checked on others.
 */
import type { Prediction } from '../estimate.ts'
import { normalQuantile } from './normal.ts'

/** The levels of a table: the middles of as many equal parts, and more where the last of a hundred tasks ends. */
const PARTS = 64
const TAIL_LEVELS = [0.995, 0.998, 0.999] as const
const LEVELS = Float64Array.from([
  ...Array.from({ length: PARTS }, (_, part) => (part + 0.5) / PARTS),
  ...TAIL_LEVELS
])
const LAST = LEVELS.length - 1
const SHORTEST_MS = 1
/** Here the tail begins: what is promised up to it is held to what comes (`conformal.ts`). */
const TAIL_FROM = 0.9
const TAIL_INDEX = LEVELS.findLastIndex((level) => level <= TAIL_FROM)
/** What one attempt that was seen counts for as evidence of the tail: pooled, classes know more than each shows. */
const EVIDENCE = 2

/** ln of run times in milliseconds at `LEVELS`, rising. */
export type DurationTable = Float64Array

/** Reads a prediction into a table, of a class of which so many attempts have been seen. */
export function durationTable(prediction: Prediction, seen = Infinity): DurationTable {
  const table = new Float64Array(LEVELS.length)
  const mostLn = evidentLn(prediction, seen)
  let least = Math.log(SHORTEST_MS)
  LEVELS.forEach((level, index) => {
    const ln = Math.min(Math.log(prediction.quantileMs(level)), mostLn(level))
    // A table rises even if an estimator's quantiles should cross.
    if (ln > least && ln < Infinity) least = ln
    table[index] = least
  })
  return table
}

/** The ln t that a level can be said to have at most (rule 2). */
function evidentLn(prediction: Prediction, seen: number): (level: number) => number {
  const known = Math.max(TAIL_FROM, 1 - 1 / (EVIDENCE * (seen + 2)))
  if (known >= (LEVELS[LAST] ?? 1)) return () => Infinity
  const median = Math.log(prediction.quantileMs(0.5))
  const slope = (Math.log(prediction.quantileMs(known)) - median) / normalQuantile(known)
  return (level) => (level > known ? median + slope * normalQuantile(level) : Infinity)
}

/** The run time at `u`, uniform in [0, 1); the tail is stretched by a factor of ln t. */
export function drawMs(table: DurationTable, u: number, stretch = 1): number {
  const from = table[TAIL_INDEX] ?? 0
  const ln = lnAt(table, u)
  return Math.exp(ln > from ? from + (ln - from) * stretch : ln)
}

function lnAt(table: DurationTable, u: number): number {
  let index = Math.min(PARTS - 1, Math.floor(u * PARTS - 0.5))
  if (index < 0) return table[0] ?? 0
  if (index === PARTS - 1) while (index < LAST && (LEVELS[index + 1] ?? 1) <= u) index++
  const low = table[index] ?? 0
  if (index === LAST) return low
  const level = LEVELS[index] ?? 0
  return low + (((table[index + 1] ?? low) - low) * (u - level)) / ((LEVELS[index + 1] ?? 1) - level)
}

/**
 * What is left of an attempt that has run for `elapsedMs` and still runs, at `u` in [0, 1): the table's part beyond
 * `elapsedMs`. Past the table's end the rest is taken to be exponential, with the mean that the table's upper half has.
 */
export function drawRemainingMs(table: DurationTable, elapsedMs: number, u: number, stretch = 1): number {
  const below = shareBelow(table, elapsedMs, stretch)
  const left = drawMs(table, below + u * (1 - below), stretch) - elapsedMs
  if (below < 1 - 1 / PARTS && left > 0) return Math.max(SHORTEST_MS, left)
  return Math.max(SHORTEST_MS, -Math.log(1 - u) * Math.max(upperSpread(table), elapsedMs / 2))
}

/** The share of the table at or below `ms`, in [0, 1]; interpolated and stretched as `drawMs` does. */
export function shareBelow(table: DurationTable, ms: number, stretch = 1): number {
  const drawn = Math.log(Math.max(SHORTEST_MS, ms))
  const tail = table[TAIL_INDEX] ?? 0
  const ln = drawn > tail ? tail + (drawn - tail) / stretch : drawn
  if (ln < (table[0] ?? 0)) return 0
  if (ln >= (table[LAST] ?? 0)) return 1
  let low = 0
  let high = LAST
  while (low + 1 < high) {
    const middle = (low + high) >> 1
    if ((table[middle] ?? 0) <= ln) low = middle
    else high = middle
  }
  const from = table[low] ?? 0
  const to = table[low + 1] ?? from
  const level = LEVELS[low] ?? 0
  return level + ((LEVELS[low + 1] ?? 1) - level) * (to > from ? Math.min(1, (ln - from) / (to - from)) : 0)
}

/** Mean of what the table's upper half exceeds its median by, in milliseconds. */
function upperSpread(table: DurationTable): number {
  const medianMs = Math.exp(table[PARTS / 2] ?? 0)
  let total = 0
  for (let index = PARTS / 2; index < PARTS; index++) total += Math.exp(table[index] ?? 0) - medianMs
  return total / (PARTS / 2)
}
