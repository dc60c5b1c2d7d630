/**
 * Keeps promised quantiles honest (Gibbs & Candès, "Adaptive Conformal Inference Under Distribution Shift", 2021): the level that is asked
 * of the distribution moves a little after each outcome, up when the outcome was above, down when below, so that in the long run the
 * share of outcomes above is what was promised, whatever the outcomes are.
 *
 * 1. A level is the sum of three corrections, on its logit, that learn side by side: of all, of classes that are known as well
 *    (`FAMILIARITIES`), and of the tenant. What is new is missed most, and a tenant about which little is known has the first two. A class
 *    that has ended often has a fourth for its p90, of its own.
 * 2. An attempt counts as above as soon as it has outlived its quantile, not only when it ends: otherwise long runs would be heard of last, and
 *    the levels would follow the short ones.
 * 3. A promise that is made while many others are open is made blindly: its outcome moves a level in inverse proportion to their number
 *    (Zhang, Gupta, Lian & Liu, "Staleness-aware Async-SGD", 2016). So a burst of n tasks that all come out alike moves it by the
 *    order of ln n steps, and levels do not swing where outcomes come late. The weight is fixed as the promise is made: afterwards,
 *    open promises would depend on how long runs take.
 * 4. A class's own correction learns whether the outcome was above the level as it stands *now*, read off the distribution that was promised
 *    from. It cannot overshoot however many promises are open, so each outcome counts for something (`LEAST_OWN_WEIGHT`): what
 *    went wrong is set right at the rate at which attempts end.
 * 5. Corrections stay within bounds, a class's p90 and p99 also within what its own runs bear out, and nothing is learned that would push
 *    further against a bound: what is missed elsewhere does not throw a class that is well known.
 * 6. Distributions that a network has a part in have corrections of their own, which begin where those of the statistics stood: going
 *    back from a model finds the levels that were learned without it.
 */
import type { TaskId } from '../../base/ids.ts'
import { dropOldest } from '../../base/oldest.ts'
import { EventHeap } from '../sim/event-heap.ts'
import { FAMILIARITIES } from './familiarity.ts'
import { ladderOf, msOn, NO_LADDER } from './ladder.ts'
import { LARGEST_LOGIT, levelOf, logistic, logit, LOGIT_90, LOGIT_99, MEDIAN, PROMISED } from './levels.ts'
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
/** For its own class an outcome counts for at least so much, however many promises were open. */
const LEAST_OWN_WEIGHT = 0.1
/** Beyond so far up, and so many outcomes on end that it held (one time in seventy by chance), each further one takes it back the more. */
const FAR = 1.5
const KEPT_BY_CHANCE = 40
/** Tenants, and classes, that have corrections of their own; the oldest go first. */
const MOST_TRACKS = 4096
/** Promises that are followed at once; the oldest go first. Tasks that were withdrawn before they ran are among them. */
const MOST_PROMISES = 16_384
/** Outcomes over which coverage is averaged. */
const COVERAGE_MEMORY = 2000
/** A correction that learns. */
interface Track {
  /** What is added to the logit of each promise. */
  readonly offsets: number[]
  /** Promises whose outcome is not known. */
  open: number
  /** Outcomes on end that the p90 as it stood held; of a class's own correction. */
  kept: number
}

/** All corrections of one maker of distributions. */
interface Corrections {
  readonly all: Track
  readonly familiar: readonly Track[]
  readonly tenants: Map<string, Track>
  readonly classes: Map<number, Track>
}

/** The corrections that a level is the sum of. */
interface Tracks {
  readonly all: Track
  readonly familiar: Track
  readonly tenant: Track
  /** Of a class that has ended often. */
  readonly own: Track | undefined
}

interface Promised extends Levels {
  readonly tracks: Tracks
  /** What its outcome counts for on each. */
  readonly weights: Readonly<Record<keyof Tracks, number>>
  readonly support: Support | undefined
  readonly p90Ms: number
  readonly p99Ms: number
  /** ln of the run times at `RUNGS`; empty without a correction of the class's own. */
  readonly ladder: Float32Array
  /** When the attempt began; undefined while the task waits. */
  since: number | undefined
  /** The first promise that is still open. */
  open: number
  /** Whether the class's own correction has yet to hear how the p90 turned out. */
  ownOpen: boolean
}

type Writable<T> = { -readonly [Key in keyof T]: T[Key] }

/** What the runs of a class that has ended often bear out. */
export interface Support {
  readonly classKey: number
  /** The logits of the levels, of the distribution, above which the p90 and the p99 are not looked for. */
  readonly most: readonly [p90: number, p99: number]
}

/** Whose distribution a quantile is read from. */
export interface Maker {
  /** Undefined while the class has ended too seldom. */
  readonly support?: Support | undefined
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
  /** Used again for each answer, and for each look at what stands now. */
  readonly #levels = anyLevels()
  readonly #current = anyLevels()
  readonly #coverage = PROMISED.map(() => ({ share: 0, outcomes: 0 }))

  /** The level to ask of the distribution when `q` is promised, and `centre` for the median. Rises with `q`. */
  level(maker: Maker, q: number, centre: number = MEDIAN): number {
    this.#levels.centre = centre
    if (q > MEDIAN) this.#correct(maker, this.#levels)
    return levelOf(this.#levels, q)
  }

  /** Works out what stands for the p90 and p99. */
  #correct({ tenant, familiarity, byNetwork, support }: Maker, levels: Writable<Levels>): void {
    const learned = (byNetwork ? this.#ofNetwork : undefined) ?? this.#ofStatistics
    const tracks = {
      all: learned.all,
      familiar: learned.familiar[familiarity] ?? learned.all,
      tenant: learned.tenants.get(tenant) ?? NEW_TENANT,
      own: support && learned.classes.get(support.classKey)
    }
    setLevels(levels, tracks, support)
  }

  /**
   * The p90 and p99, and `centre` for the median, are promised for the task's next attempt; the first promise counts. `msAt` is the run time
   * at a level of the distribution.
   */
  promise(task: TaskId, maker: Maker, msAt: (level: number) => number, centre: number = MEDIAN): void {
    if (this.#promises.has(task)) return
    const levels = this.#levels
    levels.centre = centre
    this.#correct(maker, levels)
    const { support } = maker
    const tracks = this.#tracksOf(maker)
    this.#promises.set(task, {
      tracks,
      centre,
      low: levels.low,
      high: levels.high,
      weights: {
        all: weightOf(tracks.all),
        familiar: weightOf(tracks.familiar),
        tenant: weightOf(tracks.tenant),
        own: tracks.own === undefined ? 0 : Math.max(LEAST_OWN_WEIGHT, weightOf(tracks.own))
      },
      support,
      p90Ms: msAt(logistic(levels.low)),
      p99Ms: msAt(logistic(levels.high)),
      ladder: tracks.own === undefined ? NO_LADDER : ladderOf(msAt),
      since: undefined,
      open: 0,
      ownOpen: tracks.own !== undefined
    })
    count(tracks, 1)
    if (this.#promises.size <= MOST_PROMISES) return
    const [oldest] = this.#promises
    if (oldest !== undefined) this.#close(...oldest)
  }

  #tracksOf({ tenant, familiarity, byNetwork, support }: Maker): Tracks {
    const learned = byNetwork ? (this.#ofNetwork ??= copied(this.#ofStatistics)) : this.#ofStatistics
    const { all, familiar, tenants, classes } = learned
    return {
      all,
      familiar: familiar[familiarity] ?? all,
      tenant: trackOf(tenants, tenant, START_OF_TENANT),
      own: support && trackOf(classes, support.classKey, START_OF_ALL)
    }
  }

  /** The task's attempt began. */
  begin(task: TaskId, now: number): void {
    const promised = this.#promises.get(task)
    if (promised === undefined || promised.since !== undefined) return
    promised.since = now
    this.#due.push(now + this.#nextMs(promised), promised)
  }

  /** It is `now`: attempts that have outlived a quantile count as above it. */
  advance(now: number): void {
    while (this.#due.nextTime < now) {
      const promised = this.#due.pop()
      if (promised === undefined || !isOpen(promised)) continue
      const since = promised.since ?? now
      this.#decide(promised, (ms) => (since + ms < now ? true : undefined))
      if (isOpen(promised)) this.#due.push(since + this.#nextMs(promised), promised)
    }
  }

  /** The task's attempt has ended after `runMs`. A censored one leaves its open promises undecided. Returns what was promised. */
  end(task: TaskId, runMs: number, censored: boolean): Levels | undefined {
    const promised = this.#promises.get(task)
    if (promised === undefined) return undefined
    if (!censored) this.#decide(promised, (ms) => runMs > ms)
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
    promised.ownOpen = false
    count(promised.tracks, -1)
  }

  /** When the attempt will next have outlived something, from its beginning. */
  #nextMs(promised: Promised): number {
    return Math.min(
      promised.open < PROMISED.length ? firstOpenMs(promised) : Infinity,
      promised.ownOpen ? this.#ownMs(promised) : Infinity
    )
  }

  /** The run time at the level that now stands for the p90. */
  #ownMs({ tracks, support, centre, ladder }: Promised): number {
    const levels = this.#current
    levels.centre = centre
    setLevels(levels, tracks, support)
    return msOn(ladder, levels.low)
  }

  /** Learns all that is known: whether the attempt took more than some milliseconds, undefined if that is open. */
  #decide(promised: Promised, isAbove: (ms: number) => boolean | undefined): void {
    const isMissed = promised.ownOpen ? isAbove(this.#ownMs(promised)) : undefined
    if (isMissed !== undefined) {
      promised.ownOpen = false
      learnOwn(promised, isMissed)
    }
    while (promised.open < PROMISED.length) {
      const above = isAbove(firstOpenMs(promised))
      if (above === undefined) break
      const promise = promised.open++
      learnShared(promised, promise, above)
      const coverage = this.#coverage[promise]
      if (coverage === undefined) continue
      coverage.outcomes++
      coverage.share += ((above ? 0 : 1) - coverage.share) / Math.min(coverage.outcomes, COVERAGE_MEMORY)
    }
  }
}

/** What stands for the p90 and the p99 under these corrections. */
function setLevels(levels: Writable<Levels>, tracks: Tracks, support: Support | undefined): void {
  levels.low = Math.max(logit(levels.centre), bounded(sumOf90(tracks, support), 0, support))
  levels.high = Math.max(levels.low + LEAST_GAP, bounded(shared(tracks, 1), 1, support))
}

/** All corrections of the p90. What others have missed counts within the bounds, so that it can be taken back. */
function sumOf90(tracks: Tracks, support: Support | undefined): number {
  return bounded(shared(tracks, 0), 0, support) + (tracks.own?.offsets[0] ?? 0)
}

function shared({ all, familiar, tenant }: Tracks, promise: number): number {
  const start = promise === 0 ? LOGIT_90 : LOGIT_99
  return (
    start + (all.offsets[promise] ?? 0) + (familiar.offsets[promise] ?? 0) + (tenant.offsets[promise] ?? 0)
  )
}

/** Rule 5. */
function bounded(at: number, promise: number, support: Support | undefined): number {
  const start = promise === 0 ? LOGIT_90 : LOGIT_99
  const most = Math.min(LARGEST_LOGIT, start + (MOST_UP[promise] ?? 0), support?.most[promise] ?? Infinity)
  return Math.min(most, Math.max(start - (MOST_DOWN[promise] ?? 0), at))
}

function learnShared({ tracks, weights, support }: Promised, promise: number, above: boolean): void {
  const sum = shared(tracks, promise)
  if (isPushed(sum, bounded(sum, promise, support), above)) return
  const step = stepOf(promise, above)
  move(tracks.all, promise, step * weights.all)
  move(tracks.familiar, promise, step * weights.familiar)
  move(tracks.tenant, promise, step * weights.tenant)
}

/** Rule 4. */
function learnOwn({ tracks, weights, support }: Promised, above: boolean): void {
  const sum = sumOf90(tracks, support)
  if (tracks.own !== undefined) tracks.own.kept = above ? 0 : tracks.own.kept + 1
  if (tracks.own === undefined || isPushed(sum, bounded(sum, 0, support), above)) return
  const isFar = bounded(sum, 0, support) > LOGIT_90 + FAR
  const haste = isFar ? 1 + (tracks.own.kept / KEPT_BY_CHANCE) ** 2 : 1
  move(tracks.own, 0, stepOf(0, above) * weights.own * haste)
}

/** Whether what stands at `at` and is held at `within` would be moved further beyond its bound. */
function isPushed(at: number, within: number, up: boolean): boolean {
  return up ? at > within : at < within
}

function stepOf(promise: number, above: boolean): number {
  const q = PROMISED[promise] ?? MEDIAN
  return (STEP * (above ? q : q - 1)) / Math.sqrt(q * (1 - q))
}

function isOpen({ open, ownOpen }: Promised): boolean {
  return ownOpen || open < PROMISED.length
}

function count({ all, familiar, tenant, own }: Tracks, by: number): void {
  all.open += by
  familiar.open += by
  tenant.open += by
  if (own !== undefined) own.open += by
}

function anyLevels(): Writable<Levels> {
  return { centre: MEDIAN, low: LOGIT_90, high: LOGIT_99 }
}

function corrections(): Corrections {
  return {
    all: fresh(START_OF_ALL),
    familiar: FAMILIARITIES.map(({ start }) => fresh(start)),
    tenants: new Map(),
    classes: new Map()
  }
}

/** The same corrections, of which no promise is open. */
function copied({ all, familiar, tenants, classes }: Corrections): Corrections {
  return {
    all: fresh(all.offsets),
    familiar: familiar.map(({ offsets }) => fresh(offsets)),
    tenants: new Map(Array.from(tenants, ([tenant, { offsets }]) => [tenant, fresh(offsets)])),
    classes: new Map(Array.from(classes, ([key, { offsets }]) => [key, fresh(offsets)]))
  }
}

function trackOf<K>(tracks: Map<K, Track>, key: K, start: readonly number[]): Track {
  const known = tracks.get(key)
  if (known !== undefined) return known
  const track = fresh(start)
  tracks.set(key, track)
  if (tracks.size > MOST_TRACKS) dropOldest(tracks)
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
  offsets[promise] = (offsets[promise] ?? 0) + by
}

function fresh(start: readonly number[]): Track {
  return { offsets: [...start], open: 0, kept: 0 }
}

/** The correction of a tenant that no promise was made to. */
const NEW_TENANT = fresh(START_OF_TENANT)
