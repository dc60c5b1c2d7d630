/**
 * Whose median to believe. A mixture that foresees distributions better than plain class statistics may still have the worse median:
 * where runs are either short or long, a little weight here or there moves it far. So medians compete on their own errors.
 *
 * 1. Three medians compete: that of the class statistics, of the mixture without the network, and of the whole mixture. What is predicted is
 *    their weighted mean, in ln t.
 * 2. What was asked while a task waits and what is asked as it begins are two questions with two records: the first is answered with older
 *    knowledge, and who is best at one may be worst at the other.
 */
import { Hedge } from './hedge.ts'

/** The moments at which predictions are asked for: while the task waits, and for the node on which it begins. */
export const MOMENTS = ['waiting', 'beginning'] as const
export type Moment = 0 | 1
export const WAITING: Moment = 0
export const BEGINNING: Moment = 1

export const MEDIANS = ['chain', 'without-network', 'whole'] as const
export const CHAIN_MEDIAN = 0
export const WITHOUT_NETWORK = 1
export const WHOLE = 2

/**
 * Nearly all of it is decided by the last thousand outcomes of all tenants: errors of medians are so wild that fifty of one tenant's say
 * nothing. Losses are not clipped where errors are: whoever is rarely but badly wrong would seem the best.
 */
const OPTIONS = { priors: [0.02, 0.02, 0.96], rate: 1, fade: 0.8, priorOutcomes: 1000, clip: 12 }

export class MedianTrust {
  readonly #hedges = MOMENTS.map(() => new Hedge<string>(OPTIONS))
  readonly #weights = new Float64Array(MEDIANS.length)
  readonly #scores = new Float64Array(MEDIANS.length)

  /** The median to predict for the tenant, as ln t. `medians` in the order of `MEDIANS`. */
  centreLn(moment: Moment, tenant: string, medians: Float64Array): number {
    const weights = this.#weights
    this.#hedges[moment]?.weigh(tenant, weights, all)
    let sum = 0
    for (let index = 0; index < MEDIANS.length; index++) sum += (weights[index] ?? 0) * (medians[index] ?? 0)
    return sum
  }

  /** A run took ln t after these medians had been predicted for it at the moment. */
  observe(moment: Moment, tenant: string, medians: Float64Array, ln: number): void {
    const scores = this.#scores
    for (let index = 0; index < MEDIANS.length; index++) {
      scores[index] = -Math.abs(ln - (medians[index] ?? 0))
    }
    this.#hedges[moment]?.observe(tenant, scores)
  }
}

function all(): boolean {
  return true
}
