/**
 * What to expect of a tenant of whom nothing is known yet: what tasks of the same name took for others. An estimator's classes
 * begin with the tenant, because on logs that says most; the first tasks of a new one would otherwise be taken for typical.
 *
 * 1. Bursts count, not tasks: one person's five hundred alike tasks are one opinion.
 * 2. The estimator's own opinion stays in: both are weighed by how much they vary (inverse variances), so that somebody whom
 *    only the estimator remembers, as after a change of leader, is not taken for new.
 * 3. Tenants and names are bounded in number; the longest known are forgotten first.
 */
import { dropOldest } from '../../../base/oldest.ts'

/** Mean and variance of ln(ms), and ln(mean of ms) beyond the first. */
export interface LnBelief {
  readonly ln: number
  readonly variance: number
  /** ≥ 0. */
  readonly skew: number
}

/** How much is remembered of a name from one burst to the next. */
const DECAY = 0.95
/** Variance of a name before much was seen, and how many bursts that counts for. */
const VARIANCE_GUESS = 2
const GUESS_WEIGHT = 1
/** Of two opinions together. */
const SKEW = 1
const TENANTS = 4096
const NAMES = 4096

interface NameRecord {
  sum: number
  squares: number
  weight: number
}

export class Newcomers {
  readonly #known = new Set<string>()
  readonly #names = new Map<string, NameRecord>()

  /** The first completion of a burst. */
  learn(tenant: string, name: string, ln: number): void {
    if (this.#known.size >= TENANTS && !this.#known.has(tenant)) dropOldest(this.#known)
    this.#known.add(tenant)
    let record = this.#names.get(name)
    if (record === undefined) {
      if (this.#names.size >= NAMES) dropOldest(this.#names)
      record = { sum: 0, squares: 0, weight: 0 }
      this.#names.set(name, record)
    }
    record.sum = record.sum * DECAY + ln
    record.squares = record.squares * DECAY + ln * ln
    record.weight = record.weight * DECAY + 1
  }

  /** The estimator's opinion, with what others' tasks of the name took if the tenant is new. A known run time stays known. */
  expect(tenant: string, name: string, opinion: LnBelief): LnBelief {
    if (opinion.variance === 0 || this.#known.has(tenant)) return opinion
    const record = this.#names.get(name)
    if (record === undefined) return opinion
    const { sum, squares, weight } = record
    const mean = sum / weight
    const spread = Math.max(0, squares - (sum * sum) / weight)
    const variance = (spread + GUESS_WEIGHT * VARIANCE_GUESS) / (weight + GUESS_WEIGHT)
    const ofName = 1 / variance
    const ofEstimator = 1 / opinion.variance
    const both = ofName + ofEstimator
    // Neither is independent of the other: two opinions do not make either surer.
    return { ln: (ofName * mean + ofEstimator * opinion.ln) / both, variance: 2 / both, skew: SKEW }
  }
}
