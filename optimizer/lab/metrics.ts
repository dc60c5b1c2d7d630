/** Figures of one simulated run. Times in seconds unless a name says otherwise. */
import type { SimResult } from '../sim/types.ts'
import { groupedBy } from './ideal.ts'
import type { Instance, Unit } from './trace.ts'

/** What happened to each unit, in order of submission. */
export interface Outcomes {
  /** Finish − submit. */
  readonly jctMs: Float64Array
  /** max(1, JCT ÷ max(ideal, bound)); see `Instance.idealMs`. */
  readonly slowdown: Float64Array
  readonly submittedAt: Float64Array
  readonly tenant: readonly string[]
  /** The index of each unit's (first) task. */
  readonly index: Int32Array
  /** Whether each unit is a group (1) or a task (0). */
  readonly isGroup: Uint8Array
  /** How many of the units are groups. */
  readonly groups: number
}

export interface RunMetrics {
  readonly meanJctS: number
  readonly p50JctS: number
  readonly p95JctS: number
  readonly p99JctS: number
  /** Mean bounded slowdown. */
  readonly boundedSlowdown: number
  readonly meanWaitS: number
  /** Makespan ÷ its lower bound. */
  readonly makespanRatio: number
  /** Busy core time (slot time where tasks ask for no cpu) ÷ core time until the end. */
  readonly utilisation: number
  /** Jain's index over tenants' mean slowdown, in (0, 1]; 1 is fair. */
  readonly fairness: number
  /** Share of slot time spent on attempts that did not succeed. */
  readonly wasted: number
}

/** Outcomes of all units that finished. `boundMs` as in `Trace.slowdownBoundMs`, `idealMs` as in `Instance`. */
export function outcomes(
  result: Pick<SimResult, 'workload' | 'finishedAt'>,
  unit: Unit,
  boundMs: number,
  idealMs: ArrayLike<number>
): Outcomes {
  const { workload, finishedAt } = result
  const jct: number[] = []
  const slowdown: number[] = []
  const submitted: number[] = []
  const tenant: string[] = []
  const indexes: number[] = []
  const isGroup: number[] = []
  const grouped = groupedBy(workload, unit)
  const ends = new Float64Array(workload.tasks.length).fill(-1)
  workload.tasks.forEach((task, index) => {
    const group = task.group - 1
    ends[group] = Math.max(ends[group] ?? -1, finishedAt[index] ?? -1)
  })
  workload.tasks.forEach((task, index) => {
    const inGroup = grouped(task)
    if (inGroup && task.group - 1 !== index) return
    const end = (inGroup ? ends : finishedAt)[index] ?? -1
    if (end < 0) return
    const time = end - task.submittedAt
    jct.push(time)
    slowdown.push(Math.max(1, time / Math.max(idealMs[index] ?? 0, boundMs)))
    submitted.push(task.submittedAt)
    tenant.push(task.tenant)
    indexes.push(index)
    isGroup.push(inGroup ? 1 : 0)
  })
  return {
    jctMs: Float64Array.from(jct),
    slowdown: Float64Array.from(slowdown),
    submittedAt: Float64Array.from(submitted),
    tenant,
    index: Int32Array.from(indexes),
    isGroup: Uint8Array.from(isGroup),
    groups: isGroup.reduce((sum, one) => sum + one, 0)
  }
}

/** The figures of a run over the units in [from, to) of `judged`. */
export function metricsOf(
  result: SimResult,
  instance: Instance,
  judged: Outcomes,
  from = 0,
  to = judged.jctMs.length
): RunMetrics {
  const jct = judged.jctMs.slice(from, to)
  const slowdown = judged.slowdown.slice(from, to)
  const sorted = jct.slice().sort()
  const first = result.workload.tasks[0]?.submittedAt ?? 0
  const cores = instance.cluster.reduce(
    (sum, node) => sum + (node.resources['cpu'] ?? node.slots * 1000) / 1000,
    0
  )
  return {
    meanJctS: mean(jct) / 1000,
    p50JctS: quantileSorted(sorted, 0.5) / 1000,
    p95JctS: quantileSorted(sorted, 0.95) / 1000,
    p99JctS: quantileSorted(sorted, 0.99) / 1000,
    boundedSlowdown: mean(slowdown),
    meanWaitS: meanWait(result) / 1000,
    makespanRatio: (result.endedAt - first) / Math.max(1, instance.makespanBoundMs),
    utilisation: result.busyCoreMs / Math.max(1, cores * (result.endedAt - first)),
    fairness: jain(tenantMeans(judged.tenant.slice(from, to), slowdown)),
    wasted: result.busyMs === 0 ? 0 : result.wastedMs / result.busyMs
  }
}

/** Start − ready, averaged over tasks that ran. */
function meanWait(result: SimResult): number {
  let total = 0
  let count = 0
  result.startedAt.forEach((start, index) => {
    if (start < 0) return
    total += start - (result.readyAt[index] ?? start)
    count++
  })
  return count === 0 ? 0 : total / count
}

function tenantMeans(tenants: readonly string[], values: Float64Array): number[] {
  const sums = new Map<string, { total: number; count: number }>()
  tenants.forEach((tenant, index) => {
    const sum = sums.get(tenant) ?? { total: 0, count: 0 }
    sum.total += values[index] ?? 0
    sum.count++
    sums.set(tenant, sum)
  })
  return [...sums.values()].map((sum) => sum.total / sum.count)
}

/** Jain's fairness index of positive values: (Σx)² ÷ (n Σx²); 1 for none. */
export function jain(values: readonly number[]): number {
  const sum = values.reduce((total, value) => total + value, 0)
  const squares = values.reduce((total, value) => total + value * value, 0)
  return squares === 0 ? 1 : (sum * sum) / (values.length * squares)
}

/** The arithmetic mean; 0 for none. */
export function mean(values: ArrayLike<number>): number {
  let total = 0
  for (let index = 0; index < values.length; index++) total += values[index] ?? 0
  return values.length === 0 ? 0 : total / values.length
}

/** The q-quantile of sorted values by linear interpolation (type 7); 0 for none. */
export function quantileSorted(sorted: ArrayLike<number>, q: number): number {
  if (sorted.length === 0) return 0
  const at = q * (sorted.length - 1)
  const low = Math.floor(at)
  const below = sorted[low] ?? 0
  const above = sorted[Math.min(low + 1, sorted.length - 1)] ?? below
  return below + (above - below) * (at - low)
}
