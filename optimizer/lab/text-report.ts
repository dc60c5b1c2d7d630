/** A report as lines of text and as the JSON object that other tools read. */
import type { Calibration } from './calibration.ts'
import type { Phase, PolicyReport } from './policy-report.ts'
import type { TraceReport } from './protocol.ts'
import type { Interval } from './statistics.ts'
import type { LeftOut } from './trace.ts'

/** Where and on what a result was measured. */
export interface Provenance {
  /** 'unknown' where the code is in no repository of its own. */
  readonly commit: string
  /** Whether tracked files differ from the commit; null when that is unknown. */
  readonly dirty: boolean | null
  readonly machine: string
}

/** What else the JSON object holds. */
export interface ReportDetails {
  readonly calibration: Calibration | undefined
  /** What was asked for, by option; null for what was not. */
  readonly options: Readonly<Record<string, unknown>>
  readonly traceSha256: string | null
  readonly cluster: object
  readonly leftOut: LeftOut | undefined
  readonly notes: readonly string[]
  readonly runs: readonly object[]
}

const HEADERS = [
  'policy',
  'JCT s',
  '95 %',
  'p95 s',
  'p99 s',
  'slowdown',
  'makespan',
  'gap closed',
  'to SJF',
  'vs base',
  'p (Holm)',
  'cold',
  'warm',
  'util',
  'p50/p99 µs',
  'µs/task',
  'dec./s'
]

/** The table that people read. */
export function textReport(report: TraceReport, provenance: Provenance): string {
  const rows = report.policies.map(rowOf)
  const widths = HEADERS.map((header, column) =>
    Math.max(header.length, ...rows.map((row) => row[column]?.length ?? 0))
  )
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)
      )
      .join('  ')
  return [
    `${report.trace}: load ${report.load.toFixed(3)}, seeds ${report.seeds.join(', ')}; commit ${commitOf(provenance)}, ${provenance.machine}`,
    'Means over runs; 95 % intervals, [?] where nothing can be said; gap closed: to the same policy with the truth, and to sjf-oracle where it ran; cold = first 10 % of arrivals (mean JCT; single DAGs: makespan); vs base = paired change of mean JCT (single DAGs: makespan) against ' +
      report.base +
      ', sign-flip p adjusted for the number of policies; µs/task and dec./s = all of the policy’s time by finished task, placements by that time',
    '',
    line(HEADERS),
    ...rows.map(line)
  ].join('\n')
}

/** The commit, and whether the code is another than that. */
export function commitOf({ commit, dirty }: Provenance): string {
  return dirty === true ? `${commit} (changed)` : commit
}

/** What the figures do not contain, and what else must be known to read them. */
export function noteLines(leftOut: LeftOut | undefined, notes: readonly string[]): string[] {
  const lines = notes.map((note) => `note: ${note}`)
  if (leftOut === undefined) return lines
  const { tasks, of, workShare, why } = leftOut
  return [`left out: ${tasks} of ${of} tasks with ${percent(workShare)} of the work: ${why}`, ...lines]
}

function rowOf(policy: PolicyReport): string[] {
  const { againstBase: against } = policy
  return [
    policy.policy,
    figure(policy.meanJctS),
    between(policy.ci95.meanJctS, figure),
    figure(policy.p95JctS),
    figure(policy.p99JctS),
    figure(policy.boundedSlowdown),
    policy.makespanRatio.toFixed(3),
    gap(policy.gapClosed, policy.ci95.gapClosed),
    gap(policy.gapToSjf, policy.ci95.gapToSjf),
    against === undefined
      ? '–'
      : `${percent(against.relative)} ${between(against.relativeInterval, percent)}`,
    policy.holmP === undefined ? '–' : policy.holmP < 0.005 ? '<.005' : policy.holmP.toFixed(3),
    phase(policy.coldStart),
    phase(policy.warm),
    policy.utilisation.toFixed(2),
    `${policy.decisionP50Us.toFixed(1)}/${policy.decisionP99Us.toFixed(1)}`,
    policy.policyUsPerTask.toFixed(1),
    policy.decisionsPerS?.toFixed(0) ?? '–'
  ]
}

function phase({ makespanRatio, meanJctS }: Phase): string {
  if (meanJctS === 0) return '–'
  return makespanRatio === undefined ? figure(meanJctS) : makespanRatio.toFixed(3)
}

/** One line for each predictor. */
export function calibrationLines(calibrations: readonly Calibration[]): string[] {
  return calibrations.map(
    ({ estimator, predictions, maeLn, coverage90, coverage99 }) =>
      `predictor ${estimator}: ${predictions} predictions, mean |Δ ln run time| ${maeLn.toFixed(3)}, ` +
      `at or below p90 ${percent(coverage90)}, p99 ${percent(coverage99)}`
  )
}

/** The object that `--json` prints: the report with where it was measured, and all that it takes to measure it again. */
export function jsonReport(report: TraceReport, provenance: Provenance, details: ReportDetails): object {
  const { calibration, leftOut, runs, ...others } = details
  return {
    trace: report.trace,
    load: report.load,
    seeds: report.seeds,
    ...provenance,
    ...others,
    leftOut: leftOut ?? null,
    base: report.base,
    // JSON has no infinities: ends of intervals that are not known become null.
    policies: report.policies.map(({ gapClosed, gapToSjf, holmP, ...policy }) => ({
      ...policy,
      gapClosed: gapClosed ?? null,
      gapToSjf: gapToSjf ?? null,
      holmP: holmP ?? null
    })),
    estimator: calibration ?? null,
    runs
  }
}

function gap(closed: number | undefined, interval: Interval | undefined): string {
  if (closed === undefined || interval === undefined) return '–'
  const share = (value: number): string => value.toFixed(2)
  return `${closed.toFixed(3)} ${between(interval, share)}`
}

/** An interval; `[?]` where nothing is known. */
export function between(interval: Interval, format: (value: number) => string): string {
  const { low, high } = interval
  return isKnown(interval) ? `[${format(low)}, ${format(high)}]` : '[?]'
}

function isKnown({ low, high }: Interval): boolean {
  return Number.isFinite(low) && Number.isFinite(high)
}

/** Three or four significant digits, without exponents. */
function figure(value: number): string {
  if (value >= 1000) return value.toFixed(0)
  return value.toPrecision(3)
}

function percent(ratio: number): string {
  return `${(100 * ratio).toFixed(1)}%`
}
