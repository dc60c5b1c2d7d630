/**
 * Policies against each other on a replay of history, pair by pair.
 *
 * 1. Units are tasks, and groups whose tasks need one another (DAGs), each of which counts once.
 * 2. Beside the base stands what was recorded, of the units that have ended: of a DAG some of whose tasks have not, there is
 *    no such record, though it is a unit as any other.
 * 3. Intervals come from resampled blocks of neighbouring units (`optimizer/lab/statistics.ts`): units that wait together are not
 *    independent.
 * 4. A policy that breaks the contract has failed, and says how; the others' figures stand.
 * 5. `pace` is called between simulations and between intervals; during simulations policies do (`paced.ts`).
 */
import { createRng } from '../../base/prng.ts'
import type { PolicyFactory } from '../../scheduler/policy.ts'
import { mean, outcomes, quantileSorted } from '../lab/metrics.ts'
import type { Outcomes } from '../lab/metrics.ts'
import { blockLength, pairedDifference } from '../lab/statistics.ts'
import type { PairedDifference } from '../lab/statistics.ts'
import { fastestRuns, groupedBy, idealTimes } from '../lab/ideal.ts'
import { simulate } from '../sim/engine.ts'
import type { Pace } from './paced.ts'
import type { Replay } from './replay.ts'

/** Who takes part: `make` gives a fresh policy with an estimator of its own. */
export interface Contender {
  readonly name: string
  readonly make: PolicyFactory
}

/** How a contender did. Times in milliseconds. */
export interface ContenderResult {
  readonly name: string
  readonly meanJctMs: number
  readonly p95JctMs: number
  readonly p99JctMs: number
  readonly boundedSlowdown: number
  /** Completion time against the base, unit by unit: negative is better. */
  readonly jct: PairedDifference
  readonly slowdown: PairedDifference
}

/** What was judged: tasks by themselves, and DAGs as wholes. */
interface Units {
  readonly tasks: number
  readonly dags: number
}

/** What really became of the units that have ended, and what the base makes of the same. */
export interface Recorded {
  readonly units: number
  /** Mean completion times from the same arrivals, in milliseconds. */
  readonly meanJctMs: number
  readonly replayedMeanJctMs: number
}

export interface Comparison {
  /** The first contender, that the others are compared with. */
  readonly base: string
  readonly units: Units
  /** Undefined when none has ended. */
  readonly recorded: Recorded | undefined
  readonly results: readonly ContenderResult[]
  readonly failures: readonly { readonly name: string; readonly message: string }[]
}

/** Rule 1. */
const UNIT = 'dag'
/** Below this run time a bounded slowdown does not count less, in milliseconds. */
const SLOWDOWN_BOUND_MS = 1000
/** Of the base against itself. */
const NO_DIFFERENCE: PairedDifference = {
  ...{ difference: 0, relative: 0, low: 0, high: 0 },
  relativeInterval: { low: 0, high: 0 }
}
/** All contenders draw from the same seed. */
const SEED = 0x6a7d

/** Runs each contender over the replay. Throws what the base throws: without it there is nothing to compare with. */
export function compare(
  replay: Replay,
  base: Contender,
  others: readonly Contender[],
  pace: Pace = () => undefined
): Comparison {
  const measured = run(replay, base)
  const results = [resultOf(base.name, measured, NO_DIFFERENCE, NO_DIFFERENCE)]
  const failures: { name: string; message: string }[] = []
  for (const contender of others) {
    try {
      results.push(against(measured, contender.name, run(replay, contender), pace))
    } catch (error) {
      failures.push({ name: contender.name, message: String(error) })
    }
  }
  const { jctMs, groups: dags } = measured
  return {
    base: base.name,
    units: { tasks: jctMs.length - dags, dags },
    recorded: recordedOf(replay, measured),
    results,
    failures
  }
}

function run(replay: Replay, contender: Contender): Outcomes {
  const { workload, cluster, model } = replay
  const { finishedAt } = simulate(workload, cluster, contender.make(createRng(SEED)), { model: model() })
  return outcomesOf(replay, finishedAt)
}

/** Rule 2. */
function recordedOf(replay: Replay, base: Outcomes): Recorded | undefined {
  const { workload, recordedEndsMs } = replay
  const grouped = groupedBy(workload, UNIT)
  const hasEnded = (index: number): boolean => (recordedEndsMs[index] ?? -1) >= 0
  const open = new Set(workload.tasks.flatMap(({ group }, index) => (hasEnded(index) ? [] : [group])))
  const ends = Float64Array.from(workload.tasks, (task, index) =>
    grouped(task) && open.has(task.group) ? -1 : (recordedEndsMs[index] ?? -1)
  )
  const { jctMs, index } = outcomesOf(replay, ends)
  if (jctMs.length === 0) return undefined
  const same = new Set(index)
  const replayed = base.jctMs.filter((_, unit) => same.has(base.index[unit] ?? -1))
  return { units: jctMs.length, meanJctMs: mean(jctMs), replayedMeanJctMs: mean(replayed) }
}

function outcomesOf({ workload, cluster }: Replay, finishedAt: Float64Array): Outcomes {
  const ideal = idealTimes(workload, UNIT, fastestRuns(workload, cluster))
  return outcomes({ workload, finishedAt }, UNIT, SLOWDOWN_BOUND_MS, ideal)
}

function against(base: Outcomes, name: string, own: Outcomes, pace: Pace): ContenderResult {
  pace()
  const resampling = { block: blockLength(own.jctMs.length) }
  const jct = pairedDifference(base.jctMs, own.jctMs, resampling)
  pace()
  return resultOf(name, own, jct, pairedDifference(base.slowdown, own.slowdown, resampling))
}

function resultOf(
  name: string,
  own: Outcomes,
  jct: PairedDifference,
  slowdown: PairedDifference
): ContenderResult {
  const sorted = Float64Array.from(own.jctMs).sort()
  return {
    name,
    meanJctMs: mean(own.jctMs),
    p95JctMs: quantileSorted(sorted, 0.95),
    p99JctMs: quantileSorted(sorted, 0.99),
    boundedSlowdown: mean(own.slowdown),
    jct,
    slowdown
  }
}
