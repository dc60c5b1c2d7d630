/** The training rows that a node's estimator made, kept so that a new leader can go on; the oldest go first. */
import type { LearnedEstimator } from '../../optimizer/estimator/learned.ts'
import type { TrainingRow } from '../../optimizer/estimator/rows.ts'
import { KEPT_ROWS } from './bounds.ts'

export class KeptRows {
  readonly #estimator: Pick<LearnedEstimator, 'drainSamples'>
  readonly #rows: TrainingRow[] = []

  constructor(estimator: Pick<LearnedEstimator, 'drainSamples'>) {
    this.#estimator = estimator
  }

  get all(): readonly TrainingRow[] {
    return this.#rows
  }

  /** Takes what the estimator made since the last call, and returns it. */
  gather(): readonly TrainingRow[] {
    const made = this.#estimator.drainSamples()
    this.#rows.push(...made)
    // In one step now and then, since shifting costs as much as the array is long.
    if (this.#rows.length > KEPT_ROWS * 1.25) this.#rows.splice(0, this.#rows.length - KEPT_ROWS)
    return made
  }
}
