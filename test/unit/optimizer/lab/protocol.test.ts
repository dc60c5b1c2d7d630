import { expect, test } from 'vitest'
import { BASELINES, defaultPolicies, findPolicies } from '../../../../optimizer/lab/catalog.ts'
import { runProtocol } from '../../../../optimizer/lab/protocol.ts'
import { SYNTHETIC_DEFAULTS, syntheticTrace } from '../../../../optimizer/lab/synthetic.ts'
import { jsonReport, noteLines, textReport } from '../../../../optimizer/lab/text-report.ts'

const trace = syntheticTrace({ ...SYNTHETIC_DEFAULTS, tasks: 400, nodes: 4 })
const names = ['fifo-fit', 'sjf-last2', 'sjf-oracle']

test('the gap closed is 0 for the base and 1 for the clairvoyant run, and both carry intervals', () => {
  const report = runProtocol(trace, { policies: findPolicies(names), load: 0.9, seeds: 5 })
  const [base, learned, clairvoyant] = report.policies
  expect(base!.gapClosed).toBeUndefined()
  expect(base!.againstBase!.relative).toBe(0)
  expect(clairvoyant!.gapClosed).toBe(1)
  const gap = (base!.meanJctS - learned!.meanJctS) / (base!.meanJctS - clairvoyant!.meanJctS)
  expect(learned!.gapClosed).toBeCloseTo(gap)
  expect(learned!.ci95.gapClosed!.low).toBeLessThanOrEqual(gap)
  expect(learned!.ci95.gapClosed!.high).toBeGreaterThanOrEqual(gap)
  expect(report.load).toBeCloseTo(0.9, 1)
})

test.each([
  [1, 20],
  [3, 3]
])('of %i seeds there are %i measurements', (seeds, measurements) => {
  const [base] = runProtocol(trace, { policies: findPolicies(['fifo-fit']), load: 0.9, seeds }).policies
  const { low, high } = base!.ci95.meanJctS
  expect(base!.measurements).toBe(measurements)
  expect(low).toBeLessThan(base!.meanJctS)
  expect(high).toBeGreaterThan(base!.meanJctS)
  expect(Number.isFinite(high - low)).toBe(true)
})

test('the same options give the same report', () => {
  const once = (): unknown =>
    runProtocol(trace, { policies: findPolicies(['random', 'power-of-two']), load: 0.9, seeds: 2 })
  expect(once()).toEqual(once())
})

test('cold start is the first tenth of arrivals', () => {
  const [base] = runProtocol(trace, { policies: findPolicies(['fifo-fit']), load: 0.9, seeds: 1 }).policies
  const { coldStart, warm, meanJctS } = base!
  // Groups and stragglers aside, 40 of 400 tasks are cold.
  expect(0.1 * coldStart.meanJctS + 0.9 * warm.meanJctS).toBeCloseTo(meanJctS, 6)
})

test('decisions and runs are timed with the clock that is passed in', () => {
  let ticks = 0
  const [base] = runProtocol(trace, {
    policies: findPolicies(['fifo-fit']),
    load: 0.9,
    seeds: 1,
    clockUs: () => (ticks += 3)
  }).policies
  expect(base!.decisionP50Us).toBe(3)
  // Two readings a decision and two a run, each 3 µs after the one before.
  expect(base!.completionsPerS).toBeCloseTo(base!.tasksFinished / ((ticks - 3) / 1e6), 6)
})

test('progress is told per run', () => {
  const runs = new Set<number>()
  runProtocol(trace, {
    policies: findPolicies(names),
    load: 0.9,
    seeds: 2,
    onProgress: ({ run }) => runs.add(run)
  })
  expect([...runs]).toEqual([0, 1, 2, 3, 4, 5])
})

test('every baseline finishes a synthetic workload with stragglers and failures', () => {
  const small = syntheticTrace({ ...SYNTHETIC_DEFAULTS, tasks: 120, nodes: 3 })
  const { policies } = runProtocol(small, { policies: BASELINES, load: 0.8, seeds: 1 })
  for (const { policy, tasksFinished } of policies) expect([policy, tasksFinished]).toEqual([policy, 120])
})

test('an unknown policy is refused with the names that exist', () => {
  expect(() => findPolicies(['fifo-fit', 'best'])).toThrow(/policy: got "best", expected one of fifo-fit, /)
})

test('names are unique, and every clairvoyant counterpart exists', () => {
  const all = BASELINES.map(({ name }) => name)
  expect(new Set(all).size).toBe(all.length)
  for (const { clairvoyant } of BASELINES) if (clairvoyant !== undefined) expect(all).toContain(clairvoyant)
  for (const family of ['independent', 'dags', 'one-dag', 'packing'] as const) {
    expect(defaultPolicies(family).map(({ name }) => name)).toContain('fifo-fit')
  }
})

test('a report is a table for people and an object for machines', () => {
  const report = runProtocol(trace, { policies: findPolicies(names), load: 0.9, seeds: 1 })
  const provenance = { commit: 'abc', dirty: true, machine: 'test' }
  const leftOut = { tasks: 3, of: 4, workShare: 0.999, why: 'that never ran' }
  const details = {
    ...{ calibration: undefined, options: { load: 0.9 }, traceSha256: null, cluster: {} },
    ...{ leftOut, notes: ['so it is'], runs: [{ policy: 'fifo-fit' }] }
  }
  expect(noteLines(leftOut, ['so it is'])).toEqual([
    'left out: 3 of 4 tasks with 99.9% of the work: that never ran',
    'note: so it is'
  ])
  expect(textReport(report, provenance)).toContain('commit abc (changed), test')
  expect(
    textReport(report, provenance)
      .split('\n')
      .filter((line) => /^(fifo|sjf)-/.test(line))
  ).toHaveLength(3)
  expect(JSON.parse(JSON.stringify(jsonReport(report, provenance, details)))).toMatchObject({
    trace: 'synthetic',
    seeds: [0],
    commit: 'abc',
    dirty: true,
    leftOut,
    notes: ['so it is'],
    options: { load: 0.9 },
    runs: [{ policy: 'fifo-fit' }],
    machine: 'test',
    policies: [
      { policy: 'fifo-fit', gapClosed: null },
      { policy: 'sjf-last2' },
      { policy: 'sjf-oracle', gapClosed: 1 }
    ],
    estimator: null
  })
})

test('all of a policy’s time is told by task and by placement', () => {
  let now = 0
  const report = runProtocol(trace, {
    policies: findPolicies(['fifo-fit']),
    load: 0.9,
    seeds: 1,
    clockUs: () => (now += 2)
  })
  const [fifo] = report.policies
  // Each reading is 2 µs after the last, and so each block takes 2 µs: at least those of arrival, two decisions and the end.
  expect([fifo!.decisionMeanUs, fifo!.decisionP50Us, fifo!.decisionP99Us]).toEqual([2, 2, 2])
  expect(fifo!.policyUsPerTask).toBeGreaterThan(6)
  expect(fifo!.policyUsPerTask).toBeLessThan(14)
  expect(fifo!.decisionsPerS! * fifo!.policyUsPerTask).toBeGreaterThanOrEqual(1e6)
})
