/**
 * The measuring protocol: which runs are made, and what is said of them.
 *
 * 1. Every policy runs on the same instances with the same luck. Learners start empty in each run; where the instances of a seed follow
 *    each other on one cluster (`Trace.sequential`), entries with `continues` start empty in the first and go on.
 * 2. Units (tasks, or groups for DAGs) in the first 10 % of arrivals are the cold start and are reported apart; in a sequence, the first
 *    10 % of the instances. Headline figures are over all, the cold start included.
 * 3. Headline: the gap closed, (base − X) ÷ (base − clairvoyant run of X), by mean JCT (by makespan for single DAGs);
 *    base is `fifo-fit`.
 * What is said of the runs is in `policy-report.ts`.
 */
import { createRng } from '../../base/prng.ts'
import type { Rng } from '../../base/prng.ts'
import type { Policy } from '../../scheduler/policy.ts'
import { simulate } from '../sim/engine.ts'
import type { SimResult } from '../sim/types.ts'
import type { PolicyEntry } from './catalog.ts'
import { RunPolicies } from './continued.ts'
import { mean, metricsOf, outcomes } from './metrics.ts'
import type { Outcomes, RunMetrics } from './metrics.ts'
import { BASE_POLICY, emptySeries, reportsOf } from './policy-report.ts'
import type { PolicyReport, Series } from './policy-report.ts'
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

export interface TraceReport {
  readonly trace: string
  readonly load: number
  readonly seeds: readonly number[]
  readonly base: string
  readonly policies: readonly PolicyReport[]
}

const COLD_START = 0.1
const NONE = new Float64Array(0)

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
    const runPolicies = new RunPolicies(trace)
    let index = 0
    for (const instance of sequence ?? all) {
      loads.push(instance.load)
      for (const entry of options.policies) {
        const policy = runPolicies.of(entry, instance, policyRng(seed))
        const made = runOnce({ trace, instance, policy, entry, seed, index, run: run++ }, options)
        runPolicies.runEnded(entry, made.result)
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
    policies: reportsOf(options.policies, series, {
      byMakespan: trace.family === 'one-dag',
      overlap: trace.overlap ?? 1
    })
  }
}

interface RunInput {
  readonly trace: Trace
  readonly instance: Instance
  readonly policy: Policy
  readonly entry: PolicyEntry
  readonly seed: number
  readonly index: number
  readonly run: number
}

function runOnce(
  { trace, instance, policy, entry, seed, index, run }: RunInput,
  options: ProtocolOptions
): Run {
  const total = instance.workload.tasks.length
  const tell = (finishedTasks: number): void => {
    options.onProgress?.({ policy: entry.name, run, finishedTasks, totalTasks: total })
  }
  tell(0)
  const { clockUs = () => 0 } = options
  const beganUs = clockUs()
  const result = simulate(instance.workload, instance.cluster, policy, {
    model: instance.model(),
    outages: instance.outages,
    record: options.record ?? false,
    onProgress: tell,
    ...(options.clockUs !== undefined && { clockUs: options.clockUs })
  })
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
  const own = series.get(run.policy) ?? emptySeries(isCold !== undefined)
  own.runs.push({ seed: run.seed, sample: instance.sample, metrics: run.metrics })
  if (isCold !== undefined) (isCold ? own.cold : own.warm).push(run.metrics)
  else {
    own.cold.push(metricsOf(result, instance, judged, 0, cold))
    own.warm.push(metricsOf(result, instance, judged, cold))
  }
  for (const us of result.decisionUs) own.decisionUs.push(us)
  const isOnly = own.runs.length === 1
  own.jctS = isOnly ? judged.jctMs.map((ms) => ms / 1000) : NONE
  own.slowdown = isOnly ? judged.slowdown : NONE
  own.policyUs += result.policyUs
  own.placements += result.attemptCount
  own.tookUs += run.tookUs
  own.tasksFinished += result.succeeded.reduce((sum, done) => sum + done, 0)
  series.set(run.policy, own)
}
