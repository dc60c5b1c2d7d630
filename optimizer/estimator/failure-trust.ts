/**
 * Whether to believe a model's corrections of failure probabilities. As with memory (`memory-trust.ts`), models are judged by run times alone, so
 * these have to earn their weight: Hedge over the probability of the class statistics and the same as corrected, by the log score of
 * whether attempts failed, by tenant; each model begins anew, and a correction is bounded, whatever the model says.
 */
import { Hedge } from './hedge.ts'

/** The largest correction either way, of the logit: odds twenty times as large. */
export const LARGEST_ODDS = Math.log(20)
const CORRECTED = 1

/**
 * One in fifty at first. Bayes' rule, so odds that are twenty times too large lose all say where attempts succeed, within tens of them; right
 * ones earn it as fast as failures come. A loss is bounded by the correction, and never clipped.
 */
const OPTIONS = {
  priors: [0.98, 0.02],
  rate: 1,
  fade: 0.995,
  fadeAll: 0.999,
  priorOutcomes: 0,
  clip: LARGEST_ODDS
}

/** What one model has earned. */
export class FailureTrust {
  readonly #hedge = new Hedge<string>(OPTIONS)
  readonly #weights = new Float64Array(OPTIONS.priors.length)
  readonly #scores = new Float64Array(OPTIONS.priors.length)

  /** The probability that the statistics expect, in [0, 1], as far corrected by the model's logit as it is believed. */
  corrected(tenant: string, expected: number, logit: number): number {
    this.#hedge.weigh(tenant, this.#weights, all)
    return moved(expected, (this.#weights[CORRECTED] ?? 0) * bounded(logit))
  }

  /** An attempt failed or did not, when the statistics had `expected` this and the model had corrected it by `logit`. */
  observe(tenant: string, expected: number, logit: number, failed: boolean): void {
    const score = (probability: number): number => Math.log(failed ? probability : 1 - probability)
    this.#scores[0] = score(expected)
    this.#scores[CORRECTED] = score(moved(expected, bounded(logit)))
    // What was held for impossible tells nobody apart.
    if (this.#scores.every(Number.isFinite)) this.#hedge.observe(tenant, this.#scores)
  }
}

function moved(probability: number, by: number): number {
  if (probability <= 0 || probability >= 1) return probability
  return 1 / (1 + Math.exp(-Math.log(probability / (1 - probability)) - by))
}

/** What is not a number corrects nothing. */
function bounded(logit: number): number {
  return Number.isNaN(logit) ? 0 : Math.max(-LARGEST_ODDS, Math.min(LARGEST_ODDS, logit))
}

function all(): boolean {
  return true
}
