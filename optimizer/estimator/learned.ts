/**
 * The learned estimator: a mixture of experts over class statistics, weighed by records, by a network when there is one, and by Hedge above both.
 * Beside it: conformal levels for high quantiles, node factors, failures by place, and memory.
 *
 * It imports no TensorFlow: whoever trains hands over weights (`useModel`), and takes the rows to train on (`drainSamples`).
 *
 * 1. Rows, records, Hedge and conformal levels learn from what was predicted when the attempt began (`snapshots.ts`).
 * 2. A class's mixture is worked out when it is asked for after a change, with one plain forward pass (10 µs or so); else
 *    a prediction costs a few look-ups.
 * 3. What is asked of a task before its first attempt is a promise, which its outcome is held against; whoever asks of one that has
 *    run, be it to learn from its end or because it stands for its class, is promised nothing.
 * 4. Without a model everything works; a model only ever adds a component that must earn its weight.
 */
import type { AttemptFeedback, NodeView, TaskView } from '../../scheduler/policy.ts'
import type { ClassKey, Prediction } from '../estimate.ts'
import { Asked } from './asked.ts'
import { quantileLn, shareBelowLn } from './bins.ts'
import type { CellStatistics } from './cell-statistics.ts'
import { ClassEntry } from './class-entry.ts'
import type { Surroundings } from './class-entry.ts'
import type { TaskClass } from './class-tree.ts'
import { Conformal } from './conformal.ts'
import { DRIFT_DECAY, DriftWatch } from './drift.ts'
import { CHAIN, ExpertMasses } from './experts.ts'
import { ownRecordsOf, recordExperts, recordsOf, teachExperts } from './expert-lessons.ts'
import { explanationOf } from './explain.ts'
import type { PredictionExplanation } from './explain.ts'
import { FailurePlaces, hasRun } from './failures.ts'
import { hourOfUtc, writeFeatures } from './features.ts'
import { ForwardPass } from './forward.ts'
import { FreshAttempts } from './fresh.ts'
import { writeHazardLogits } from './hazards.ts'
import { COMPONENTS, Hedge, OF_COMPONENTS, usualWeights } from './hedge.ts'
import type { Levels } from './levels.ts'
import type { LearnedEstimator, LearnedOptions } from './learned-estimator.ts'
import { likelihoodOf } from './likelihood.ts'
import { MedianTrust, OF_MIXTURE, OF_STATISTICS } from './medians.ts'
import { scoreComponents, weighByRecord } from './mixture.ts'
import type { Mixture } from './mixture.ts'
import { ModelTrust } from './model-trust.ts'
import { toldOf } from './reliability.ts'
import { EXPERT_COUNT, HAZARD_OFFSETS_AT, INPUT_COUNT, MEMORY_QUANTILES, OFFSETS_AT } from './rows.ts'
import type { TrainingRow } from './rows.ts'
import { rowOf, Samples } from './samples.ts'
import { Scorekeeper } from './scorekeeper.ts'
import type { EstimatorStatus } from './status.ts'
import { likelihoods, Snapshots, windowMass } from './snapshots.ts'
import type { Snapshot } from './snapshots.ts'
import { createStatistics, GUESS } from './statistics.ts'
import type { Statistics } from './statistics.ts'
import type { Model } from './weights.ts'

const NETWORK = COMPONENTS.indexOf('network')
/** A narrower prediction than this, as a standard deviation of ln t, is not held to its word by the test for drift. */
const LEAST_SPREAD = 0.2
const LEAST_LIKELIHOOD = 1e-9
/** The mixture's level that stands for the median is never further out than this. */
const LEAST_CENTRE = 0.1

export type { EstimatorStatus, LearnedEstimator, LearnedOptions }

/** An estimator that has seen nothing. */
export function createLearnedEstimator(options: LearnedOptions = {}): LearnedEstimator {
  return new Learned(options)
}

type ClassOfCells = TaskClass<CellStatistics>

class Learned implements LearnedEstimator {
  readonly name = 'learned'
  epoch = 0
  readonly #base: Statistics
  readonly #entries = new Map<number, ClassEntry>()
  readonly #experts = new ExpertMasses(GUESS)
  readonly #snapshots = new Snapshots()
  readonly #samples = new Samples()
  readonly #hedge = new Hedge<number>(OF_COMPONENTS)
  readonly #trust = new MedianTrust()
  readonly #asked = new Asked()
  readonly #drift = new DriftWatch()
  /** What was asked while tasks waited, and as they began. */
  readonly #waiting = new Conformal()
  readonly #beginning = new Conformal()
  readonly #places = new FailurePlaces()
  readonly #scores = new Scorekeeper()
  readonly #fresh = new FreshAttempts()
  readonly #around: Surroundings
  readonly #hourOf: (now: number) => number
  readonly #gathersRows: boolean
  readonly #components = new Float64Array(COMPONENTS.length)
  readonly #row = new Float32Array(INPUT_COUNT)
  readonly #logits = this.#row.subarray(OFFSETS_AT, HAZARD_OFFSETS_AT)
  readonly #hazards = this.#row.subarray(HAZARD_OFFSETS_AT, INPUT_COUNT)
  readonly #likelihood = new Float32Array(EXPERT_COUNT)
  /** Whose experts `#experts` holds. */
  #filled: ClassEntry | undefined
  #forward: ForwardPass | undefined
  /** Of the model in use. */
  #modelTrust = new ModelTrust()
  /** Grows with each model. */
  #generation = 0
  /** Whether all predictions moved. */
  #stirred = false
  /** Classes that were asked for since all predictions moved last. */
  readonly #askedSince = new Set<number>()

  constructor({ classes = 4096, hourOf = hourOfUtc, rows = true }: LearnedOptions) {
    this.#hourOf = hourOf
    this.#gathersRows = rows
    this.#base = createStatistics({
      classes,
      decayOf: (key) => (this.#drift.isDrifting(key) ? DRIFT_DECAY : undefined),
      onEvict: (key) => {
        this.#entries.delete(key)
        this.#askedSince.delete(key)
        this.#hedge.forget(key)
        this.#drift.forget(key)
      }
    })
    this.#around = {
      base: this.#base,
      waiting: this.#waiting,
      beginning: this.#beginning,
      places: this.#places
    }
  }

  classOf(task: TaskView): ClassKey {
    return this.#base.classOf(task)
  }

  predict(task: TaskView, node?: NodeView): Prediction {
    const taskClass = this.#base.tree.of(task)
    this.#base.askedFor(taskClass)
    this.#askedSince.add(taskClass.key)
    const entry = this.#entryOf(taskClass, task)
    const prediction = entry.on(node)
    if (node === undefined && this.#waits(task)) {
      this.#asked.add(task.id).medians.set(entry.medians)
      entry.promise(this.#waiting, task, prediction)
    }
    return prediction
  }

  /** Whether an answer about this task is one that it will be held to: the first, before its first attempt. */
  #waits({ id, attempts }: TaskView): boolean {
    return attempts === 0 && !this.#asked.has(id) && !this.#base.running.has(id)
  }

  predictByClass(task: TaskView, node?: NodeView): Prediction {
    const runs = this.#base.tree.of(task).cells.at(-1)?.value.durations.count ?? 0
    return runs === 0 ? this.predict(task, node) : this.#base.predict(task, node)
  }

  predictFresh(task: TaskView, node?: NodeView): Prediction {
    const taskClass = this.#base.tree.of(task)
    return this.#fresh.predict(taskClass, this.#entryOf(taskClass, task), node)
  }

  lnNodeFactor(node: NodeView, deviations: number): number {
    return this.#base.lnNodeFactor(node, deviations)
  }

  placed(task: TaskView, node: NodeView, now: number): void {
    const taskClass = this.#base.tree.of(task)
    this.#base.placedIn(taskClass, task, node, now)
    const entry = this.#entryOf(taskClass, task)
    entry.promise(this.#beginning, task, entry.on(node))
    this.#beginning.begin(task.id, now)
    this.#waiting.begin(task.id, now)
    if (!this.#snapshots.wants(task.id, this.#base.running.size)) return
    entry.snapshot ??= this.#snapshotOf(taskClass, task, entry)
    this.#snapshots.keep(task.id, entry.snapshot)
  }

  advance(now: number): Iterable<ClassKey> {
    this.#waiting.advance(now)
    this.#beginning.advance(now)
    const moved = this.#base.advance(now)
    if (!this.#stirred) return moved
    this.#stirred = false
    const all = new Set([...moved, ...this.#askedSince])
    this.#askedSince.clear()
    return all
  }

  observe(feedback: AttemptFeedback): void {
    const { task, end, runMs, node } = feedback
    const snapshot = this.#snapshots.take(task.id)
    const ran = hasRun(end)
    this.#waiting.end(task.id, runMs, !ran)
    const promised = this.#beginning.end(task.id, runMs, !ran)
    const answer = this.#asked.take(task.id)
    const taskClass = this.#base.tree.of(task)
    if (ran || (end !== 'not-started' && runMs > 0)) {
      const ln = Math.log(Math.max(1, runMs)) - this.#base.lnFactorOn(taskClass, node)
      if (snapshot !== undefined) this.#judge(feedback, taskClass, snapshot, promised, ln, !ran)
      if (ran) {
        if (answer !== undefined) this.#trust.observe(task.tenant, answer.medians, ln)
        if (snapshot !== undefined) this.#trust.observe(task.tenant, snapshot.medians, ln)
        this.#places.observe(
          this.#base.profileOf(node),
          node,
          snapshot?.failureProbability ?? this.#entryOf(taskClass, task).expectedFailure,
          end === 'failed'
        )
        teachExperts(taskClass, task, ln, this.#base.now)
      }
    }
    this.#snapshots.release(snapshot)
    this.#base.observeIn(taskClass, feedback)
  }

  drainSamples(): TrainingRow[] {
    return this.#samples.drain()
  }

  useModel(model: Model | undefined): void {
    this.#forward = model === undefined ? undefined : new ForwardPass(model.weights)
    this.#modelTrust = new ModelTrust()
    this.#generation++
    this.stir()
  }

  stir(): void {
    this.epoch++
    this.#stirred = true
  }

  status(): EstimatorStatus {
    return {
      ...this.#scores.scores(),
      coverage90: this.#beginning.coverage(0),
      coverage99: this.#beginning.coverage(1),
      classes: this.#base.tree.size,
      model: this.#forward !== undefined,
      hedge: usualWeights(this.#hedge, this.#forward !== undefined),
      driftingClasses: this.#drift.drifting,
      driftAlarms: this.#drift.alarms
    }
  }

  explain(task: TaskView, node?: NodeView): PredictionExplanation {
    const taskClass = this.#base.tree.of(task)
    const entry = this.#entryOf(taskClass, task)
    this.#fill(taskClass, entry)
    const drifting = this.#drift.isDrifting(taskClass.key)
    const classes = this.#base.tree.values()
    return explanationOf({ classes, taskClass, entry, experts: this.#experts, node, drifting })
  }

  /** The class's entry, its mixture up to date. */
  #entryOf(taskClass: ClassOfCells, task: TaskView): ClassEntry {
    let entry = this.#entries.get(taskClass.key)
    if (entry === undefined) {
      entry = new ClassEntry(this.#around, taskClass)
      this.#entries.set(taskClass.key, entry)
    }
    const { revision } = this.#base.entryOf(taskClass)
    if (entry.revision !== revision || entry.generation !== this.#generation) {
      entry.revision = revision
      entry.generation = this.#generation
      this.#snapshots.release(entry.snapshot)
      entry.snapshot = undefined
      this.#filled = undefined
      this.#mix(taskClass, task, entry)
    }
    return entry
  }

  #mix(taskClass: ClassOfCells, task: TaskView, entry: ClassEntry): void {
    const { mixture } = entry
    this.#fill(taskClass, entry)
    mixture.output = this.#forward?.run(this.#writeInput(taskClass, task))
    entry.trust = this.#modelTrust
    const frozen = mixture.output === undefined || this.#drift.isDrifting(taskClass.key)
    this.#hedge.weigh(taskClass.key, mixture.hedge, (component) => component !== NETWORK || !frozen)
    entry.combine(this.#experts)
    this.#centre(taskClass, entry)
  }

  /** Decides what is the class's median. */
  #centre(taskClass: ClassOfCells, entry: ClassEntry): void {
    const { mixture, medians } = entry
    const most = taskClass.limitMs > 0 ? Math.log(taskClass.limitMs) : Infinity
    const whole = quantileLn(mixture.masses, 0.5)
    medians[OF_STATISTICS] = mixture.byNetwork ? whole : Math.min(most, entry.statistics.medianLn)
    medians[OF_MIXTURE] = whole
    const level = shareBelowLn(mixture.masses, this.#trust.centreLn(taskClass.tenant, medians))
    entry.centre = Math.max(LEAST_CENTRE, Math.min(1 - LEAST_CENTRE, level))
  }

  /** Fills in and weighs the experts, which stand in one array for all classes, unless they are the class's already. */
  #fill(taskClass: ClassOfCells, entry: ClassEntry): void {
    if (this.#filled === entry) return
    this.#experts.fill(taskClass, entry.statistics.masses)
    this.#weigh(taskClass, entry.mixture)
    this.#filled = entry
  }

  #snapshotOf(taskClass: ClassOfCells, task: TaskView, entry: ClassEntry): Snapshot {
    this.#fill(taskClass, entry)
    const snapshot = this.#snapshots.blank()
    // Also what is not trained on is judged by them.
    const isAsked = this.#gathersRows || entry.mixture.output !== undefined
    if (isAsked) snapshot.input.set(this.#writeInput(taskClass, task))
    snapshot.memoryBytes = isAsked ? entry.statistics.memoryQuantiles(MEMORY_QUANTILES) : []
    snapshot.trust = entry.trust
    snapshot.experts.set(this.#experts.all)
    snapshot.lastBin = this.#experts.lastBin
    snapshot.masses.set(entry.mixture.masses)
    snapshot.byRecord.set(entry.mixture.byRecord)
    snapshot.medians.set(entry.medians)
    snapshot.output = entry.mixture.output
    snapshot.failureProbability = entry.expectedFailure
    snapshot.failureByStatistics = entry.statistics.failureProbability
    return snapshot
  }

  /** Learns from how well the attempt's prediction foresaw its outcome. */
  #judge(
    feedback: AttemptFeedback,
    taskClass: ClassOfCells,
    snapshot: Snapshot,
    promised: Levels | undefined,
    ln: number,
    censored: boolean
  ): void {
    const likelihood = this.#likelihood
    likelihoods(snapshot, ln, censored, likelihood)
    const { output } = snapshot
    const isAsked = this.#gathersRows || output !== undefined
    const row = isAsked ? rowOf(feedback, snapshot, likelihood, ln, censored) : undefined
    if (row !== undefined && this.#gathersRows) this.#samples.add(row)
    if (censored) return
    if (output !== undefined && snapshot.trust !== undefined) {
      const { memoryBytes, failureByStatistics: expected, trust } = snapshot
      const { end, peakMemoryBytes } = feedback
      trust.failures.observe(taskClass.tenant, expected, output.failureLogit, end === 'failed')
      if (peakMemoryBytes > 0)
        trust.memory.observe(taskClass.tenant, memoryBytes, output.memoryLn, peakMemoryBytes)
    }
    const ofNetwork =
      row === undefined || output === undefined ? undefined : likelihoodOf(row, output.gates, output.octaves)
    scoreComponents(snapshot.byRecord, likelihood, ofNetwork, this.#components)
    this.#hedge.observe(taskClass.key, this.#components)
    recordExperts(taskClass, likelihood)
    const median = quantileLn(snapshot.masses, 0.5)
    const spread = (quantileLn(snapshot.masses, 0.84) - quantileLn(snapshot.masses, 0.16)) / 2
    this.#drift.observe(taskClass.key, (ln - median) / Math.max(LEAST_SPREAD, spread))
    // On the node that ran it the limit was what it says; on a typical one it would have been as much shorter as that is quicker.
    const { limitMs } = taskClass
    const mostLn = limitMs > 0 ? ln + Math.log(limitMs / Math.max(1, feedback.runMs)) : Infinity
    this.#scores.observe({
      tenant: taskClass.tenant,
      told: promised && toldOf(snapshot.masses, promised, mostLn, ln),
      logScore: Math.log(Math.max(LEAST_LIKELIHOOD, windowMass(snapshot.masses, ln))),
      statisticsLogScore: Math.log(Math.max(LEAST_LIKELIHOOD, likelihood[CHAIN] ?? 0))
    })
  }

  /** Brings the mixture's own weights up to date, and their logits in the network's input. */
  #weigh(taskClass: ClassOfCells, mixture: Mixture): void {
    weighByRecord(mixture.byRecord, this.#logits, this.#experts, {
      records: recordsOf(taskClass),
      own: ownRecordsOf(taskClass),
      siblings: this.#base.siblingsOf(taskClass)
    })
  }

  /** The network's input for the class whose logits stand in it, in an array that is used again. */
  #writeInput(taskClass: ClassOfCells, task: TaskView): Float32Array {
    const { now, running } = this.#base
    const base = this.#base.entryOf(taskClass)
    writeFeatures(this.#row, taskClass, base.masses, {
      now,
      hour: this.#hourOf(now),
      runningSiblings: running.count(taskClass.key),
      oldestMs: this.#base.siblingsOf(taskClass)[0]?.ageMs ?? 0,
      cpu: task.resources['cpu'] ?? 0,
      memoryBytes: task.resources['memory'] ?? 0,
      failureProbability: base.failureProbability,
      memoryKnown: base.memoryKnown,
      records: recordsOf(taskClass)
    })
    writeHazardLogits(base.masses, this.#hazards)
    return this.#row
  }
}
