/** What the report's plots show, as plain numbers: drawing them is not this folder's job. */
import type { AttemptRecord, SimResult } from '../sim/types.ts'
import type { Calibration } from './calibration.ts'
import { quantileSorted } from './metrics.ts'
import type { PolicyReport } from './policy-report.ts'
import type { Run } from './protocol.ts'
import type { Interval } from './statistics.ts'

type Point = readonly [x: number, y: number]

export interface Curve {
  readonly name: string
  readonly points: readonly Point[]
}

export interface GanttBar {
  readonly lane: number
  /** Seconds since the first submission. */
  readonly from: number
  readonly to: number
  readonly name: string
}

export interface PlotData {
  readonly jct: readonly Curve[]
  readonly gaps: readonly { name: string; value: number; low: number; high: number }[]
  readonly utilisation: readonly Curve[]
  readonly gantt: readonly { readonly policy: string; readonly bars: readonly GanttBar[] }[]
  readonly calibration: readonly Curve[]
}

const CURVE_POINTS = 100
const TIME_BINS = 160
const GANTT_BARS = 600
const GANTT_POLICIES = 3

/** Plot data of one instance's runs; all runs must have recorded their attempts. */
export function plotData(
  runs: readonly Run[],
  reports: readonly PolicyReport[],
  calibrations: readonly Calibration[]
): PlotData {
  const lastEnd = runs.reduce((latest, run) => Math.max(latest, run.result.endedAt), 0)
  return {
    jct: runs.map((run) => ({ name: run.policy, points: distribution(run.judged.jctMs) })),
    gaps: reports.flatMap(({ policy, gapClosed, ci95 }) =>
      gapClosed === undefined || ci95.gapClosed === undefined
        ? []
        : [{ name: policy, value: gapClosed, ...drawable(ci95.gapClosed, gapClosed) }]
    ),
    utilisation: runs.map((run) => ({ name: run.policy, points: utilisation(run, lastEnd) })),
    gantt: runs.slice(0, GANTT_POLICIES).map((run) => ({ policy: run.policy, bars: gantt(run.result) })),
    calibration: calibrations.map(({ estimator, reliability }) => ({ name: estimator, points: reliability }))
  }
}

/** What is not known has no whiskers. */
function drawable(interval: Interval, at: number): Interval {
  const isKnown = Number.isFinite(interval.low) && Number.isFinite(interval.high)
  return isKnown ? interval : { low: at, high: at }
}

/** The cumulative distribution: [seconds, share], rising. */
function distribution(jctMs: Float64Array): Point[] {
  const sorted = jctMs.slice().sort()
  return Array.from({ length: CURVE_POINTS + 1 }, (_, index) => {
    const share = index / CURVE_POINTS
    return [Math.max(1, quantileSorted(sorted, share)) / 1000, share] as const
  })
}

/** [seconds, share of capacity in use] over equal bins of time. */
function utilisation(run: Run, untilMs: number): Point[] {
  const { result, instance } = run
  const start = result.workload.tasks[0]?.submittedAt ?? 0
  const binMs = Math.max(1, (untilMs - start) / TIME_BINS)
  const busy = new Float64Array(TIME_BINS)
  for (const attempt of result.attempts) addSpan(busy, attempt, start, binMs, widthOf(result, attempt))
  const capacity = instance.cluster.reduce(
    (sum, node) => sum + (node.resources['cpu'] ?? node.slots * 1000),
    0
  )
  return Array.from(busy, (used, bin) => [((bin + 0.5) * binMs) / 1000, used / (capacity * binMs)] as const)
}

/** Thousandths of a core that the attempt holds; a whole one when its task does not say. */
function widthOf(result: SimResult, attempt: AttemptRecord): number {
  return result.workload.tasks[attempt.task - 1]?.resources['cpu'] ?? 1000
}

function addSpan(
  busy: Float64Array,
  attempt: AttemptRecord,
  start: number,
  binMs: number,
  width: number
): void {
  const first = Math.max(0, Math.floor((attempt.placedAt - start) / binMs))
  const last = Math.min(busy.length - 1, Math.floor((attempt.endedAt - start) / binMs))
  for (let bin = first; bin <= last; bin++) {
    const from = Math.max(attempt.placedAt, start + bin * binMs)
    const to = Math.min(attempt.endedAt, start + (bin + 1) * binMs)
    busy[bin] = (busy[bin] ?? 0) + Math.max(0, to - from) * width
  }
}

/** The first attempts that ended, each in the lowest lane that is free on its node. */
function gantt(result: SimResult): GanttBar[] {
  const start = result.workload.tasks[0]?.submittedAt ?? 0
  const byStart = result.attempts
    .slice(0, GANTT_BARS)
    .sort((a, b) => a.placedAt - b.placedAt || a.task - b.task)
  const lanes: { node: number; freeAt: number }[] = []
  return byStart.map((attempt) => {
    let lane = lanes.findIndex((other) => other.node === attempt.node && other.freeAt <= attempt.placedAt)
    if (lane < 0) lane = lanes.push({ node: attempt.node, freeAt: 0 }) - 1
    const taken = lanes[lane]
    if (taken !== undefined) taken.freeAt = attempt.endedAt
    return {
      lane,
      from: (attempt.placedAt - start) / 1000,
      to: (attempt.endedAt - start) / 1000,
      name: result.workload.tasks[attempt.task - 1]?.name ?? ''
    }
  })
}
