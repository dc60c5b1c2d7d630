/** Training rows made of outcomes, kept until someone takes them. */
import type { AttemptFeedback } from '../../scheduler/policy.ts'
import { LARGEST_CORRECTION } from './memory-trust.ts'
import {
  CENSORED_AT,
  FAILED_AT,
  FAILED_UNKNOWN,
  LIKELIHOOD_AT,
  LN_AT,
  MEMORY_AT,
  MEMORY_QUANTILES,
  NO_MEMORY,
  ROW_LENGTH
} from './rows.ts'
import type { TrainingRow } from './rows.ts'
import type { Snapshot } from './snapshots.ts'

/** Rows that wait at most, about 350 bytes each; the oldest go first. */
const MOST = 8192

export class Samples {
  #rows: TrainingRow[] = []

  add(row: TrainingRow): void {
    this.#rows.push(row)
    if (this.#rows.length > 2 * MOST) this.#rows = this.#rows.slice(-MOST)
  }

  /** All rows since the last call, at most the latest `MOST`. */
  drain(): TrainingRow[] {
    const rows = this.#rows.slice(-MOST)
    this.#rows = []
    return rows
  }
}

/** The row that an outcome makes of the snapshot. `ln` is ln of the run time on a typical node, of the age when censored. */
export function rowOf(
  { end, peakMemoryBytes }: AttemptFeedback,
  snapshot: Snapshot,
  likelihood: Float32Array,
  ln: number,
  censored: boolean
): TrainingRow {
  const row = new Float32Array(ROW_LENGTH)
  row.set(snapshot.input)
  row.set(likelihood, LIKELIHOOD_AT)
  row[LN_AT] = ln
  row[CENSORED_AT] = censored ? 1 : 0
  row[FAILED_AT] = censored ? FAILED_UNKNOWN : end === 'failed' ? 1 : 0
  MEMORY_QUANTILES.forEach((_, index) => {
    const expected = snapshot.memoryBytes[index] ?? 0
    row[MEMORY_AT + index] =
      expected > 0 && peakMemoryBytes > 0 ? boundedLn(peakMemoryBytes / expected) : NO_MEMORY
  })
  return row
}

/** Nothing is learned from what is further out than a correction may be. */
function boundedLn(ratio: number): number {
  return Math.max(-LARGEST_CORRECTION, Math.min(LARGEST_CORRECTION, Math.log(ratio)))
}
