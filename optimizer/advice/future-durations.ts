/**
 * Run times for one possible future of all tasks of a forecast.
 *
 * What is not known of a class is not known of any of its tasks: if one of a new class takes an hour, so do its siblings. Drawn
 * independently, the errors of a queue of them would cancel out, and its end would seem certain. So each future draws one value for
 * each class and one for each task, and joins them by a Gaussian copula: a task's own distribution stays as it was predicted.
 *
 * The part that a class shares is the posterior variance of its mean over the predictive variance, of a normal model on
 * ln(run time): 1 ÷ (1 + λ + n) after n attempts, λ being the variance within classes over that between them.
 */
import type { Rng } from '../../base/prng.ts'
import { drawMs, drawRemainingMs } from './durations.ts'
import type { Problem } from './problem.ts'

/** Classes differ more from each other than their tasks do among themselves: half the variance within, on logs of real clusters. */
const WITHIN_OVER_BETWEEN = 0.5
/** Below it the tasks of a class are as good as independent. */
const LEAST_SHARE = 0.01
/** Attempts of one task that a future knows, however often it may be tried. */
const MOST_ATTEMPTS = 3

/** The share of a class's uncertainty, in [0, 1), that its tasks have in common when so many attempts have been seen. */
export function sharedPart(attempts: number): number {
  const share = 1 / (1 + WITHIN_OVER_BETWEEN + attempts)
  return share < LEAST_SHARE ? 0 : share
}

/** A run time for each task; failed attempts are repeated within it. For one that runs, what is left. */
export function drawDurations(problem: Problem, rng: Rng, into: Float64Array): void {
  const { tables, tableOf, failure, shared } = problem
  const classes = Float64Array.from(shared, (share) => (share === 0 ? 0 : Math.sqrt(share) * normal(rng)))
  const chance = (number: number): number => {
    const share = shared[number] ?? 0
    if (share === 0) return rng.nextFloat()
    return probabilityBelow((classes[number] ?? 0) + Math.sqrt(1 - share) * normal(rng))
  }
  const one = new Float64Array(1)
  for (let index = 0; index < into.length; index++) {
    const number = tableOf[index] ?? 0
    const table = tables[number] ?? one
    let total = drawMs(table, chance(number))
    for (let attempt = 1; attempt < MOST_ATTEMPTS && rng.nextFloat() < (failure[number] ?? 0); attempt++) {
      total += drawMs(table, chance(number))
    }
    into[index] = total
  }
  for (const { index, elapsedMs, node } of problem.running) {
    const number = tableOf[index] ?? 0
    const factor = problem.factors[number]?.[node] ?? 1
    into[index] = drawRemainingMs(tables[number] ?? one, elapsedMs / factor, chance(number)) * factor
  }
}

/** A standard normal value (Box & Muller, 1958). */
function normal(rng: Rng): number {
  return Math.sqrt(-2 * Math.log(1 - rng.nextFloat())) * Math.cos(2 * Math.PI * rng.nextFloat())
}

/** The standard normal distribution function, in (0, 1) (Abramowitz & Stegun 7.1.26; error below 1e-7). */
function probabilityBelow(z: number): number {
  const x = Math.abs(z) / Math.SQRT2
  const t = 1 / (1 + 0.3275911 * x)
  const polynomial =
    ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t
  const above = Math.max(1e-9, (polynomial * Math.exp(-x * x)) / 2)
  return z > 0 ? 1 - above : above
}
