/**
 * Bursts: tasks of one class submitted shortly after each other are mostly one experiment of one person, and far more alike
 * than the class is. On the logs at hand the variance of ln(run time) within bursts is a quarter to a half of that within
 * classes (user, queue, width), but who submits has changed something since the last burst. So each burst has a mean of its own:
 *
 *     ln t = class + burst + noise,   class + burst ~ N(prior mean, prior variance − noise),   noise ~ N(0, noise)
 *
 * The prior is the estimator's prediction (for a tenant's first burst see `newcomers.ts`), read until the burst's first completion and kept
 * from then on, because later the class has learned from this very burst. The noise is learned, per tenant shrunk to all. (Random
 * effects: Gelman et al., "Bayesian Data Analysis", 3rd ed., ch. 5.)
 *
 * 1. Attempts that run are evidence: one that has outlived the expectation counts as a completion at its expected end given
 *    its age (EM's imputation for censored data: Dempster, Laird & Rubin 1977, §4.3).
 * 2. A prediction without spread is taken at its word: the truth stays the truth.
 * 3. The burst of a task is decided once, when it becomes ready. Bursts with nothing waiting or running are kept while they are
 *    their class's latest, a bounded number of them.
 */
import type { TaskId } from '../../../base/ids.ts'
import type { TaskView } from '../../../scheduler/policy.ts'
import type { ClassKey, Prediction } from '../../estimate.ts'
import { Newcomers } from './newcomers.ts'
import type { LnBelief } from './newcomers.ts'

/** What is known of a burst's run times: ln(ms). */
export interface BurstEstimate {
  /** Mean of ln(run time). */
  readonly ln: number
  /** Standard deviation of that mean; 0 when it is known. */
  readonly lnError: number
  /** Mean run time in milliseconds, under the limit. */
  readonly meanMs: number
}

/** Tasks of one class and priority, submitted one after another. */
export interface Burst {
  readonly id: number
  readonly classKey: ClassKey
  readonly tenant: string
  readonly name: string
  readonly priority: number
  /** Caps run times, in milliseconds; Infinity for none. */
  readonly limitMs: number
  /** Cluster-slots that one task takes; the policy's measure of width. */
  readonly width: number
  /** Under this key it is its class's latest. */
  readonly key: string
  waiting: number
  /** Start times by task, oldest first. */
  readonly running: Map<TaskId, number>
  completions: number
  /** Mean of ln(ms) of the latest completions. */
  meanLn: number
  priorLn: number
  priorVariance: number
  /** How far the mean lies above the middle, by the prior, in ln. A log-normal mean is e^(variance ÷ 2) medians: with little known, never seen. */
  priorSkew: number
  /** Whether the estimator's opinion has changed since the prior was read. */
  stale: boolean
  /** The task of it that the estimator was asked about last. */
  askedAbout: TaskId | undefined
  /** When the burst is next worth looking at because of those that run; Infinity for never. */
  dueAt: number
  lastSubmittedAt: number
}

/** A longer pause between submissions begins a new burst. Anything from one minute to one hour does as well within luck. */
const GAP_MS = 300_000
/** Completions that count at most: a burst may drift. */
const MEMORY = 10
/** Running siblings that are looked at: the oldest say most. */
const SIBLINGS = 10
/** Run times below this are alike. */
const SHORTEST_MS = 1
/** Noise before anything was seen, and how many observations that counts for. */
const NOISE_GUESS = 0.8
const NOISE_GUESS_WEIGHT = 4
const NOISE_DECAY = 0.99
const TENANT_PRIOR_WEIGHT = 5
const LEAST_NOISE = 0.05
/** The estimator's mean is at most so many times the middle of its prediction, in ln: what lies beyond is made of tails that nobody knows. */
const MOST_SKEW = 2
/** Even a class whose spread is all noise may have bursts of its own. */
const LEAST_BURST_VARIANCE = 0.3
/** Tenants whose noise is remembered, and empty bursts that may go on. */
const TENANTS = 4096
const IDLE_BURSTS = 4096
/** Standard normal quantiles' mean square at the five levels at which the prior is read. */
const LEVELS = [0.1, 0.3, 0.5, 0.7, 0.9] as const
const LEVELS_MEAN_SQUARE = 0.767

interface Noise {
  sum: number
  weight: number
}

export class Bursts {
  readonly #byId = new Map<number, Burst>()
  readonly #latest = new Map<string, Burst>()
  readonly #ofClass = new Map<ClassKey, Set<Burst>>()
  readonly #ofTask = new Map<TaskId, Burst>()
  /** Keys of latest bursts that are empty, the longest empty first. */
  readonly #idle = new Set<string>()
  readonly #noise: Noise = { sum: NOISE_GUESS * NOISE_GUESS_WEIGHT, weight: NOISE_GUESS_WEIGHT }
  readonly #noiseOfTenant = new Map<string, Noise>()
  readonly #newcomers = new Newcomers()
  #next = 1

  /** Forgets tasks, but not how much bursts vary. */
  clear(): void {
    this.#byId.clear()
    this.#latest.clear()
    this.#ofClass.clear()
    this.#ofTask.clear()
    this.#idle.clear()
  }

  get(id: number): Burst | undefined {
    return this.#byId.get(id)
  }

  /** The burst of a task that waits or runs. */
  of(id: TaskId): Burst | undefined {
    return this.#ofTask.get(id)
  }

  ofClass(key: ClassKey): Iterable<Burst> {
    return this.#ofClass.get(key) ?? []
  }

  /** A task became ready: assigns it to the class's present burst or a new one. */
  ready(task: TaskView, classKey: ClassKey, width: number): Burst {
    // A task that was placed in vain, or that runs again, goes on in its own burst if that is still known.
    const known = this.#ofTask.get(task.id)
    if (known !== undefined) {
      known.running.delete(task.id)
      known.waiting++
      return known
    }
    const key = `${task.priority}/${width}/${classKey}`
    const latest = this.#latest.get(key)
    const burst =
      latest !== undefined && task.submittedAt - latest.lastSubmittedAt <= GAP_MS
        ? latest
        : this.#begin(task, classKey, width, key)
    burst.lastSubmittedAt = Math.max(burst.lastSubmittedAt, task.submittedAt)
    burst.waiting++
    this.#idle.delete(burst.key)
    this.#ofTask.set(task.id, burst)
    return burst
  }

  /** A waiting task was withdrawn. */
  withdrawn(id: TaskId): void {
    const burst = this.#ofTask.get(id)
    if (burst === undefined) return
    this.#ofTask.delete(id)
    burst.waiting--
    this.#forgetIfDone(burst)
  }

  /** An attempt began. */
  started(id: TaskId, now: number): Burst | undefined {
    const burst = this.#ofTask.get(id)
    if (burst === undefined) return undefined
    burst.waiting--
    burst.running.set(id, now)
    return burst
  }

  /** An attempt is over; `runMs` when its run time says something, else undefined. Returns its burst. */
  ended(id: TaskId, runMs: number | undefined): Burst | undefined {
    const burst = this.#ofTask.get(id)
    if (burst?.running.delete(id) !== true) return undefined
    this.#ofTask.delete(id)
    if (runMs !== undefined) this.#learn(burst, Math.log(Math.max(SHORTEST_MS, runMs)))
    this.#forgetIfDone(burst)
    return burst
  }

  /** What is known of the burst now. `opinion` is the estimator's of its class, asked for only before the first completion. */
  estimate(burst: Burst, now: number, opinion: () => LnBelief): BurstEstimate {
    if (burst.stale) {
      const prior = this.#newcomers.expect(burst.tenant, burst.name, opinion())
      burst.priorLn = prior.ln
      burst.priorVariance = prior.variance
      burst.priorSkew = prior.skew
      burst.stale = false
    }
    const limitLn = Math.log(burst.limitMs)
    if (burst.priorVariance === 0) return known(Math.min(limitLn, burst.priorLn))
    const noise = this.#noiseOf(burst.tenant)
    const prior = noise / Math.max(LEAST_BURST_VARIANCE, burst.priorVariance - noise)
    const seen = Math.min(MEMORY, burst.completions)
    let weight = seen + prior
    let ln = (seen * burst.meanLn + prior * burst.priorLn) / weight
    const spread = Math.sqrt(noise + noise / weight)
    let sum = ln * weight
    let counted = 0
    for (const since of burst.running.values()) {
      if (++counted > SIBLINGS) break
      const excess = (Math.log(Math.max(SHORTEST_MS, now - since)) - ln) / spread
      if (excess <= 0) continue
      sum += ln + spread * normalHazard(excess)
      weight++
    }
    ln = sum / weight
    const error = noise / weight
    return {
      ln: Math.min(limitLn, ln),
      lnError: Math.sqrt(error),
      meanMs: Math.min(burst.limitMs, Math.exp(ln + Math.min(burst.priorSkew, (noise + error) / 2)))
    }
  }

  #begin(task: TaskView, classKey: ClassKey, width: number, key: string): Burst {
    const burst: Burst = {
      id: this.#next++,
      classKey,
      tenant: task.tenant,
      name: task.name,
      priority: task.priority,
      limitMs: task.limitMs > 0 ? task.limitMs : Infinity,
      width,
      key,
      waiting: 0,
      running: new Map(),
      completions: 0,
      meanLn: 0,
      priorLn: 0,
      priorVariance: 0,
      priorSkew: 0,
      stale: true,
      askedAbout: undefined,
      dueAt: Infinity,
      lastSubmittedAt: task.submittedAt
    }
    const before = this.#latest.get(key)
    this.#byId.set(burst.id, burst)
    this.#latest.set(key, burst)
    this.#idle.delete(key)
    if (before !== undefined) this.#forgetIfDone(before)
    const ofClass = this.#ofClass.get(classKey)
    if (ofClass === undefined) this.#ofClass.set(classKey, new Set([burst]))
    else ofClass.add(burst)
    return burst
  }

  #forgetIfDone(burst: Burst): void {
    if (burst.waiting > 0 || burst.running.size > 0) return
    if (this.#latest.get(burst.key) !== burst) {
      this.#forget(burst)
      return
    }
    this.#idle.add(burst.key)
    if (this.#idle.size <= IDLE_BURSTS) return
    for (const key of this.#idle) {
      const oldest = this.#latest.get(key)
      this.#latest.delete(key)
      this.#idle.delete(key)
      if (oldest !== undefined) this.#forget(oldest)
      return
    }
  }

  #forget(burst: Burst): void {
    this.#byId.delete(burst.id)
    const ofClass = this.#ofClass.get(burst.classKey)
    ofClass?.delete(burst)
    if (ofClass?.size === 0) this.#ofClass.delete(burst.classKey)
  }

  #learn(burst: Burst, ln: number): void {
    const seen = Math.min(MEMORY, burst.completions)
    const error = ln - burst.meanLn
    if (seen > 0) this.#learnNoise(burst.tenant, (error * error * seen) / (seen + 1))
    else this.#newcomers.learn(burst.tenant, burst.name, ln)
    burst.completions++
    burst.meanLn += error / Math.min(MEMORY, burst.completions)
  }

  #learnNoise(tenant: string, square: number): void {
    let own = this.#noiseOfTenant.get(tenant)
    if (own === undefined) {
      if (this.#noiseOfTenant.size >= TENANTS) this.#noiseOfTenant.clear()
      own = { sum: 0, weight: 0 }
      this.#noiseOfTenant.set(tenant, own)
    }
    for (const noise of [this.#noise, own]) {
      noise.sum = noise.sum * NOISE_DECAY + square
      noise.weight = noise.weight * NOISE_DECAY + 1
    }
  }

  #noiseOf(tenant: string): number {
    const all = this.#noise.sum / this.#noise.weight
    const own = this.#noiseOfTenant.get(tenant)
    const variance =
      own === undefined ? all : (own.sum + TENANT_PRIOR_WEIGHT * all) / (own.weight + TENANT_PRIOR_WEIGHT)
    return Math.max(LEAST_NOISE, variance)
  }
}

function known(ln: number): BurstEstimate {
  return { ln, lnError: 0, meanMs: Math.exp(ln) }
}

/** Mean and variance of ln(run time) by five quantiles, which is robust to what the tails are made of, and how far above is its mean. */
export function beliefOf(prediction: Prediction): LnBelief {
  let sum = 0
  let squares = 0
  for (const level of LEVELS) {
    const ln = Math.log(Math.max(SHORTEST_MS, prediction.quantileMs(level)))
    sum += ln
    squares += ln * ln
  }
  const ln = sum / LEVELS.length
  const variance = (squares / LEVELS.length - ln * ln) / LEVELS_MEAN_SQUARE
  const skew = Math.max(0, Math.min(MOST_SKEW, Math.log(prediction.meanMs) - ln))
  return { ln, variance: variance < 1e-9 ? 0 : variance, skew }
}

/**
 * φ(x) ÷ (1 − Φ(x)) for x ≥ 0: the mean of a standard normal variate given that it exceeds x. Rising, and larger than x; relative error
 * below 3e-4.
 */
export function normalHazard(x: number): number {
  // Zelen & Severo's approximation of the tail (Abramowitz & Stegun 26.2.17), whose density factor cancels.
  const t = 1 / (1 + 0.2316419 * x)
  const tail =
    t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))))
  // It is good to an absolute error, of which little is left of the tail from x = 4 on. Then Sampford's bound from below ("Some inequalities
  // on Mill's ratio and related functions", Ann. Math. Statist. 24, 1953) is closer, by ever more: x + 1/x − 2/x³ + O(x⁻⁵), as the truth.
  return Math.max(1 / tail, (3 * x + Math.sqrt(x * x + 8)) / 4)
}
