/**
 * How often what is said of run times holds far above the median, by tenant, and how wide it is: a p99 that always holds may be one that
 * nobody can use.
 *
 * 1. Judged is what the estimator said of a class after its last end, as it would have been told to a user then. Nothing is said of
 *    the first run of a class.
 * 2. Bounded: shares are over about the last `MEMORY` of a tenant, the classes that were longest not heard of are forgotten, and tenants beyond
 *    the bound are not judged. Once much has been heard only every `STRIDE`-th end is looked at, and "last" is of those.
 */
import { dropOldest } from '../../base/oldest.ts'
import type { NodeView, AttemptFeedback } from '../../scheduler/policy.ts'
import type { ClassKey, Estimator } from '../estimate.ts'
import { hasRun } from '../estimator/failures.ts'

/** The levels that are judged. */
const JUDGED_LEVELS = [0.95, 0.99] as const
const MEMORY = 2_000
/** A look costs some 60 µs, 130 with a network: few where thousands of attempts end a second. A prime, as submissions repeat. */
const HEARD_WHOLE = 500
const STRIDE = 17
const MOST_CLASSES = 4_096
const MOST_TENANTS = 256

/** What was said of a class, on a typical node. */
interface Said {
  readonly medianMs: number
  /** At `JUDGED_LEVELS`. */
  readonly quantilesMs: readonly number[]
}

export interface PromiseRecord {
  readonly count: number
  /** Shares of run times at or below the predicted p95 and p99. */
  readonly held95: number
  readonly held99: number
  /** Geometric mean of the predicted p99 ÷ median. */
  readonly spread99: number
}

interface Tally {
  count: number
  readonly held: number[]
  spreadLn: number
}

export class PromiseBook {
  readonly #estimator: Estimator
  readonly #said = new Map<ClassKey, Said>()
  readonly #tenants = new Map<string, Tally>()
  readonly #all = fresh()
  #heard = 0

  constructor(estimator: Estimator) {
    this.#estimator = estimator
  }

  /** Over all tenants; undefined before anything was judged. */
  get all(): PromiseRecord | undefined {
    return recordOf(this.#all)
  }

  of(tenant: string): PromiseRecord | undefined {
    const tally = this.#tenants.get(tenant)
    return tally === undefined ? undefined : recordOf(tally)
  }

  /** An attempt is over, on `node` if it is still known; the estimator knows of it already. */
  observe({ task, end, runMs }: AttemptFeedback, node: NodeView | undefined): void {
    if (!hasRun(end)) return
    if (++this.#heard > HEARD_WHOLE && this.#heard % STRIDE !== 0) return
    const key = this.#estimator.classOf(task)
    const said = this.#said.get(key)
    const onNode = node === undefined ? undefined : this.#estimator.predict(task, node).medianMs
    const typical = this.#estimator.predict(task)
    const { medianMs } = typical
    if (said !== undefined) this.#judge(task.tenant, said, (runMs * medianMs) / (onNode ?? medianMs))
    this.#said.delete(key)
    this.#said.set(key, { medianMs, quantilesMs: JUDGED_LEVELS.map((q) => typical.quantileMs(q)) })
    if (this.#said.size > MOST_CLASSES) dropOldest(this.#said)
  }

  #judge(tenant: string, said: Said, runMs: number): void {
    judge(this.#all, said, runMs)
    let tally = this.#tenants.get(tenant)
    if (tally === undefined) {
      if (this.#tenants.size >= MOST_TENANTS) return
      tally = fresh()
      this.#tenants.set(tenant, tally)
    }
    judge(tally, said, runMs)
  }
}

function judge(tally: Tally, { medianMs, quantilesMs }: Said, runMs: number): void {
  tally.count++
  const step = 1 / Math.min(tally.count, MEMORY)
  quantilesMs.forEach((ms, at) => {
    const held = tally.held[at] ?? 0
    tally.held[at] = held + step * ((runMs <= ms ? 1 : 0) - held)
  })
  tally.spreadLn += step * (Math.log((quantilesMs.at(-1) ?? medianMs) / medianMs) - tally.spreadLn)
}

function fresh(): Tally {
  return { count: 0, held: JUDGED_LEVELS.map(() => 0), spreadLn: 0 }
}

function recordOf({ count, held: [held95 = 0, held99 = 0], spreadLn }: Tally): PromiseRecord | undefined {
  return count === 0 ? undefined : { count, held95, held99, spread99: Math.exp(spreadLn) }
}
