/**
 * Keeps promised quantiles honest (Gibbs & Candès, "Adaptive Conformal Inference Under Distribution Shift", 2021): the level that is asked
 * of the distribution moves a little after each outcome, up when the outcome was above, down when below, so that in the long run the
 * share of outcomes above is what was promised, whatever the outcomes are.
 *
 * 1. One track per tenant; a tenant with few outcomes uses the track of all.
 * 2. An attempt counts as above as soon as it has outlived its quantile, not only when it ends: otherwise long runs would be heard of last, and
 *    the levels would follow the short ones.
 * 3. Levels are kept as logits: steps matter alike at .9 and .99.
 */
import type { TaskId } from '../../base/ids.ts'
import { EventHeap } from '../sim/event-heap.ts'

/** The quantiles that are kept honest. Those between and beyond are read off them; below the median nothing changes. */
const PROMISED = [0.9, 0.99] as const
const MEDIAN = 0.5
/** Outcomes before a tenant has a track of its own that counts. */
const OWN_AFTER = 100
const LARGEST_LOGIT = 9
const MOST_TENANTS = 4096
/** Outcomes over which coverage is averaged. */
const COVERAGE_MEMORY = 2000

interface Track {
  readonly logits: number[]
  outcomes: number
}

interface Attempt {
  readonly tenant: string
  readonly since: number
  /** The promised quantiles when it began, in milliseconds. */
  readonly quantilesMs: readonly number[]
  /** The first promise that is still open. */
  open: number
}

export class Conformal {
  readonly #all = fresh()
  readonly #tenants = new Map<string, Track>()
  readonly #attempts = new Map<TaskId, Attempt>()
  readonly #due = new EventHeap<Attempt>()
  readonly #coverage = PROMISED.map(() => ({ share: 0, outcomes: 0 }))
  readonly #step: number

  /** `step` per outcome, on the logit of the level: small enough for bursts of like outcomes. */
  constructor(step: number = 0.01) {
    this.#step = step
  }

  /** The level to ask of the distribution when `q` is promised, and `centre` for the median. Rises with `q`. */
  level(tenant: string, q: number, centre: number = MEDIAN): number {
    if (q <= MEDIAN) return (q / MEDIAN) * centre
    const own = this.#tenants.get(tenant)
    const { logits } = own !== undefined && own.outcomes >= OWN_AFTER ? own : this.#all
    const least = logit(centre)
    const low = Math.max(least, logits[0] ?? 0)
    const high = Math.max(low, logits[1] ?? 0)
    const wanted = logit(q)
    const [at90, at99] = PROMISED_LOGITS
    if (wanted <= at90) return Math.max(centre, levelOf(least + (wanted / at90) * (low - least)))
    if (wanted <= at99) return levelOf(low + ((wanted - at90) / (at99 - at90)) * (high - low))
    return levelOf(high + (wanted - at99))
  }

  /** An attempt began, of which these quantiles were promised. */
  begin(task: TaskId, tenant: string, now: number, p90Ms: number, p99Ms: number): void {
    if (this.#attempts.has(task)) return
    const quantilesMs = [p90Ms, p99Ms]
    const attempt: Attempt = { tenant, since: now, quantilesMs, open: 0 }
    this.#attempts.set(task, attempt)
    this.#due.push(now + (quantilesMs[0] ?? 0), attempt)
  }

  /** It is `now`: attempts that have outlived a quantile count as above it. */
  advance(now: number): void {
    while (this.#due.nextTime < now) {
      const attempt = this.#due.pop()
      if (attempt === undefined || attempt.open >= PROMISED.length) continue
      this.#learn(attempt.tenant, attempt.open, true)
      const next = attempt.quantilesMs[++attempt.open]
      if (next !== undefined) this.#due.push(attempt.since + next, attempt)
    }
  }

  /** The task's attempt has ended after `runMs`. A censored one leaves its open promises undecided. */
  end(task: TaskId, runMs: number, censored: boolean): void {
    const attempt = this.#attempts.get(task)
    if (attempt === undefined) return
    this.#attempts.delete(task)
    while (!censored && attempt.open < PROMISED.length) {
      this.#learn(attempt.tenant, attempt.open, runMs > (attempt.quantilesMs[attempt.open] ?? 0))
      attempt.open++
    }
    attempt.open = PROMISED.length
  }

  /** The share of late outcomes at or below the promised p90 (0) or p99 (1). */
  coverage(promise: 0 | 1): number {
    return this.#coverage[promise]?.share ?? 0
  }

  #learn(tenant: string, promise: number, above: boolean): void {
    const coverage = this.#coverage[promise]
    if (coverage !== undefined) {
      coverage.outcomes++
      coverage.share += ((above ? 0 : 1) - coverage.share) / Math.min(coverage.outcomes, COVERAGE_MEMORY)
    }
    let own = this.#tenants.get(tenant)
    if (own === undefined) {
      // A new tenant starts where all are.
      own = { logits: [...this.#all.logits], outcomes: 0 }
      this.#tenants.set(tenant, own)
      if (this.#tenants.size > MOST_TENANTS) {
        for (const oldest of this.#tenants.keys()) {
          this.#tenants.delete(oldest)
          break
        }
      }
    }
    learn(this.#all, promise, above, this.#step)
    learn(own, promise, above, this.#step)
  }
}

function learn(track: Track, promise: number, above: boolean, size: number): void {
  track.outcomes++
  const promised = PROMISED[promise] ?? 0.9
  const step = (size * ((above ? 1 : 0) - (1 - promised))) / Math.sqrt(promised * (1 - promised))
  track.logits[promise] = Math.max(0, Math.min(LARGEST_LOGIT, (track.logits[promise] ?? 0) + step))
  // The higher promise never asks for less.
  track.logits[1] = Math.max(track.logits[0] ?? 0, track.logits[1] ?? 0)
}

function fresh(): Track {
  return { logits: [...PROMISED_LOGITS], outcomes: 0 }
}

function logit(q: number): number {
  return Math.log(q / (1 - q))
}

function levelOf(at: number): number {
  return 1 / (1 + Math.exp(-at))
}

const PROMISED_LOGITS = [logit(0.9), logit(0.99)] as const
