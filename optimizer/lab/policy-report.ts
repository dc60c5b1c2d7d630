/**
 * What is said of a policy's runs: means, how sure they are, and what it changes against the base.
 *
 * 1. Measurements that count as independent are the samples that the instances are (windows of a log, workflows), each of which is the mean
 *    of its seeds; where there is one sample only, the seeds (of a log these are the same jobs with shaken arrivals, so the interval says what
 *    luck of arrivals changes, and nothing of other jobs); where there is one run only, its tasks in blocks of neighbours. Of samples that
 *    overlap, neighbours are one block. See `statistics.ts` for what follows from that.
 * 2. Headline: the gap closed, (base − X) ÷ (base − clairvoyant run of X), by mean JCT (by makespan for single DAGs). It has an interval
 *    where base and bound differ for sure: else the ratio may be anything.
 * 3. p-values are adjusted for the number of policies that one could choose (Holm): bounds, which know the truth, are none.
 */
import type { PolicyEntry } from './catalog.ts'
import { mean, quantileSorted } from './metrics.ts'
import type { RunMetrics } from './metrics.ts'
import { blockLength, bootstrap, EVERYTHING, holm, meanInterval, pairedDifference } from './statistics.ts'
import type { Interval, PairedTest } from './statistics.ts'

/** The policy that all others are compared with. */
export const BASE_POLICY = 'fifo-fit'
/** Least area first with the truth: what single tasks are held to, whatever becomes of the policies. */
const SJF_ORACLE = 'sjf-oracle'

/** A policy over all runs. Times in seconds, decisions in microseconds. */
export interface PolicyReport extends RunMetrics {
  readonly policy: string
  readonly runs: number
  /** How many independent measurements the intervals stand on. */
  readonly measurements: number
  /** Undefined without a clairvoyant counterpart or without a gap. */
  readonly gapClosed: number | undefined
  /** The same towards `SJF_ORACLE`, a bound that does not move when the policy is changed; undefined where it did not run, and for DAGs. */
  readonly gapToSjf: number | undefined
  readonly ci95: {
    readonly meanJctS: Interval
    readonly boundedSlowdown: Interval
    readonly makespanRatio: Interval
    /** Undefined where `gapClosed` is; everything where it is not sure that there is a gap. */
    readonly gapClosed: Interval | undefined
    readonly gapToSjf: Interval | undefined
  }
  /** Against the base policy, by mean JCT (makespan for single DAGs). */
  readonly againstBase: PairedTest | undefined
  /** The p-value of `againstBase`, adjusted for all policies that could be chosen; undefined for the base itself and for bounds. */
  readonly holmP: number | undefined
  readonly coldStart: Phase
  /** The figures without the cold start. */
  readonly warm: Phase
  /** A decision is a call of `next`, whether it places something or not. */
  readonly decisionMeanUs: number
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

/** What is kept of one policy's runs. */
export interface Series {
  readonly runs: MeasuredRun[]
  readonly cold: RunMetrics[]
  readonly warm: RunMetrics[]
  /** Whether `cold` and `warm` are of whole runs. */
  readonly phasesAreRuns: boolean
  readonly decisionUs: number[]
  policyUs: number
  placements: number
  /** The units of the only run; empty when there are several. */
  jctS: Float64Array
  slowdown: Float64Array
  tasksFinished: number
  tookUs: number
}

interface MeasuredRun {
  readonly seed: number
  /** `Instance.sample`. */
  readonly sample: string | undefined
  readonly metrics: RunMetrics
}

/** How all policies of a trace are judged. */
export interface Judging {
  readonly byMakespan: boolean
  /** `Trace.overlap`, 1 for none. */
  readonly overlap: number
}

/** A policy that has not run. */
export function emptySeries(phasesAreRuns: boolean): Series {
  const none = new Float64Array(0)
  return {
    runs: [],
    cold: [],
    warm: [],
    phasesAreRuns,
    decisionUs: [],
    policyUs: 0,
    placements: 0,
    jctS: none,
    slowdown: none,
    tasksFinished: 0,
    tookUs: 0
  }
}

/** The reports of all entries, in their order. */
export function reportsOf(
  entries: readonly PolicyEntry[],
  series: ReadonlyMap<string, Series>,
  judging: Judging
): PolicyReport[] {
  const bounds = new Set(entries.map(({ clairvoyant }) => clairvoyant))
  return adjusted(
    entries.map((entry) => reportOf(entry, series, judging)),
    bounds
  )
}

/** Adjusts p-values for the number of policies that were compared with the base. */
function adjusted(
  reports: readonly Omit<PolicyReport, 'holmP'>[],
  bounds: ReadonlySet<string | undefined>
): PolicyReport[] {
  const compared = reports.filter(
    ({ policy, againstBase }) => policy !== BASE_POLICY && !bounds.has(policy) && againstBase
  )
  const pValues = holm(compared.map(({ againstBase }) => againstBase?.p ?? 1))
  const byPolicy = new Map(compared.map(({ policy }, index) => [policy, pValues[index]]))
  return reports.map((report) => ({ ...report, holmP: byPolicy.get(report.policy) }))
}

function reportOf(
  entry: PolicyEntry,
  series: ReadonlyMap<string, Series>,
  judging: Judging
): Omit<PolicyReport, 'holmP'> {
  const own = series.get(entry.name)
  const base = series.get(BASE_POLICY)
  const bound = entry.clairvoyant === undefined ? undefined : series.get(entry.clairvoyant)
  if (own === undefined) throw new Error(`no runs of ${entry.name}`)
  const average = (pick: (metrics: RunMetrics) => number): number => averageOf(own, pick)
  const interval = (measure: Measure): Interval => {
    const { values, block } = measured(own, measure, judging.overlap)
    return meanInterval(values, { block })
  }
  const headline = judging.byMakespan ? MAKESPAN : JCT
  const mine = measured(own, headline, judging.overlap)
  const decisions = Float64Array.from(own.decisionUs).sort()
  const gap = gapClosed(base, own, bound, judging)
  const sjf = judging.byMakespan ? undefined : series.get(SJF_ORACLE)
  const toSjf = gapClosed(base, own, sjf, judging)
  return {
    policy: entry.name,
    runs: own.runs.length,
    measurements: Math.floor(mine.values.length / mine.block),
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
    gapToSjf: toSjf?.value,
    ci95: {
      meanJctS: interval(JCT),
      boundedSlowdown: interval(SLOWDOWN),
      makespanRatio: interval(MAKESPAN),
      gapClosed: gap?.interval,
      gapToSjf: toSjf?.interval
    },
    againstBase:
      base === undefined
        ? undefined
        : pairedDifference(measured(base, headline, judging.overlap).values, mine.values, {
            block: mine.block
          }),
    coldStart: phase(own.cold, own.phasesAreRuns),
    warm: phase(own.warm, own.phasesAreRuns),
    decisionMeanUs: mean(own.decisionUs),
    decisionP50Us: quantileSorted(decisions, 0.5),
    decisionP99Us: quantileSorted(decisions, 0.99),
    policyUsPerTask: own.policyUs / Math.max(1, own.tasksFinished),
    decisionsPerS: own.policyUs > 0 ? own.placements / (own.policyUs / 1e6) : undefined,
    tasksFinished: own.tasksFinished,
    completionsPerS: own.tookUs > 0 ? own.tasksFinished / (own.tookUs / 1e6) : undefined
  }
}

function averageOf({ runs }: Series, pick: (metrics: RunMetrics) => number): number {
  return mean(runs.map(({ metrics }) => pick(metrics)))
}

function phase(metrics: readonly RunMetrics[], ofRuns: boolean): Phase {
  return {
    meanJctS: mean(metrics.map((m) => m.meanJctS)),
    boundedSlowdown: mean(metrics.map((m) => m.boundedSlowdown)),
    ...(ofRuns && { makespanRatio: mean(metrics.map((m) => m.makespanRatio)) })
  }
}

/** A figure of a run, and of each unit of the only run where units have one. */
interface Measure {
  readonly ofRun: (metrics: RunMetrics) => number
  readonly ofUnits: ((series: Series) => Float64Array) | undefined
}

const JCT: Measure = { ofRun: (m) => m.meanJctS, ofUnits: (series) => series.jctS }
const SLOWDOWN: Measure = { ofRun: (m) => m.boundedSlowdown, ofUnits: (series) => series.slowdown }
const MAKESPAN: Measure = { ofRun: (m) => m.makespanRatio, ofUnits: undefined }

/** Measurements in order, so many neighbours of which count as one. */
interface Measured {
  readonly values: ArrayLike<number>
  readonly block: number
}

function measured(series: Series, { ofRun, ofUnits }: Measure, overlap: number): Measured {
  const { runs } = series
  const bySample = meansBy(runs, ({ sample }) => sample, ofRun)
  if (bySample.length > 1) return { values: bySample, block: overlap }
  if (runs.length > 1) return { values: meansBy(runs, ({ seed }) => seed, ofRun), block: 1 }
  if (ofUnits === undefined) return { values: runs.map(({ metrics }) => ofRun(metrics)), block: 1 }
  const values = ofUnits(series)
  return { values, block: blockLength(values.length) }
}

/** The mean of each key's runs, in the order in which keys come first. */
function meansBy(
  runs: readonly MeasuredRun[],
  keyOf: (run: MeasuredRun) => string | number | undefined,
  ofRun: (metrics: RunMetrics) => number
): number[] {
  const values = new Map<string | number | undefined, number[]>()
  for (const run of runs) {
    const key = keyOf(run)
    const own = values.get(key)
    if (own === undefined) values.set(key, [ofRun(run.metrics)])
    else own.push(ofRun(run.metrics))
  }
  return [...values.values()].map(mean)
}

interface Gap {
  readonly value: number
  readonly interval: Interval
}

function gapClosed(
  base: Series | undefined,
  own: Series,
  bound: Series | undefined,
  judging: Judging
): Gap | undefined {
  if (base === undefined || bound === undefined) return undefined
  const headline = judging.byMakespan ? MAKESPAN : JCT
  const [from, at, to] = [base, own, bound].map((of) => averageOf(of, headline.ofRun))
  // Without room between base and bound the ratio says nothing.
  if (from === undefined || at === undefined || to === undefined || from - to <= 1e-9 * from) return undefined
  const value = (from - at) / (from - to)
  const [bases, owns, bounds] = [base, own, bound].map((of) => measured(of, headline, judging.overlap))
  if (bases === undefined || owns === undefined || bounds === undefined) return undefined
  const { block } = owns
  const isSure = pairedDifference(bases.values, bounds.values, { block }).high < 0
  if (!isSure) return { value, interval: EVERYTHING }
  const interval = bootstrap(
    [bases.values, owns.values, bounds.values],
    ([worst = 0, mine = 0, best = 0]) => (worst - mine) / (worst - best),
    { block }
  )
  return { value, interval }
}
