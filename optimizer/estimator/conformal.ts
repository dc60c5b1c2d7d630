/**
 * Keeps promised quantiles honest (Gibbs & Candès, "Adaptive Conformal Inference Under Distribution Shift", 2021): the level that is asked
 * of the distribution moves a little after each outcome, up when the outcome was above, down when below, so that in the long run the
 * share of outcomes above is what was promised, whatever the outcomes are.
 *
 * 1. A level is the sum of three corrections, on its logit, that learn side by side: of all, of classes that are known as well
 *    (`FAMILIARITIES`), and of the tenant. What is new is missed most, and a tenant about which little is known has the first two.
 * 2. An attempt counts as above as soon as it has outlived its quantile, not only when it ends: otherwise long runs would be heard of last, and
 *    the levels would follow the short ones.
 * 3. A promise that is made while many others are open is made blindly: its outcome moves a level in inverse proportion to their number
 *    (Zhang, Gupta, Lian & Liu, "Staleness-aware Async-SGD", 2016). So a burst of n tasks that all come out alike moves it by the
 *    order of ln n steps, and levels do not swing where outcomes come late. The weight is fixed as the promise is made: afterwards,
 *    open promises would depend on how long runs take.
 * 4. Distributions that a network has a part in have corrections of their own, which begin where those of the statistics stood: going
 *    back from a model finds the levels that were learned without it.
 */
import type { TaskId } from '../../base/ids.ts'
import { dropOldest } from '../../base/oldest.ts'
import { EventHeap } from '../sim/event-heap.ts'
import { levelOf, logit, LOGIT_90, LOGIT_99, MEDIAN, PROMISED } from './levels.ts'
import type { Levels } from './levels.ts'

/** Per outcome, on the logit of the level. */
const STEP = 0.01
/** So many open promises halve what an outcome counts for. */
const HALVED_BY = 30
/** Where corrections begin: mixtures are too sure of what they have not seen. Of all, of a tenant. */
const START_OF_ALL: readonly number[] = [0, 0]
const START_OF_TENANT: readonly number[] = [0.1, 1]
/** How far a correction goes either way, and a level: one in 22,000 is above. */
const LARGEST_CORRECTION = 9
const LARGEST_LOGIT = 10
const MOST_TENANTS = 4096
/** Promises that are followed at once; the oldest go first. Tasks that were withdrawn before they ran are among them. */
const MOST_PROMISES = 16_384
/** Outcomes over which coverage is averaged. */
const COVERAGE_MEMORY = 2000
/**
 * Least completions of a class at each familiarity, the first for tenants of whom nothing has ended, and where its correction begins: rounded
 * from what it came to on four logs of the Parallel Workloads Archive.
 */
const FAMILIARITIES = [
  { least: -1, start: [0.5, 3] },
  { least: 0, start: [0.5, 2.5] },
  { least: 1, start: [0.3, 1.5] },
  { least: 3, start: [0.2, 1] },
  { least: 16, start: [0, 0.5] }
] as const

/** A correction that learns. */
interface Track {
  /** What is added to the logit of each promise. */
  readonly offsets: number[]
  /** Promises whose outcome is not known. */
  open: number
}

/** All corrections of one maker of distributions. */
interface Corrections {
  readonly all: Track
  readonly familiar: readonly Track[]
  readonly tenants: Map<string, Track>
}

interface Promised extends Levels {
  readonly all: Track
  readonly familiar: Track
  readonly tenant: Track
  /** What its outcome counts for on the correction of all, and on these two. */
  readonly weightOfAll: number
  readonly weightOfFamiliar: number
  readonly weightOfTenant: number
  readonly p90Ms: number
  readonly p99Ms: number
  /** When the attempt began; undefined while the task waits. */
  since: number | undefined
  /** The first promise that is still open. */
  open: number
}

type Writable<T> = { -readonly [Key in keyof T]: T[Key] }

/** Whose distribution a quantile is read from. */
export interface Maker {
  readonly tenant: string
  /** How well the class is known: `familiarityOf`. */
  readonly familiarity: number
  /** Whether a network has a part in it (rule 4). */
  readonly byNetwork: boolean
}

export class Conformal {
  readonly #ofStatistics = corrections()
  #ofNetwork: Corrections | undefined
  readonly #promises = new Map<TaskId, Promised>()
  readonly #due = new EventHeap<Promised>()
  /** Used again for each answer. */
  readonly #levels: Writable<Levels> = { centre: MEDIAN, low: LOGIT_90, high: LOGIT_99 }
  readonly #coverage = PROMISED.map(() => ({ share: 0, outcomes: 0 }))

  /** The level to ask of the distribution when `q` is promised, and `centre` for the median. Rises with `q`. */
  level(maker: Maker, q: number, centre: number = MEDIAN): number {
    this.#levels.centre = centre
    if (q > MEDIAN) this.#correct(maker, this.#levels)
    return levelOf(this.#levels, q)
  }

  /** Works out what stands for the p90 and p99. */
  #correct({ tenant, familiarity, byNetwork }: Maker, levels: Writable<Levels>): void {
    const learned = (byNetwork ? this.#ofNetwork : undefined) ?? this.#ofStatistics
    const own = learned.tenants.get(tenant)?.offsets ?? START_OF_TENANT
    const familiar = learned.familiar[familiarity]?.offsets ?? START_OF_ALL
    const all = learned.all.offsets
    const corrected90 = LOGIT_90 + (all[0] ?? 0) + (familiar[0] ?? 0) + (own[0] ?? 0)
    const corrected99 = LOGIT_99 + (all[1] ?? 0) + (familiar[1] ?? 0) + (own[1] ?? 0)
    levels.low = Math.max(logit(levels.centre), Math.min(LARGEST_LOGIT, corrected90))
    levels.high = Math.max(levels.low, Math.min(LARGEST_LOGIT, corrected99))
  }

  /** These quantiles, and `centre` for the median, are promised for the task's next attempt; the first promise counts. */
  promise(task: TaskId, maker: Maker, p90Ms: number, p99Ms: number, centre: number = MEDIAN): void {
    if (this.#promises.has(task)) return
    const levels = this.#levels
    levels.centre = centre
    this.#correct(maker, levels)
    const { tenant, familiarity, byNetwork } = maker
    const learned = byNetwork ? (this.#ofNetwork ??= copied(this.#ofStatistics)) : this.#ofStatistics
    const { all } = learned
    const familiar = learned.familiar[familiarity] ?? all
    const ofTenant = trackOf(learned.tenants, tenant)
    this.#promises.set(task, {
      all,
      familiar,
      tenant: ofTenant,
      centre,
      low: levels.low,
      high: levels.high,
      weightOfAll: weightOf(all),
      weightOfFamiliar: weightOf(familiar),
      weightOfTenant: weightOf(ofTenant),
      p90Ms,
      p99Ms,
      since: undefined,
      open: 0
    })
    all.open++
    familiar.open++
    ofTenant.open++
    if (this.#promises.size <= MOST_PROMISES) return
    for (const [oldest, promised] of this.#promises) {
      this.#close(oldest, promised)
      break
    }
  }

  /** The task's attempt began. */
  begin(task: TaskId, now: number): void {
    const promised = this.#promises.get(task)
    if (promised === undefined || promised.since !== undefined) return
    promised.since = now
    this.#due.push(now + promised.p90Ms, promised)
  }

  /** It is `now`: attempts that have outlived a quantile count as above it. */
  advance(now: number): void {
    while (this.#due.nextTime < now) {
      const promised = this.#due.pop()
      if (promised === undefined || promised.open >= PROMISED.length) continue
      this.#learn(promised, true)
      if (promised.open < PROMISED.length)
        this.#due.push((promised.since ?? now) + firstOpenMs(promised), promised)
    }
  }

  /** The task's attempt has ended after `runMs`. A censored one leaves its open promises undecided. Returns what was promised. */
  end(task: TaskId, runMs: number, censored: boolean): Levels | undefined {
    const promised = this.#promises.get(task)
    if (promised === undefined) return undefined
    while (!censored && promised.open < PROMISED.length) this.#learn(promised, runMs > firstOpenMs(promised))
    this.#close(task, promised)
    return promised
  }

  /** The share of late outcomes at or below the promised p90 (0) or p99 (1); undefined before the first. */
  coverage(promise: 0 | 1): number | undefined {
    const coverage = this.#coverage[promise]
    return coverage === undefined || coverage.outcomes === 0 ? undefined : coverage.share
  }

  #close(task: TaskId, promised: Promised): void {
    this.#promises.delete(task)
    promised.open = PROMISED.length
    promised.all.open--
    promised.familiar.open--
    promised.tenant.open--
  }

  /** The first open promise is decided. */
  #learn(promised: Promised, above: boolean): void {
    const promise = promised.open++
    const coverage = this.#coverage[promise]
    if (coverage !== undefined) {
      coverage.outcomes++
      coverage.share += ((above ? 0 : 1) - coverage.share) / Math.min(coverage.outcomes, COVERAGE_MEMORY)
    }
    const q = PROMISED[promise] ?? MEDIAN
    const step = (STEP * (above ? q : q - 1)) / Math.sqrt(q * (1 - q))
    move(promised.all, promise, step * promised.weightOfAll)
    move(promised.familiar, promise, step * promised.weightOfFamiliar)
    move(promised.tenant, promise, step * promised.weightOfTenant)
  }
}

function corrections(): Corrections {
  return {
    all: fresh(START_OF_ALL),
    familiar: FAMILIARITIES.map(({ start }) => fresh(start)),
    tenants: new Map()
  }
}

/** The same corrections, of which no promise is open. */
function copied({ all, familiar, tenants }: Corrections): Corrections {
  return {
    all: fresh(all.offsets),
    familiar: familiar.map(({ offsets }) => fresh(offsets)),
    tenants: new Map(Array.from(tenants, ([tenant, { offsets }]) => [tenant, fresh(offsets)]))
  }
}

function trackOf(tenants: Map<string, Track>, tenant: string): Track {
  const known = tenants.get(tenant)
  if (known !== undefined) return known
  const track = fresh(START_OF_TENANT)
  tenants.set(tenant, track)
  if (tenants.size > MOST_TENANTS) dropOldest(tenants)
  return track
}

function firstOpenMs({ open, p90Ms, p99Ms }: Promised): number {
  return open === 0 ? p90Ms : p99Ms
}

/** Rule 3. */
function weightOf({ open }: Track): number {
  return 1 / (1 + open / HALVED_BY)
}

function move({ offsets }: Track, promise: number, by: number): void {
  const moved = (offsets[promise] ?? 0) + by
  offsets[promise] = Math.max(-LARGEST_CORRECTION, Math.min(LARGEST_CORRECTION, moved))
}

/** How well a class is known, for `Conformal`: by what has ended of its tenant and of itself. */
export function familiarityOf(ofTenant: number, ofClass: number): number {
  if (ofTenant === 0) return 0
  let familiarity = FAMILIARITIES.length - 1
  while (ofClass < (FAMILIARITIES[familiarity]?.least ?? 0)) familiarity--
  return familiarity
}

function fresh(start: readonly number[]): Track {
  return { offsets: [...start], open: 0 }
}
