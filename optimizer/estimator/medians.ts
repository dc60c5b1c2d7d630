/**
 * Whose median to believe. A mixture that foresees distributions better than plain class statistics may still have the worse median:
 * where runs are either short or long, a little weight here or there moves it far. So medians compete on their own errors.
 *
 * 1. The medians of the class statistics and of the mixture compete. What is predicted is their weighted mean, in ln t.
 * 2. Both what was asked while a task waited and what was asked as it began are scored: the first with older knowledge.
 * 3. Where a network takes part, the mixture's median stands: on four logs it was better than that of the statistics throughout, and a mean with it
 *    was worse than both. What protects there is Hedge on whole distributions.
 */
import { Hedge } from './hedge.ts'

export const MEDIANS = ['statistics', 'mixture'] as const
export const OF_STATISTICS = 0
export const OF_MIXTURE = 1

/**
 * Nearly all of it is decided by the last five thousand outcomes of all tenants: errors of medians are so wild that fifty of one tenant's say
 * nothing, and worse, come in batches. Losses are not clipped where errors are: whoever is rarely but badly wrong would seem the best.
 */
const OPTIONS = {
  priors: [0.03, 0.97],
  rate: 1,
  fade: 0.8,
  fadeAll: 0.9998,
  priorOutcomes: 300,
  clip: 12
}

export class MedianTrust {
  readonly #hedge = new Hedge<string>(OPTIONS)
  readonly #weights = new Float64Array(MEDIANS.length)
  readonly #scores = new Float64Array(MEDIANS.length)

  /** The median to predict for the tenant, as ln t. `medians` in the order of `MEDIANS`. */
  centreLn(tenant: string, medians: Float64Array): number {
    const weights = this.#weights
    this.#hedge.weigh(tenant, weights, all)
    let sum = 0
    for (let index = 0; index < MEDIANS.length; index++) sum += (weights[index] ?? 0) * (medians[index] ?? 0)
    return sum
  }

  /** A run took ln t after these medians had been predicted for it. */
  observe(tenant: string, medians: Float64Array, ln: number): void {
    const scores = this.#scores
    for (let index = 0; index < MEDIANS.length; index++) {
      scores[index] = -Math.abs(ln - (medians[index] ?? 0))
    }
    this.#hedge.observe(tenant, scores)
  }
}

function all(): boolean {
  return true
}
