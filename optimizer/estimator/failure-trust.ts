/**
 * Whether to believe a model's corrections of failure probabilities (`correction-trust.ts`): by the log score of whether attempts failed. Each
 * model begins anew, and a correction is bounded, whatever the model says.
 */
import { bounded, CorrectionTrust } from './correction-trust.ts'

/** The largest correction either way, of the logit: odds twenty times as large. */
export const LARGEST_ODDS = Math.log(20)
/**
 * Bayes' rule, so odds that are twenty times too large lose all say where attempts succeed, within tens of them; right ones earn it as fast as
 * failures come. A loss is bounded by the correction, and never clipped.
 */
const RATE = 1

/** What one model has earned. */
export class FailureTrust {
  readonly #trust = new CorrectionTrust(RATE, LARGEST_ODDS)

  /** The probability that the statistics expect, in [0, 1], as far corrected by the model's logit as it is believed. */
  corrected(tenant: string, expected: number, logit: number): number {
    return moved(expected, this.#trust.weightOf(tenant) * bounded(logit, LARGEST_ODDS))
  }

  /** An attempt failed or did not, when the statistics had `expected` this and the model had corrected it by `logit`. */
  observe(tenant: string, expected: number, logit: number, failed: boolean): void {
    const score = (probability: number): number => Math.log(failed ? probability : 1 - probability)
    this.#trust.observe(tenant, score(expected), score(moved(expected, bounded(logit, LARGEST_ODDS))))
  }
}

function moved(probability: number, by: number): number {
  if (probability <= 0 || probability >= 1) return probability
  return 1 / (1 + Math.exp(-Math.log(probability / (1 - probability)) - by))
}
