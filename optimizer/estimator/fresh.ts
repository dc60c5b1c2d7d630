/**
 * What an attempt that begins now would take, from runs that came to an end of their own: an attempt that hangs, or that was stopped because a
 * copy of it was quicker, is what such a one is compared with. Each level is shrunk to the one above it.
 */
import type { NodeView } from '../../scheduler/policy.ts'
import { BinnedPrediction, FINE_BINS } from './bins.ts'
import type { CellStatistics } from './cell-statistics.ts'
import type { ClassEntry } from './class-entry.ts'
import type { TaskClass } from './class-tree.ts'
import { GUESS } from './statistics.ts'

/** How many runs the level above counts for, and the first guess. */
const PRIOR_WEIGHT = 2
const GUESS_WEIGHT = 0.2

/** One answer at a time. */
export class FreshAttempts {
  readonly #masses = new Float64Array(FINE_BINS)
  readonly #prediction = new BinnedPrediction(this.#masses)

  /** Holds until the next call. */
  predict(
    { cells, limitMs }: TaskClass<CellStatistics>,
    entry: ClassEntry,
    node: NodeView | undefined
  ): BinnedPrediction {
    this.#masses.set(GUESS)
    let prior = GUESS_WEIGHT
    for (const { value } of cells) {
      if (value.experts === undefined) continue
      value.experts.slow.shrink(this.#masses, prior)
      prior = PRIOR_WEIGHT
    }
    this.#prediction.changed()
    return this.#prediction.refresh(entry.factorOn(node), limitMs, entry.statistics)
  }
}
