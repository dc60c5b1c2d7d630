import { expect, test } from 'vitest'
import type { PolicyEntry } from '../../../../optimizer/lab/catalog.ts'
import { findPolicies } from '../../../../optimizer/lab/catalog.ts'
import type { RunMetrics } from '../../../../optimizer/lab/metrics.ts'
import { BASE_POLICY, emptySeries, reportsOf } from '../../../../optimizer/lab/policy-report.ts'
import type { PolicyReport, Series } from '../../../../optimizer/lab/policy-report.ts'
import { EVERYTHING } from '../../../../optimizer/lab/statistics.ts'

const JUDGING = { byMakespan: false, overlap: 1 }
const ENTRIES: readonly PolicyEntry[] = findPolicies([BASE_POLICY, 'sjf-last2', 'sjf-oracle'])

function metrics(meanJctS: number): RunMetrics {
  const zero = { p50JctS: 0, p95JctS: 0, p99JctS: 0, meanWaitS: 0, utilisation: 0, fairness: 0, wasted: 0 }
  return { ...zero, meanJctS, boundedSlowdown: 1, makespanRatio: meanJctS / 10 }
}

interface Shape {
  readonly sample?: string
  readonly seed: number
}

/** Runs of these shapes whose means are the base's, less `saved`, by a little more or less from run to run. */
function seriesOf(shapes: readonly Shape[], saved: number): Series {
  const series = emptySeries(false)
  shapes.forEach(({ sample, seed }, index) => {
    const meanJctS = 100 + 10 * (index % 3) - saved - (saved === 0 ? 0 : index % 2)
    series.runs.push({ seed, sample, metrics: metrics(meanJctS) })
  })
  return series
}

function reports(shapes: readonly Shape[], judging = JUDGING, bound = 40): PolicyReport[] {
  const series = new Map([
    [BASE_POLICY, seriesOf(shapes, 0)],
    ['sjf-last2', seriesOf(shapes, 20)],
    ['sjf-oracle', seriesOf(shapes, bound)]
  ])
  return reportsOf(ENTRIES, series, judging)
}

const seeds = (count: number, sample?: string): Shape[] =>
  Array.from({ length: count }, (_, seed) => ({ seed, ...(sample !== undefined && { sample }) }))
const windows = (count: number, seed: number): Shape[] =>
  Array.from({ length: count }, (_, index) => ({ seed, sample: `window ${index}` }))

test('measurements are samples, each the mean of its seeds, and seeds where there is one sample', () => {
  const measurements = (shapes: readonly Shape[]): number | undefined => reports(shapes)[1]?.measurements
  expect(measurements(seeds(5))).toBe(5)
  expect(measurements(seeds(3, 'window 0'))).toBe(3)
  expect(measurements([...windows(4, 0), ...windows(4, 1)])).toBe(4)
  expect(measurements(seeds(1))).toBe(0)
})

test('more seeds of the same windows do not make the interval what more windows would', () => {
  const width = (shapes: readonly Shape[]): number => {
    const { low, high } = reports(shapes)[1]!.ci95.meanJctS
    return high - low
  }
  const twice = [...windows(6, 0), ...windows(6, 1)]
  expect(width(twice)).toBeCloseTo(width(windows(6, 0)), 6)
  expect(width(windows(12, 0))).toBeLessThan(0.8 * width(windows(6, 0)))
})

test('windows that overlap count as fewer', () => {
  const [, apart] = reports(windows(12, 0))
  const [, alike] = reports(windows(12, 0), { ...JUDGING, overlap: 4 })
  expect(apart!.measurements).toBe(12)
  expect(alike!.measurements).toBe(3)
  expect(alike!.againstBase!.p).toBeGreaterThan(apart!.againstBase!.p)
})

test('one run without units of its own says nothing of the next', () => {
  const [, one] = reports(seeds(1), { byMakespan: true, overlap: 1 })
  expect(one!.ci95.makespanRatio).toEqual(EVERYTHING)
  expect(one!.againstBase!.p).toBe(1)
  expect(one!.gapClosed).toBeCloseTo(0.51, 1)
  expect(one!.ci95.gapClosed).toEqual(EVERYTHING)
})

test('the tasks of an only run are resampled in blocks', () => {
  const series = new Map([[BASE_POLICY, emptySeries(false)]])
  const base = series.get(BASE_POLICY)!
  base.runs.push({ seed: 0, sample: undefined, metrics: metrics(1) })
  base.jctS = Float64Array.from({ length: 1000 }, (_, index) => (index < 500 ? 0 : 2))
  base.slowdown = base.jctS
  const [only] = reportsOf(findPolicies([BASE_POLICY]), series, JUDGING)
  expect(only!.measurements).toBe(20)
  // Independent, a thousand of 0 and 2 would have a mean that is sure to 0.06.
  expect(only!.ci95.meanJctS.high - only!.ci95.meanJctS.low).toBeGreaterThan(0.6)
})

test('a gap has an interval where it is sure that there is one, and only there', () => {
  const [, sure] = reports(seeds(6))
  expect(sure!.gapClosed).toBeCloseTo(0.506, 2)
  expect(sure!.ci95.gapClosed!.low).toBeGreaterThan(0.45)
  expect(sure!.ci95.gapClosed!.high).toBeLessThan(0.55)
  const [, unsure] = reports(seeds(2), JUDGING, 0.2)
  expect(unsure!.gapClosed).toBeGreaterThan(1)
  expect(unsure!.ci95.gapClosed).toEqual(EVERYTHING)
  const [, none] = reports(seeds(6), JUDGING, 0)
  expect(none!.gapClosed).toBeUndefined()
  expect(none!.ci95.gapClosed).toBeUndefined()
})

test('the gap to shortest first with the truth does not move with the bound of the policy itself', () => {
  const entries = findPolicies([BASE_POLICY, 'learned', 'learned-oracle', 'sjf-oracle'])
  const all = new Map([
    [BASE_POLICY, seriesOf(seeds(6), 0)],
    ['learned', seriesOf(seeds(6), 20)],
    ['learned-oracle', seriesOf(seeds(6), 50)],
    ['sjf-oracle', seriesOf(seeds(6), 40)]
  ])
  const [, learned] = reportsOf(entries, all, JUDGING)
  expect(learned!.gapClosed).toBeCloseTo(20.5 / 50.5, 6)
  expect(learned!.gapToSjf).toBeCloseTo(20.5 / 40.5, 6)
  expect(learned!.ci95.gapToSjf!.low).toBeGreaterThan(0.45)
  // Of workflows one after the other SJF says nothing, and where it did not run, nothing is said.
  expect(reportsOf(entries, all, { ...JUDGING, byMakespan: true })[1]!.gapToSjf).toBeUndefined()
  all.delete('sjf-oracle')
  expect(reportsOf(entries.slice(0, 3), all, JUDGING)[1]!.gapToSjf).toBeUndefined()
})

test('p-values are adjusted for what one could choose: bounds are not', () => {
  const [base, own, bound] = reports(seeds(6))
  expect(base!.holmP).toBeUndefined()
  expect(bound!.holmP).toBeUndefined()
  expect(own!.holmP).toBe(own!.againstBase!.p)
  expect(own!.againstBase!.p).toBe(2 / 64)
})
