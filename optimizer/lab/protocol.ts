/**
 * The measuring protocol: which runs are made, and what is said of them.
 *
 * 1. Every policy runs on the same instances with the same luck. Learners start empty in each run; where the instances of a seed follow
 *    each other on one cluster (`Trace.sequential`), entries with `remembers` start empty in the first and keep what they learned.
 * 2. Units (tasks, or groups for DAGs) in the first 10 % of arrivals are the cold start and are reported apart; in a sequence, the first
 *    10 % of the instances. Headline figures are over all, the cold start included.
 * 3. Headline: the gap closed, (base − X) ÷ (base − clairvoyant run of X), by mean JCT (by makespan for single DAGs);
 *    base is `fifo-fit`.
 * 4. Intervals: see `statistics.ts`; with fewer than five measurements (seeds × instances) neighbouring units are
 *    resampled instead. Differences from the base carry p-values adjusted for the number of policies (Holm).
 */
import { createRng } from '../../base/prng.ts'
import type { Rng } from '../../base/prng.ts'
import { simulate } from '../sim/engine.ts'
import type { SimResult } from '../sim/types.ts'
import type { PolicyEntry } from './catalog.ts'
import { Memory } from './memory.ts'
import { mean, metricsOf, outcomes, quantileSorted } from './metrics.ts'
import type { Outcomes, RunMetrics } from './metrics.ts'
import { blockLength, bootstrap, holm, meanInterval, pairedDifference } from './statistics.ts'
import type { Interval, PairedTest } from './statistics.ts'
import type { Instance, Trace } from './trace.ts'

export interface ProtocolOptions {
  readonly policies: readonly PolicyEntry[]
  readonly load: number | undefined
  readonly seeds: number
  /** Measures decisions, in microseconds. */
  readonly clockUs?: () => number
  /** Told before each run and every thousand finished tasks in it. */
  readonly onProgress?: (progress: Progress) => void
  /** Sees each run's result, for plots; return value ignored. */
  readonly onResult?: (run: Run) => void
  /** Whether runs record their attempts. Default false. */
  readonly record?: boolean
}

export interface Progress {
  readonly policy: string
  /** Runs made so far. */
  readonly run: number
  readonly finishedTasks: number
  readonly totalTasks: number
}

/** One simulation. */
export interface Run {
  readonly policy: string
  readonly seed: number
  /** The place of its instance among those of the seed, from 0. */
  readonly index: number
  readonly instance: Instance
  readonly result: SimResult
  readonly judged: Outcomes
  readonly metrics: RunMetrics
  /** How long the simulation took, in microseconds; 0 without a clock. */
  readonly tookUs: number
}

/** A policy over all runs. Times in seconds, decisions in microseconds. */
export interface PolicyReport extends RunMetrics {
  readonly policy: string
  readonly runs: number
  /** Undefined without a clairvoyant counterpart or without a gap. */
  readonly gapClosed: number | undefined
  readonly ci95: {
    readonly meanJctS: Interval
    readonly boundedSlowdown: Interval
    readonly makespanRatio: Interval
    readonly gapClosed: Interval | undefined
  }
  /** Against the base policy, by mean JCT (makespan for single DAGs). */
  readonly againstBase: PairedTest | undefined
  /** The p-value of `againstBase`, adjusted for all policies of the report; undefined for the base itself. */
  readonly holmP: number | undefined
  readonly coldStart: Phase
  /** The figures without the cold start. */
  readonly warm: Phase
  /** A decision is a call of `next`, whether it places something or not. */
  readonly decisionP50Us: number
  readonly decisionP99Us: number
  /** All of the policy's time, decisions and hooks, ÷ finished tasks. */
  readonly policyUsPerTask: number
  /** Placements ÷ all of the policy's time; undefined without a clock. */
  readonly decisionsPerS: number | undefined
  readonly tasksFinished: number
  /** Speed of the simulation: finished tasks of all runs ÷ the time that the runs took; undefined without a clock. */
  readonly completionsPerS: number | undefined
}

/** What is said of the cold start, and of the rest. */
export interface Phase {
  readonly meanJctS: number
  readonly boundedSlowdown: number
  /** Absent where a part of each run is cold: a makespan is of a whole run. */
  readonly makespanRatio?: number
}

export interface TraceReport {
  readonly trace: string
  readonly load: number
  readonly seeds: readonly number[]
  readonly base: string
  readonly policies: readonly PolicyReport[]
}

/** The policy that all others are compared with. */
export const BASE_POLICY = 'fifo-fit'
const COLD_START = 0.1
const FEWEST_FOR_RESAMPLING_RUNS = 5

/** What is kept of one policy's runs. */
interface Series {
  readonly metrics: RunMetrics[]
  readonly cold: RunMetrics[]
  readonly warm: RunMetrics[]
  /** Whether `cold` and `warm` are of whole runs. */
  readonly phasesAreRuns: boolean
  readonly decisionUs: number[]
  policyUs: number
  placements: number
  /** The units of all runs, one after another, as long as there are few: what is resampled then. */
  jctS: number[]
  slowdown: number[]
  tasksFinished: number
  tookUs: number
}

/** Runs every policy on every instance of every seed. */
export function runProtocol(trace: Trace, options: ProtocolOptions): TraceReport {
  const series = new Map<string, Series>()
  const seeds = Array.from({ length: options.seeds }, (_, seed) => seed)
  const loads: number[] = []
  let run = 0
  for (const seed of seeds) {
    const all = trace.instances(seed, options.load ?? trace.defaultLoad)
    // How many there are says which are cold. Only sequences are made in advance: logs are large.
    const sequence = trace.sequential === true ? [...all] : undefined
    const cold = sequence === undefined ? undefined : Math.ceil(sequence.length * COLD_START)
    const memories = sequence === undefined ? undefined : memoriesOf(options.policies, seed)
    let index = 0
    for (const instance of sequence ?? all) {
      loads.push(instance.load)
      for (const entry of options.policies) {
        const memory = memories?.get(entry)
        const made = runOnce({ trace, instance, entry, seed, index, run: run++, memory }, options)
        memory?.runEnded(made.result.endedAt)
        options.onResult?.(made)
        keep(series, made, cold === undefined ? undefined : index < cold)
      }
      index++
    }
  }
  return {
    trace: trace.name,
    load: mean(loads),
    seeds,
    base: BASE_POLICY,
    policies: adjusted(options.policies.map((entry) => reportOf(entry, series, trace.family === 'one-dag')))
  }
}

/** Adjusts p-values for the number of policies that were compared with the base. */
function adjusted(reports: readonly Omit<PolicyReport, 'holmP'>[]): PolicyReport[] {
  const compared = reports.filter(({ policy, againstBase }) => policy !== BASE_POLICY && againstBase)
  const pValues = holm(compared.map(({ againstBase }) => againstBase?.p ?? 1))
  const byPolicy = new Map(compared.map(({ policy }, index) => [policy, pValues[index]]))
  return reports.map((report) => ({ ...report, holmP: byPolicy.get(report.policy) }))
}

function memoriesOf(entries: readonly PolicyEntry[], seed: number): Map<PolicyEntry, Memory> {
  const memories = new Map<PolicyEntry, Memory>()
  for (const entry of entries) {
    if (entry.remembers !== undefined) memories.set(entry, new Memory(entry.remembers(policyRng(seed))))
  }
  return memories
}

interface RunInput {
  readonly trace: Trace
  readonly instance: Instance
  readonly entry: PolicyEntry
  readonly seed: number
  readonly index: number
  readonly run: number
  readonly memory: Memory | undefined
}

function runOnce(
  { trace, instance, entry, seed, index, run, memory }: RunInput,
  options: ProtocolOptions
): Run {
  const total = instance.workload.tasks.length
  const tell = (finishedTasks: number): void => {
    options.onProgress?.({ policy: entry.name, run, finishedTasks, totalTasks: total })
  }
  tell(0)
  const { clockUs = () => 0 } = options
  const beganUs = clockUs()
  const result = simulate(
    instance.workload,
    instance.cluster,
    entry.make(instance, policyRng(seed), memory?.estimator),
    {
      model: instance.model(),
      outages: instance.outages,
      record: options.record ?? false,
      onProgress: tell,
      ...(options.clockUs !== undefined && { clockUs: options.clockUs })
    }
  )
  const tookUs = clockUs() - beganUs
  const isOfDags = trace.family === 'dags' || trace.family === 'one-dag'
  const unit = trace.unit ?? (isOfDags ? 'group' : 'task')
  const judged = outcomes(result, unit, trace.slowdownBoundMs, instance.idealMs)
  const metrics = metricsOf(result, instance, judged)
  return { policy: entry.name, seed, index, instance, result, judged, metrics, tookUs }
}

/** Apart from the instance's own seeds, so that a policy's draws and its luck are unrelated. */
function policyRng(seed: number): Rng {
  return createRng(0x5eed ^ Math.imul(seed + 1, 0x9e3779b1))
}

/** `isCold`: whether the whole run belongs to the cold start; undefined when its first units do. */
function keep(series: Map<string, Series>, run: Run, isCold: boolean | undefined): void {
  const { result, instance, judged } = run
  const cold = Math.floor(judged.jctMs.length * COLD_START)
  const own = series.get(run.policy) ?? {
    metrics: [],
    cold: [],
    warm: [],
    phasesAreRuns: isCold !== undefined,
    decisionUs: [],
    policyUs: 0,
    placements: 0,
    jctS: [],
    slowdown: [],
    tasksFinished: 0,
    tookUs: 0
  }
  const whole = run.metrics
  own.metrics.push(whole)
  if (isCold !== undefined) (isCold ? own.cold : own.warm).push(whole)
  else {
    own.cold.push(metricsOf(result, instance, judged, 0, cold))
    own.warm.push(metricsOf(result, instance, judged, cold))
  }
  for (const us of result.decisionUs) own.decisionUs.push(us)
  if (own.metrics.length < FEWEST_FOR_RESAMPLING_RUNS) {
    for (const ms of judged.jctMs) own.jctS.push(ms / 1000)
    for (const value of judged.slowdown) own.slowdown.push(value)
  } else {
    own.jctS = []
    own.slowdown = []
  }
  own.policyUs += result.policyUs
  own.placements += result.attemptCount
  own.tookUs += run.tookUs
  own.tasksFinished += result.succeeded.reduce((sum, done) => sum + done, 0)
  series.set(run.policy, own)
}

interface Gap {
  readonly value: number
  readonly interval: Interval
}

function reportOf(
  entry: PolicyEntry,
  series: ReadonlyMap<string, Series>,
  byMakespan: boolean
): Omit<PolicyReport, 'holmP'> {
  const own = series.get(entry.name)
  const base = series.get(BASE_POLICY)
  const bound = entry.clairvoyant === undefined ? undefined : series.get(entry.clairvoyant)
  if (own === undefined) throw new Error(`no runs of ${entry.name}`)
  const average = (pick: (metrics: RunMetrics) => number): number => mean(own.metrics.map(pick))
  const measure = (of: Series): ArrayLike<number> => measured(of, byMakespan)
  const decisions = Float64Array.from(own.decisionUs).sort()
  const gap = base === undefined || bound === undefined ? undefined : gapClosed(base, own, bound, byMakespan)
  return {
    policy: entry.name,
    runs: own.metrics.length,
    meanJctS: average((m) => m.meanJctS),
    p50JctS: average((m) => m.p50JctS),
    p95JctS: average((m) => m.p95JctS),
    p99JctS: average((m) => m.p99JctS),
    boundedSlowdown: average((m) => m.boundedSlowdown),
    meanWaitS: average((m) => m.meanWaitS),
    makespanRatio: average((m) => m.makespanRatio),
    utilisation: average((m) => m.utilisation),
    fairness: average((m) => m.fairness),
    wasted: average((m) => m.wasted),
    gapClosed: gap?.value,
    ci95: {
      meanJctS: intervalOf(own, (m) => m.meanJctS, own.jctS),
      boundedSlowdown: intervalOf(own, (m) => m.boundedSlowdown, own.slowdown),
      makespanRatio: intervalOf(own, (m) => m.makespanRatio, undefined),
      gapClosed: gap?.interval
    },
    againstBase:
      base === undefined
        ? undefined
        : pairedDifference(measure(base), measure(own), resampling(measure(own).length, own)),
    coldStart: phase(own.cold, own.phasesAreRuns),
    warm: phase(own.warm, own.phasesAreRuns),
    decisionP50Us: quantileSorted(decisions, 0.5),
    decisionP99Us: quantileSorted(decisions, 0.99),
    policyUsPerTask: own.policyUs / Math.max(1, own.tasksFinished),
    decisionsPerS: own.policyUs > 0 ? own.placements / (own.policyUs / 1e6) : undefined,
    tasksFinished: own.tasksFinished,
    completionsPerS: own.tookUs > 0 ? own.tasksFinished / (own.tookUs / 1e6) : undefined
  }
}

function phase(metrics: readonly RunMetrics[], ofRuns: boolean): Phase {
  return {
    meanJctS: mean(metrics.map((m) => m.meanJctS)),
    boundedSlowdown: mean(metrics.map((m) => m.boundedSlowdown)),
    ...(ofRuns && { makespanRatio: mean(metrics.map((m) => m.makespanRatio)) })
  }
}

/** What pairs are made of: one value a run, or one a unit when there are too few runs. */
function measured(series: Series, byMakespan: boolean): ArrayLike<number> {
  const few = series.metrics.length < FEWEST_FOR_RESAMPLING_RUNS && !byMakespan
  return few ? series.jctS : runValues(series, byMakespan)
}

function runValues(series: Series, byMakespan: boolean): number[] {
  return series.metrics.map((m) => (byMakespan ? m.makespanRatio : m.meanJctS))
}

function resampling(count: number, series: Series): { block: number } {
  return { block: count === series.metrics.length ? 1 : blockLength(count) }
}

function intervalOf(
  series: Series,
  ofRun: (metrics: RunMetrics) => number,
  ofUnits: readonly number[] | undefined
): Interval {
  const few = series.metrics.length < FEWEST_FOR_RESAMPLING_RUNS
  const values = few && ofUnits !== undefined ? ofUnits : series.metrics.map(ofRun)
  return meanInterval(values, resampling(values.length, series))
}

function gapClosed(base: Series, own: Series, bound: Series, byMakespan: boolean): Gap | undefined {
  const [from, at, to] = [base, own, bound].map((of) => mean(runValues(of, byMakespan)))
  // Without room between base and bound the ratio says nothing.
  if (from === undefined || at === undefined || to === undefined || from - to <= 1e-9 * from) return undefined
  const [bases, owns, bounds] = [base, own, bound].map((of) => measured(of, byMakespan))
  if (bases === undefined || owns === undefined || bounds === undefined) return undefined
  const count = Math.min(bases.length, owns.length, bounds.length)
  const interval = bootstrap(
    [bases, owns, bounds],
    ([worst = 0, mine = 0, best = 0]) => (worst - mine) / (worst - best),
    resampling(count, own)
  )
  return { value: (from - at) / (from - to), interval }
}
