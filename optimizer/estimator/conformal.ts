/**
 * Keeps promised quantiles honest (Gibbs & Candès, "Adaptive Conformal Inference Under Distribution Shift", 2021): the level that is asked
 * of the distribution moves a little after each outcome, up when the outcome was above, down when below, so that in the long run the
 * share of outcomes above is what was promised, whatever the outcomes are.
 *
 * 1. A level is the sum of three corrections, on its logit, that learn side by side: of all, of classes that are known as well
 *    (`FAMILIARITIES`), and of the tenant. What is new is missed most, and a tenant about which little is known has the first two.
 * 2. An attempt counts as above as soon as it has outlived its quantile, not only when it ends: otherwise long runs would be heard of last, and
 *    the levels would follow the short ones. Its age counts from its placement, its run time from its start: one that started late, and ran
 *    for less than was promised after all, is taken back as it ends.
 * 3. A promise that is made while many others are open is made blindly: its outcome moves a level in inverse proportion to their number
 *    (Zhang, Gupta, Lian & Liu, "Staleness-aware Async-SGD", 2016). So a burst of n tasks that all come out alike moves it by the
 *    order of ln n steps, and levels do not swing where outcomes come late. The weight is fixed as the promise is made: afterwards,
 *    open promises would depend on how long runs take.
 * 4. A class that has ended often is promised nothing that its own runs do not bear out (`Support`): what is missed elsewhere, or was promised
 *    before anything was known of it, does not throw it. Corrections themselves stay within bounds, and nothing is learned that would push
 *    further against these, or they would take as long to come back.
 * 5. Distributions that a network has a part in have corrections of their own, which begin where those of the statistics stood: going
 *    back from a model finds the levels that were learned without it.
 */
import type { TaskId } from '../../base/ids.ts'
import { dropOldest } from '../../base/oldest.ts'
import { EventHeap } from '../sim/event-heap.ts'
import { FAMILIARITIES } from './familiarity.ts'
import { LARGEST_LOGIT, levelOf, logit, LOGIT_90, LOGIT_99, MEDIAN, PROMISED } from './levels.ts'
import type { Levels } from './levels.ts'

/** Per outcome, on the logit of the level. */
const STEP = 0.01
/** So many open promises halve what an outcome counts for. */
const HALVED_BY = 30
/** Where corrections begin: mixtures are too sure of what they have not seen. Of all, of a tenant. */
const START_OF_ALL: readonly number[] = [0, 0]
const START_OF_TENANT: readonly number[] = [0.1, 1]
/** How far the p90 and the p99 are corrected at most, on the logit. */
const MOST_DOWN = [3, 5] as const
const MOST_UP = [6.5, 5.4] as const
/** What stands for the p99 is at least so far above what stands for the p90: they are two promises. */
const LEAST_GAP = 0.7
const MOST_TENANTS = 4096
/** Promises that are followed at once; the oldest go first. Tasks that were withdrawn before they ran are among them. */
const MOST_PROMISES = 16_384
/** Promises that are closed may be kept by time beside those that are not: so many, and as many again. Most are far from due when attempts are stopped. */
const SLACK = 1024
/** Outcomes over which coverage is averaged. */
const COVERAGE_MEMORY = 2000

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

/** The corrections that a level is the sum of. */
interface Tracks {
  readonly all: Track
  readonly familiar: Track
  readonly tenant: Track
}

interface Promised extends Levels {
  readonly tracks: Tracks
  /** What its outcome counts for on each. */
  readonly weights: Readonly<Record<keyof Tracks, number>>
  readonly p90Ms: number
  readonly p99Ms: number
  /** When the attempt began; undefined while the task waits. */
  since: number | undefined
  /** The first promise that is still open. */
  open: number
  /** By promise, how far the attempt's age moved levels (before weights); 0 for not at all. */
  readonly moved: [p90: number, p99: number]
}

type Writable<T> = { -readonly [Key in keyof T]: T[Key] }

/** What the runs of a class that has ended often bear out: the logits of the levels above which its p90 and its p99 are not looked for. */
export type Support = readonly [p90: number, p99: number]

/** Whose distribution a quantile is read from. */
export interface Maker {
  /** Undefined while the class has ended too seldom. */
  readonly support?: Support | undefined
  readonly tenant: string
  /** How well the class is known: `familiarityOf`. */
  readonly familiarity: number
  /** Whether a network has a part in it (rule 5). */
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

  /** Promises that are kept by time, also such as are closed: what memory grows with. */
  get kept(): number {
    return this.#due.size
  }

  /** The level to ask of the distribution when `q` is promised, and `centre` for the median. Rises with `q`. */
  level(maker: Maker, q: number, centre: number = MEDIAN): number {
    this.#levels.centre = centre
    if (q > MEDIAN) this.#correct(maker, this.#levels)
    return levelOf(this.#levels, q)
  }

  /** Works out what stands for the p90 and p99. */
  #correct({ tenant, familiarity, byNetwork, support }: Maker, levels: Writable<Levels>): void {
    const learned = (byNetwork ? this.#ofNetwork : undefined) ?? this.#ofStatistics
    const { all, familiar, tenants } = learned
    const tracks = { all, familiar: familiar[familiarity] ?? all, tenant: tenants.get(tenant) ?? NEW_TENANT }
    const [most90, most99] = support ?? UNBOUNDED
    levels.low = Math.max(logit(levels.centre), Math.min(most90, bounded(sumOf(tracks, 0), 0)))
    levels.high = Math.max(levels.low + LEAST_GAP, Math.min(most99, bounded(sumOf(tracks, 1), 1)))
  }

  /** These quantiles, and `centre` for the median, are promised for the task's next attempt; the first promise counts. */
  promise(task: TaskId, maker: Maker, p90Ms: number, p99Ms: number, centre: number = MEDIAN): void {
    if (this.#promises.has(task)) return
    const levels = this.#levels
    levels.centre = centre
    this.#correct(maker, levels)
    const tracks = this.#tracksOf(maker)
    this.#promises.set(task, {
      tracks,
      centre,
      low: levels.low,
      high: levels.high,
      weights: {
        all: weightOf(tracks.all),
        familiar: weightOf(tracks.familiar),
        tenant: weightOf(tracks.tenant)
      },
      p90Ms,
      p99Ms,
      since: undefined,
      open: 0,
      moved: [0, 0]
    })
    count(tracks, 1)
    if (this.#promises.size <= MOST_PROMISES) return
    const [oldest] = this.#promises
    if (oldest !== undefined) this.#close(...oldest)
  }

  #tracksOf({ tenant, familiarity, byNetwork }: Maker): Tracks {
    const learned = byNetwork ? (this.#ofNetwork ??= copied(this.#ofStatistics)) : this.#ofStatistics
    const { all, familiar, tenants } = learned
    return { all, familiar: familiar[familiarity] ?? all, tenant: trackOf(tenants, tenant) }
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
      const promise = promised.open++
      promised.moved[promise] = this.#learn(promised, promise, true)
      if (promised.open < PROMISED.length)
        this.#due.push((promised.since ?? now) + promisedMs(promised, promised.open), promised)
    }
  }

  /** The task's attempt has ended after `runMs`. A censored one leaves its open promises undecided. Returns what was promised. */
  end(task: TaskId, runMs: number, censored: boolean): Levels | undefined {
    const promised = this.#promises.get(task)
    if (promised === undefined) return undefined
    if (!censored) {
      for (let promise = 0; promise < promised.open; promise++)
        if (runMs <= promisedMs(promised, promise)) this.#takeBack(promised, promise)
      for (; promised.open < PROMISED.length; promised.open++)
        this.#learn(promised, promised.open, runMs > promisedMs(promised, promised.open))
    }
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
    count(promised.tracks, -1)
    if (this.#due.size > 2 * this.#promises.size + SLACK)
      this.#due.retain(({ open }) => open < PROMISED.length)
  }

  /** The promise is decided. Returns how far levels moved. */
  #learn(promised: Promised, promise: number, above: boolean): number {
    const coverage = this.#coverage[promise]
    if (coverage !== undefined) {
      coverage.outcomes++
      coverage.share += ((above ? 0 : 1) - coverage.share) / Math.min(coverage.outcomes, COVERAGE_MEMORY)
    }
    const sum = sumOf(promised.tracks, promise)
    const within = bounded(sum, promise)
    if (above ? sum > within : sum < within) return 0
    const q = PROMISED[promise] ?? MEDIAN
    const step = (STEP * (above ? q : q - 1)) / Math.sqrt(q * (1 - q))
    moveAll(promised, promise, step)
    return step
  }

  /** It was not above after all. */
  #takeBack(promised: Promised, promise: number): void {
    moveAll(promised, promise, -(promised.moved[promise] ?? 0))
    const coverage = this.#coverage[promise]
    if (coverage !== undefined) {
      // As if it had not been counted; what was weighed down since is hardly more than a run.
      const outcomes = Math.min(coverage.outcomes, COVERAGE_MEMORY)
      coverage.share = outcomes > 1 ? Math.min(1, (coverage.share * outcomes) / (outcomes - 1)) : 0
      coverage.outcomes--
    }
    this.#learn(promised, promise, false)
  }
}

function moveAll({ tracks, weights }: Promised, promise: number, step: number): void {
  move(tracks.all, promise, step * weights.all)
  move(tracks.familiar, promise, step * weights.familiar)
  move(tracks.tenant, promise, step * weights.tenant)
}

/** What all corrections make of a promise, on the logit. */
function sumOf({ all, familiar, tenant }: Tracks, promise: number): number {
  const start = promise === 0 ? LOGIT_90 : LOGIT_99
  return (
    start + (all.offsets[promise] ?? 0) + (familiar.offsets[promise] ?? 0) + (tenant.offsets[promise] ?? 0)
  )
}

function bounded(at: number, promise: number): number {
  const start = promise === 0 ? LOGIT_90 : LOGIT_99
  const most = Math.min(LARGEST_LOGIT, start + (MOST_UP[promise] ?? 0))
  return Math.min(most, Math.max(start - (MOST_DOWN[promise] ?? 0), at))
}

function count({ all, familiar, tenant }: Tracks, by: number): void {
  all.open += by
  familiar.open += by
  tenant.open += by
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

function promisedMs({ p90Ms, p99Ms }: Promised, promise: number): number {
  return promise === 0 ? p90Ms : p99Ms
}

/** Rule 3. */
function weightOf({ open }: Track): number {
  return 1 / (1 + open / HALVED_BY)
}

function move({ offsets }: Track, promise: number, by: number): void {
  offsets[promise] = (offsets[promise] ?? 0) + by
}

function fresh(start: readonly number[]): Track {
  return { offsets: [...start], open: 0 }
}

/** The correction of a tenant that no promise was made to. */
const NEW_TENANT = fresh(START_OF_TENANT)
const UNBOUNDED: Support = [Infinity, Infinity]
