/**
 * L0, the estimator that is always on: nested, decayed histograms of ln(run time) over the classes of `class-tree.ts`, each level
 * shrunk to the one above it. No network, no start-up: its first prediction is a broad guess under the user's limit.
 *
 * 1. `observe` costs O(levels), a prediction O(levels × bins) after a change and a few lookups otherwise.
 * 2. It hears of completions alone. An attempt that still runs is evidence too: it took longer than its age. Siblings that run
 *    spread the weight of one observation each over what lies above their ages, as in Efron's redistribution to the right
 *    (1967), the origin of the Kaplan–Meier estimate; stopped and lost attempts likewise, once and for good.
 * 3. The user's limit caps times and is otherwise a level of the hierarchy, never an estimate.
 * 4. A class whose prediction may have changed by others' completions (its tenant's) or by time is reported once by `advance`, and
 *    again only after it was asked for.
 */
import type { NodeId } from '../../base/ids.ts'
import type { AttemptFeedback, NodeView, TaskView } from '../../scheduler/policy.ts'
import type { ClassKey, Estimator, Prediction } from '../estimate.ts'
import { addCensored, BIN_LN, BinnedPrediction, FINE_BINS, lnOfBin, quantileLn } from './bins.ts'
import type { SideKnowledge } from './bins.ts'
import { CellStatistics, evenMasses, memoryQuantileBytes } from './cell-statistics.ts'
import { ClassTree } from './class-tree.ts'
import type { TaskClass } from './class-tree.ts'
import { failureProbability, hasRun } from './failures.ts'
import type { FailureClock } from './failures.ts'
import { NodeFactors } from './node-factors.ts'
import { MOST_COUNTED, RunningSiblings } from './running-siblings.ts'
import type { SiblingGroup } from './running-siblings.ts'
import { divide, scale } from './sums.ts'

export interface StatisticsOptions {
  /** Weight of what was known before each further observation, in (0, 1). Default 0.9. */
  readonly decay?: number
  /** How many observations the level above counts for. Default 2. */
  readonly priorWeight?: number
  /** The decay of a class that behaves anew; `decay` where it answers undefined. */
  readonly decayOf?: (classKey: number) => number | undefined
  /** Told of classes that are forgotten. */
  readonly onEvict?: (classKey: number) => void
  /** Classes that are remembered. Default 8,192, at about 2 KiB each with their share of cells. */
  readonly classes?: number
}

const DECAY = 0.9
/** Weight of the past at the levels of all tasks and of a limit, if that is more. */
const WIDE_DECAYS = [0.999, 0.99]
const PRIOR_WEIGHT = 2
/** How many observations of anything the first guess counts for: what runs elsewhere is unlike it as soon as anything is known. */
const GUESS_WEIGHT = 0.2
const CLASSES = 8192
/** Levels whose changes make a class's prediction stale: those of its tenant, for a class with runs of its own those of its name
 * and limit. What all tenants do moves too little, too often. */
const FIRST_OWN_LEVEL = 2
const FIRST_WARM_LEVEL = 4
const NAME_LEVEL = 3
const WARM_COUNT = 5
/** A class is worked out anew at each of its first completions … */
const FEW_RUNS = 8
/** … later when its levels have changed so often, or when its prediction is older than such a share of its own median. */
const MOST_CHANGES = 16
const KEPT_SHARE = 0.02
const LONGEST_KEPT_MS = 1000
/** All running siblings together count for so many completions at most: they began together and know the same. */
const SIBLINGS_WEIGHT = 4
/** Below so many runs a class's mean says nothing about a node. */
const LEAST_FOR_FACTORS = 1

const NONE: readonly number[] = []

/** Before anything is known: log-normal around a minute, a factor of 30 either way. */
const GUESS_LN = Math.log(60_000)
const GUESS_SPREAD = Math.log(30)
export const GUESS = guess()

/** The estimator of class statistics. */
export function createStatistics(options: StatisticsOptions = {}): Statistics {
  return new Statistics(options)
}

export class Statistics implements Estimator {
  readonly name = 'statistics'
  readonly tree: ClassTree<CellStatistics>
  readonly factors = new NodeFactors()
  readonly running = new RunningSiblings()
  readonly #entries = new Map<number, Entry>()
  readonly #profiles = new Map<NodeId, string>()
  /** Classes that were asked for since they were last reported, by tenant. */
  readonly #asked = new Map<string, Set<number>>()
  readonly #moved = new Set<number>()
  readonly #failures: FailureClock = { ends: 0 }
  readonly #decay: number
  readonly #decayOf: StatisticsOptions['decayOf']
  readonly #prior: number
  readonly #spare = new Float64Array(FINE_BINS)
  /** What time it is; 0 until it is told. */
  #now = 0
  #isTold = false

  constructor(options: StatisticsOptions) {
    const { decay = DECAY, priorWeight = PRIOR_WEIGHT, classes = CLASSES } = options
    this.#decayOf = options.decayOf
    this.#decay = decay
    this.#prior = priorWeight
    this.tree = new ClassTree(
      () => new CellStatistics(),
      classes,
      (evicted) => {
        this.#entries.delete(evicted.key)
        this.#forgetAsked(evicted)
        this.#moved.delete(evicted.key)
        options.onEvict?.(evicted.key)
      }
    )
  }

  classOf(task: TaskView): ClassKey {
    return this.tree.of(task).key
  }

  predict(task: TaskView, node?: NodeView): Prediction {
    const taskClass = this.tree.of(task)
    const entry = this.entryOf(taskClass)
    this.askedFor(taskClass)
    const factor =
      node === undefined ? 1 : Math.exp(this.factors.lnFactor(taskClass.nameKey, node.profile, node.id))
    return entry.prediction.refresh(factor, taskClass.limitMs, entry)
  }

  lnNodeFactor(node: NodeView, deviations: number): number {
    return this.factors.lnOfNode(node.profile, node.id, deviations)
  }

  observe(feedback: AttemptFeedback): void {
    this.observeIn(this.tree.of(feedback.task), feedback)
  }

  /** `observe`, for who knows the task's class. */
  observeIn(
    taskClass: TaskClass<CellStatistics>,
    { task, node, end, runMs, peakMemoryBytes }: AttemptFeedback
  ): void {
    this.running.end(task.id)
    if (end === 'not-started') return
    const ran = hasRun(end)
    if (ran) this.#learnRun(taskClass, node, runMs)
    else if (runMs > 0) this.#learnCensored(taskClass, node, runMs)
    if (ran) this.#failures.ends++
    for (const { value } of taskClass.cells) {
      if (ran) value.failures.add(end === 'failed', this.#failures.ends)
      if (peakMemoryBytes > 0) value.addMemory(peakMemoryBytes, this.#decay)
    }
    const asked = this.#asked.get(task.tenant)
    if (asked === undefined) return
    for (const key of asked) this.#moved.add(key)
    this.#asked.delete(task.tenant)
  }

  placed(task: TaskView, node: NodeView, now: number): void {
    this.placedIn(this.tree.of(task), task, node, now)
  }

  /** `placed`, for who knows the task's class. */
  placedIn(taskClass: TaskClass<CellStatistics>, task: TaskView, node: NodeView, now: number): void {
    this.#hear(now)
    this.#profiles.set(node.id, node.profile)
    const { medianMs } = this.entryOf(taskClass)
    this.running.begin(task.id, taskClass.key, now, medianMs, completionsOf(taskClass))
  }

  advance(now: number): Iterable<ClassKey> {
    this.#hear(now)
    this.running.advance(now, this.#heard)
    if (this.#moved.size === 0) return NONE
    const moved = [...this.#moved]
    this.#moved.clear()
    return moved
  }

  /** Times may be negative (`guard/recent.ts`), but never fall. */
  #hear(now: number): void {
    this.#now = this.#isTold ? Math.max(this.#now, now) : now
    this.#isTold = true
  }

  /** Attempts of the class have run for long enough to say something. */
  readonly #heard = (classKey: number): void => {
    const entry = this.#entries.get(classKey)
    if (entry === undefined) return
    entry.stamp = -1
    this.#moved.add(classKey)
  }

  /** ln of the factor by which the node multiplies the class's run times, by the profile that it was last seen with. */
  lnFactorOn(taskClass: TaskClass<CellStatistics>, node: NodeId): number {
    return this.factors.lnFactor(taskClass.nameKey, this.#profiles.get(node) ?? '', node)
  }

  profileOf(node: NodeId): string {
    return this.#profiles.get(node) ?? ''
  }

  get now(): number {
    return this.#now
  }

  /** The class's entry, worked out anew if something changed. */
  entryOf(taskClass: TaskClass<CellStatistics>): Entry {
    let entry = this.#entries.get(taskClass.key)
    if (entry === undefined) {
      entry = new Entry(taskClass, this.#prior, this.#failures)
      this.#entries.set(taskClass.key, entry)
    }
    const stamp = stampOf(taskClass)
    if (entry.stamp !== stamp && this.#isStale(taskClass, entry, stamp)) {
      entry.stamp = stamp
      entry.runs = completionsOf(taskClass)
      entry.workedOutAt = this.#now
      entry.revision++
      this.#refresh(taskClass, entry)
    }
    return entry
  }

  /** Whether what has changed since the entry was worked out is worth the work. */
  #isStale(taskClass: TaskClass<CellStatistics>, entry: Entry, stamp: number): boolean {
    if (entry.stamp < 0) return true
    const runs = completionsOf(taskClass)
    if (runs !== entry.runs && entry.runs < FEW_RUNS) return true
    if (stamp - entry.stamp >= MOST_CHANGES) return true
    return this.#now - entry.workedOutAt >= Math.min(LONGEST_KEPT_MS, entry.medianMs * KEPT_SHARE)
  }

  #refresh(taskClass: TaskClass<CellStatistics>, entry: Entry): void {
    const { masses } = entry
    masses.set(GUESS)
    let prior = GUESS_WEIGHT
    for (const { value } of taskClass.cells) {
      value.durations.shrink(masses, prior)
      prior = this.#prior
    }
    if (this.running.count(taskClass.key) > 0) this.#addSiblings(taskClass, masses)
    entry.prediction.changed()
    entry.medianLn = quantileLn(masses, 0.5)
    entry.medianMs = Math.exp(entry.medianLn)
  }

  /** The class's attempts that run, as evidence. */
  siblingsOf(taskClass: TaskClass<CellStatistics>): readonly SiblingGroup[] {
    return this.running.groups(taskClass.key, this.#now, completionsOf(taskClass))
  }

  /** Running siblings count like a few completions somewhere above their ages. */
  #addSiblings(taskClass: TaskClass<CellStatistics>, masses: Float64Array): void {
    const own = taskClass.cells.at(-1)?.value.durations.weight ?? 0
    const sum = this.#spare
    const known = own + this.#prior
    scale(sum, masses, known)
    const counted = Math.min(MOST_COUNTED, this.running.count(taskClass.key))
    const each = Math.min(1, SIBLINGS_WEIGHT / counted)
    let weight = known
    for (const group of this.siblingsOf(taskClass)) {
      addCensored(sum, masses, group.ageMs, each * group.weight)
      weight += each * group.weight
    }
    divide(masses, sum, weight)
  }

  #learnRun(taskClass: TaskClass<CellStatistics>, node: NodeId, runMs: number): void {
    const lnFactor = this.lnFactorOn(taskClass, node)
    const ln = Math.log(Math.max(1, runMs))
    const own = taskClass.cells.at(-1)?.value.durations
    if (own !== undefined && own.count >= LEAST_FOR_FACTORS) {
      const spread = { varianceLn: own.varianceLn, runs: Math.min(own.count, own.weight) }
      this.factors.observe(taskClass.nameKey, this.profileOf(node), node, ln - own.meanLn, spread)
    }
    const typicalLn = Math.max(0, ln - lnFactor)
    const anew = this.#decayOf?.(taskClass.key) ?? this.#decay
    for (let level = 0; level < taskClass.cells.length; level++) {
      const decay = level < FIRST_WARM_LEVEL ? this.#decayAt(level) : anew
      taskClass.cells[level]?.value.addDurationLn(typicalLn, decay)
    }
  }

  #learnCensored(taskClass: TaskClass<CellStatistics>, node: NodeId, runMs: number): void {
    const lnFactor = this.lnFactorOn(taskClass, node)
    const { masses } = this.entryOf(taskClass)
    const spread = this.#spare.fill(0)
    addCensored(spread, masses, runMs * Math.exp(-lnFactor), 1)
    const meanLn = meanLnOf(spread)
    taskClass.cells.forEach(({ value }, level) => {
      value.addCensored(spread, meanLn, this.#decayAt(level))
    })
  }

  /** What is shared by many classes remembers for longer: no single class is to decide what is expected of the next. */
  #decayAt(level: number): number {
    return Math.max(this.#decay, WIDE_DECAYS[level] ?? 0)
  }

  #forgetAsked({ tenant, key }: TaskClass<CellStatistics>): void {
    const asked = this.#asked.get(tenant)
    if (asked?.delete(key) === true && asked.size === 0) this.#asked.delete(tenant)
  }

  /** Someone waits for this class: report it when its tenant's completions move it. */
  askedFor(taskClass: TaskClass<CellStatistics>): void {
    if (isWarm(taskClass)) return
    const asked = this.#asked.get(taskClass.tenant)
    if (asked === undefined) this.#asked.set(taskClass.tenant, new Set([taskClass.key]))
    else asked.add(taskClass.key)
  }
}

/** What is kept for a class beside its cells. */
export class Entry implements SideKnowledge {
  readonly masses = new Float64Array(FINE_BINS)
  readonly prediction = new BinnedPrediction(this.masses)
  readonly #cells: TaskClass<CellStatistics>['cells']
  readonly #limitLn: number
  readonly #prior: number
  readonly #failures: FailureClock
  /** Of what the masses were made: changes of the class's levels, its completions, and when. */
  stamp = -1
  runs = 0
  workedOutAt = 0
  medianLn = GUESS_LN
  medianMs = 60_000
  /** Grows whenever the masses were worked out anew. */
  revision = 0

  constructor(taskClass: TaskClass<CellStatistics>, prior: number, failures: FailureClock) {
    this.#cells = taskClass.cells
    this.#limitLn = taskClass.limitMs > 0 ? Math.log(taskClass.limitMs) : Infinity
    this.#prior = prior
    this.#failures = failures
  }

  /** The share of the name's runs, whatever their limits, that took longer than this class may: by a bin, as runs are spread over neighbours. */
  get #cutOff(): number {
    if (this.#limitLn === Infinity) return 0
    return this.#cells[NAME_LEVEL]?.value.durations.shareAboveLn(this.#limitLn + BIN_LN) ?? 0
  }

  get failureProbability(): number {
    return failureProbability(this.#cells, this.#failures.ends, this.#cutOff)
  }

  /** Whether any peak was seen that says something of this class. */
  get memoryKnown(): boolean {
    return this.#cells.some(({ value }) => value.knowsMemory)
  }

  memoryBytes(q: number): number {
    return this.memoryQuantiles([q])[0] ?? 0
  }

  /** `memoryBytes` of each, which share most of the work; empty when nothing is known. */
  memoryQuantiles(levels: readonly number[]): number[] {
    const masses = MEMORY
    evenMasses(masses)
    let known = false
    for (const { value } of this.#cells) known = value.shrinkMemory(masses, this.#prior) || known
    return known ? levels.map((q) => memoryQuantileBytes(masses, q)) : []
  }
}

/** Room for one computation at a time. */
const MEMORY = new Float64Array(FINE_BINS)

/** Whether the class has runs of its own to speak of. */
function isWarm(taskClass: TaskClass<CellStatistics>): boolean {
  return completionsOf(taskClass) >= WARM_COUNT
}

function completionsOf(taskClass: TaskClass<CellStatistics>): number {
  return taskClass.cells.at(-1)?.value.durations.count ?? 0
}

/** Changes whenever one of the class's own levels does. */
function stampOf(taskClass: TaskClass<CellStatistics>): number {
  let stamp = 0
  for (
    let level = isWarm(taskClass) ? FIRST_WARM_LEVEL : FIRST_OWN_LEVEL;
    level < taskClass.cells.length;
    level++
  ) {
    stamp += taskClass.cells[level]?.value.version ?? 0
  }
  return stamp
}

function meanLnOf(masses: Float64Array): number {
  return masses.reduce((sum, mass, bin) => sum + mass * lnOfBin(bin), 0)
}

function guess(): Float64Array {
  const masses = Float64Array.from({ length: FINE_BINS }, (_, bin) =>
    Math.exp(-(((lnOfBin(bin) - GUESS_LN) / GUESS_SPREAD) ** 2) / 2)
  )
  const total = masses.reduce((sum, mass) => sum + mass, 0)
  return masses.map((mass) => mass / total)
}
