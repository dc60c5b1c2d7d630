/**
 * Run times for the possible futures of all tasks of a forecast.
 *
 * 1. What is not known of a class is not known of any of its tasks: if one of a new class takes an hour, so do its siblings. Drawn
 *    independently, the errors of a queue of them would cancel out, and its end would seem certain. So each future draws one value
 *    for each class and one for each task, and joins them by a Gaussian copula: a task's own distribution stays as predicted.
 * 2. The part that a class shares is the posterior variance of its mean over the predictive variance, of a normal model on
 *    ln(run time): 1 ÷ (1 + λ + n) after n attempts, λ being the variance within classes over that between them.
 * 3. Each future stretches the tails of all classes alike, less where more has been seen: what is not known of tails does not cancel out
 *    either.
 * 4. No attempt outlives its timeout, on whatever node, and no task has more attempts than it may.
 * 5. Over all futures each value is drawn from equal parts of its distribution in turn (Latin hypercube; McKay, Beckman & Conover,
 *    1979): with a few dozen futures of wide distributions, chance alone would move a forecast by half.
 */
import type { Rng } from '../../base/prng.ts'
import { drawMs, drawRemainingMs } from './durations.ts'
import { normalProbability, normalQuantile } from './normal.ts'
import type { RunTimes } from './list-schedule.ts'
import type { Problem, RunningAttempt } from './problem.ts'

/** Classes differ more from each other than their tasks do among themselves; coverage is good from 0.1 to 4. */
const WITHIN_OVER_BETWEEN = 0.5
/** Below it the tasks of a class are as good as independent. */
const LEAST_SHARE = 0.01
/**
 * Standard deviation of the ln of what tails are stretched by, for classes of up to so many attempts: less does not hold p90 where tails are
 * long (`durations.ts`).
 */
const TAIL_DOUBT = 0.35
const DOUBTED_UP_TO = 50
/** Attempts of one task that a future knows, however often it may be tried. */
const MOST_ATTEMPTS = 3
/** The chance that a task takes more attempts than `latest` counts. */
const UNLIKELY = 0.1

export class FutureDurations {
  readonly #problem: Problem
  readonly #rng: Rng
  readonly #ofTask: Strata
  readonly #ofClass: Strata
  readonly #ofTails: Strata
  /** By table; 0 where a task is alone in its class. */
  readonly #shared: Float64Array
  /** By table, the standard deviation of the ln of what its tail is stretched by. */
  readonly #doubt: Float64Array
  #draw = -1
  #classes = new Float64Array(0)

  /** For `draws` futures. */
  constructor(problem: Problem, draws: number, rng: Rng) {
    this.#problem = problem
    this.#rng = rng
    this.#ofTask = new Strata(problem.tableOf.length, draws, rng)
    this.#ofClass = new Strata(problem.tables.length, draws, rng)
    this.#ofTails = new Strata(1, draws, rng)
    this.#doubt = problem.seen.map((seen) => TAIL_DOUBT * Math.min(1, Math.sqrt(DOUBTED_UP_TO / seen)))
    const sizes = new Int32Array(problem.tables.length)
    for (const number of problem.tableOf) sizes[number] = (sizes[number] ?? 0) + 1
    this.#shared = problem.seen.map((seen, number) => ((sizes[number] ?? 0) > 1 ? sharedPart(seen) : 0))
  }

  /** The next future: a run time for each task; failed attempts are repeated within it. For one that runs, what is left. */
  next({ durationMs, mostMs }: RunTimes): void {
    const { tables, tableOf, failure, running, factors, limitMs, attemptsLeft } = this.#problem
    this.#draw++
    this.#classes = this.#shared.map((share, number) =>
      share === 0 ? 0 : Math.sqrt(share) * normalQuantile(this.#ofClass.at(number, this.#draw))
    )
    const tails = normalQuantile(this.#ofTails.at(0, this.#draw))
    const stretches = this.#doubt.map((doubt) => Math.exp(doubt * tails))
    const one = new Float64Array(1)
    for (let index = 0; index < durationMs.length; index++) {
      const number = tableOf[index] ?? 0
      const table = tables[number] ?? one
      const stretch = stretches[number]
      const most = limitMs[number] ?? Infinity
      let total = Math.min(most, drawMs(table, this.#chance(index, number), stretch))
      const allowed = Math.min(MOST_ATTEMPTS, attemptsLeft[index] ?? 1)
      let attempts = 1
      for (; attempts < allowed && this.#rng.nextFloat() < (failure[number] ?? 0); attempts++)
        total += Math.min(most, drawMs(table, this.#joined(number, this.#rng.nextFloat()), stretch))
      durationMs[index] = total
      mostMs[index] = attempts * most
    }
    for (const attempt of running) {
      const { index, elapsedMs, node } = attempt
      const number = tableOf[index] ?? 0
      const factor = factors[number]?.[node] ?? 1
      const chance = this.#chance(index, number)
      const left = drawRemainingMs(tables[number] ?? one, elapsedMs / factor, chance, stretches[number])
      mostMs[index] = this.#mostLeftMs(attempt)
      durationMs[index] = Math.min(left * factor, mostMs[index] ?? Infinity)
    }
  }

  /** The future in which all attempts take what their timeouts allow, of tasks that take as many as nine in ten do at most. */
  latest({ durationMs, mostMs }: RunTimes): void {
    const { tableOf, failure, running, limitMs, attemptsLeft } = this.#problem
    mostMs.forEach((_, index) => {
      const number = tableOf[index] ?? 0
      const allowed = Math.min(MOST_ATTEMPTS, attemptsLeft[index] ?? 1)
      let attempts = 1
      while (attempts < allowed && (failure[number] ?? 0) ** attempts > UNLIKELY) attempts++
      mostMs[index] = attempts * (limitMs[number] ?? Infinity)
    })
    for (const attempt of running) mostMs[attempt.index] = this.#mostLeftMs(attempt)
    durationMs.set(mostMs)
  }

  #mostLeftMs({ index, elapsedMs, leftMs }: RunningAttempt): number {
    const { tableOf, limitMs } = this.#problem
    return Math.max(1, Math.min(leftMs, (limitMs[tableOf[index] ?? 0] ?? Infinity) - elapsedMs))
  }

  #chance(index: number, number: number): number {
    return this.#joined(number, this.#ofTask.at(index, this.#draw))
  }

  /** Where in its distribution a task lies, given where its class does; `own` is uniform in (0, 1). */
  #joined(number: number, own: number): number {
    const share = this.#shared[number] ?? 0
    if (share === 0) return own
    return normalProbability((this.#classes[number] ?? 0) + Math.sqrt(1 - share) * normalQuantile(own))
  }
}

/** The share of a class's uncertainty, in [0, 1), that its tasks have in common when so many attempts have been seen. */
function sharedPart(attempts: number): number {
  const share = 1 / (1 + WITHIN_OVER_BETWEEN + attempts)
  return share < LEAST_SHARE ? 0 : share
}

/** Uniform values for many things over some futures: each thing meets each of as many equal parts once, in an order of its own. */
class Strata {
  readonly #draws: number
  readonly #rng: Rng
  readonly #step: Uint8Array
  readonly #from: Uint8Array

  /** `draws` up to 255. */
  constructor(count: number, draws: number, rng: Rng) {
    this.#draws = draws
    this.#rng = rng
    const steps = Array.from({ length: draws }, (_, step) => step).filter((step) => coprime(step, draws))
    this.#step = Uint8Array.from({ length: count }, () => steps[rng.nextInt(steps.length)] ?? 1)
    this.#from = Uint8Array.from({ length: count }, () => rng.nextInt(draws))
  }

  at(thing: number, draw: number): number {
    const part = ((this.#step[thing] ?? 1) * draw + (this.#from[thing] ?? 0)) % this.#draws
    return (part + this.#rng.nextFloat()) / this.#draws
  }
}

function coprime(a: number, b: number): boolean {
  return b === 0 ? a === 1 : coprime(b, a % b)
}
