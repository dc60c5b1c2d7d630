/** What the learned estimator keeps of a class: its mixture, and the prediction that callers see, for any node. */
import type { NodeView, TaskView } from '../../scheduler/policy.ts'
import { BinnedPrediction, shareBelowLn } from './bins.ts'
import type { SideKnowledge } from './bins.ts'
import type { CellStatistics } from './cell-statistics.ts'
import type { TaskClass } from './class-tree.ts'
import type { Conformal, Maker, Support } from './conformal.ts'
import type { ExpertMasses } from './experts.ts'
import type { FailurePlaces } from './failures.ts'
import { familiarityOf } from './familiarity.ts'
import type { DecayedHistogram } from './histogram.ts'
import { LARGEST_LOGIT, logistic, logit, PROMISED } from './levels.ts'
import { MEDIANS } from './medians.ts'
import { Mixture } from './mixture.ts'
import type { ModelTrust } from './model-trust.ts'
import type { Snapshot } from './snapshots.ts'
import type { Entry, Statistics } from './statistics.ts'

/** Of `class-tree.ts`. */
export const TENANT_LEVEL = 2
/**
 * So many runs of a class bear out where its p90 and p99 lie at most (a few of them should have missed each): at the quantile of its runs that
 * is so far above, on the logit, and …
 */
const LEAST_RUNS = [24, 240] as const
const DEVIATIONS = 3
const MARGINS = [2, 5] as const
/** … so many times the run time there: what is beyond the longest of them says little of how far. */
const FACTORS = [1.5, 4] as const
/** Up to so many attempts hang by themselves. */
const FEW_HANG = 2

/** What an entry asks of its estimator. */
export interface Surroundings {
  readonly base: Statistics
  /** For what is asked while a task waits, on a typical node, and for what is asked as it begins. */
  readonly waiting: Conformal
  readonly beginning: Conformal
  readonly places: FailurePlaces
}

interface BorneOut {
  readonly support: Support
  /** What a promise of p90 would be held to by what was borne out over long. */
  readonly hangsAfterMs: number
}

export class ClassEntry implements SideKnowledge, Maker {
  readonly mixture = new Mixture()
  readonly #prediction = new BinnedPrediction(this.mixture.masses)
  readonly #around: Surroundings
  readonly #class: TaskClass<CellStatistics>
  /** What the class statistics know; up to date when the mixture is. */
  readonly statistics: Entry
  #node: NodeView | undefined
  /** Medians that compete, as ln t, and the level of the mixture that stands for the median. */
  readonly medians = new Float64Array(MEDIANS.length)
  centre = 0.5
  /** Of what the mixture was made. */
  revision = -1
  generation = -1
  snapshot: Snapshot | undefined
  /** Of the model that the mixture's output is of. */
  trust: ModelTrust | undefined
  /** Undefined until it is asked of the mixture as it is. */
  #borneOut: BorneOut | undefined

  constructor(around: Surroundings, taskClass: TaskClass<CellStatistics>) {
    this.#around = around
    this.#class = taskClass
    this.statistics = around.base.entryOf(taskClass)
  }

  /** The prediction for an attempt on `node`, or on a typical one. */
  on(node: NodeView | undefined): BinnedPrediction {
    this.#node = node
    return this.#prediction.refresh(this.factorOn(node), this.#class.limitMs, this)
  }

  /** Works out the masses from the experts; the mixture's weights are up to date. */
  combine(experts: ExpertMasses): void {
    this.mixture.combine(experts)
    this.#prediction.changed()
    this.#borneOut = undefined
  }

  /** By how much the node multiplies run times. */
  factorOn(node: NodeView | undefined): number {
    if (node === undefined) return 1
    return Math.exp(this.#around.base.factors.lnFactor(this.#class.nameKey, node.profile, node.id))
  }

  get failureProbability(): number {
    const expected = this.expectedFailure
    const node = this.#node
    if (node === undefined) return expected
    return this.#around.places.probability(node.profile, node.id, expected)
  }

  /** On a typical node. */
  get expectedFailure(): number {
    const expected = this.statistics.failureProbability
    const correction = this.mixture.output?.failureLogit
    if (correction === undefined || this.trust === undefined) return expected
    return this.trust.failures.corrected(this.#class.tenant, expected, correction)
  }

  memoryBytes(q: number): number {
    const bytes = this.statistics.memoryBytes(q)
    const corrections = this.mixture.output?.memoryLn
    if (corrections === undefined || this.trust === undefined || bytes === 0) return bytes
    return bytes * Math.exp(this.trust.memory.correctionLn(this.#class.tenant, corrections, q))
  }

  get tenant(): string {
    return this.#class.tenant
  }

  get byNetwork(): boolean {
    return this.mixture.byNetwork
  }

  /** How well the class is known by now. */
  get familiarity(): number {
    const { cells } = this.#class
    return familiarityOf(
      cells[TENANT_LEVEL]?.value.durations.count ?? 0,
      cells.at(-1)?.value.durations.count ?? 0
    )
  }

  /** What the class's own runs bear out; undefined while they are too few. */
  get support(): Support | undefined {
    const runs = this.#class.cells.at(-1)?.value.experts
    if (runs?.long === undefined || runs.long.count < LEAST_RUNS[0]) return undefined
    const { support, hangsAfterMs } = (this.#borneOut ??= this.#bearOut(runs.long, [runs.slow, runs.fast]))
    return this.#isHanging(hangsAfterMs) ? undefined : support
  }

  /** Whether several attempts have outlived this: then the class is not what it was. */
  #isHanging(afterMs: number): boolean {
    const siblings = this.#around.base.siblingsOf(this.#class)
    return siblings.reduce((sum, { ageMs, weight }) => (ageMs > afterMs ? sum + weight : sum), 0) > FEW_HANG
  }

  #bearOut(long: DecayedHistogram, recent: readonly DecayedHistogram[]): BorneOut {
    const levelOf = (promise: 0 | 1): number => {
      if (long.count < LEAST_RUNS[promise]) return LARGEST_LOGIT
      const level = shareBelowLn(this.mixture.masses, mostLnOf([long, ...recent], promise))
      return Math.min(LARGEST_LOGIT, logit(Math.min(1 - Number.EPSILON, level)))
    }
    const hangsAfterMs = Math.exp(long.quantileLn(quantileWithin(long, 0)))
    return { support: [levelOf(0), levelOf(1)], hangsAfterMs }
  }

  /** Holds the levels to what they make of the prediction, for the task's next attempt. */
  promise(levels: Conformal, { id }: TaskView, to: BinnedPrediction): void {
    levels.promise(id, this, to.quantileMs(0.9), to.quantileMs(0.99), this.centre)
  }

  level(q: number): number {
    const { waiting, beginning } = this.#around
    const conformal = this.#node === undefined ? waiting : beginning
    return conformal.level(this, q, this.centre)
  }
}

/** ln of the run time that a promise is held below: what runs bore out over long, of late or just now, as a class may become slower. */
function mostLnOf(memories: readonly DecayedHistogram[], promise: 0 | 1): number {
  const most = memories.reduce(
    (largest, runs) => Math.max(largest, runs.quantileLn(quantileWithin(runs, promise))),
    0
  )
  return most + Math.log(FACTORS[promise])
}

/** The quantile of a class's runs that a promise is held below. Bursts are alike: runs say less than as many independent ones. */
function quantileWithin({ weight }: DecayedHistogram, promise: 0 | 1): number {
  const q = PROMISED[promise]
  return logistic(logit(q) + Math.max(MARGINS[promise], DEVIATIONS / Math.sqrt(weight * q * (1 - q))))
}
