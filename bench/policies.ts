/**
 * `npm run bench -- policies`: the policy lab's command. Reads files, measures time, prints; the rules are in
 * `optimizer/lab/`.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { AppError } from '../base/errors.ts'
import { calibrate } from '../optimizer/lab/calibration.ts'
import type { Calibration } from '../optimizer/lab/calibration.ts'
import { BASELINES, defaultPolicies, findPolicies } from '../optimizer/lab/catalog.ts'
import type { PolicyEntry } from '../optimizer/lab/catalog.ts'
import { plotData } from '../optimizer/lab/plot-data.ts'
import type { PlotData } from '../optimizer/lab/plot-data.ts'
import { BASE_POLICY, runProtocol } from '../optimizer/lab/protocol.ts'
import type { Run, TraceReport } from '../optimizer/lab/protocol.ts'
import { calibrationLines, jsonReport, textReport } from '../optimizer/lab/text-report.ts'
import type { Provenance } from '../optimizer/lab/text-report.ts'
import type { Trace } from '../optimizer/lab/trace.ts'
import { lastTwo, runningMean, userLimit } from '../optimizer/policies/predictors.ts'
import { htmlReport } from './lab/html.ts'
import { loadTrace } from './lab/load-trace.ts'
import { HELP, parseLabOptions } from './lab/options.ts'
import type { LabOptions } from './lab/options.ts'
import { progressDisplay } from './lab/progress.ts'

/** What can be asked for. Learned policies are added here. */
const POLICIES: readonly PolicyEntry[] = BASELINES

const MISUSE = 2

/** Runs the lab. Resolves to the exit code: 0, or 2 for a bad option or trace. */
export async function run(argv: string[]): Promise<number> {
  try {
    return await measure(parseLabOptions(argv))
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    console.error(error.message)
    return MISUSE
  }
}

/** Everything but errors. */
async function measure(options: LabOptions): Promise<number> {
  if (options.help) {
    console.log(HELP)
    return 0
  }
  if (options.list) {
    for (const { name, about } of POLICIES) console.log(`${name.padEnd(22)} ${about}`)
    return 0
  }
  const trace = loadTrace(options.trace, options)
  if (options.load !== undefined && !trace.loadIsUsed) {
    throw new AppError(
      'INVALID_REQUEST',
      `--load: got ${options.load}, expected none: ${trace.name} runs one DAG at a time`
    )
  }
  const policies = choosePolicies(trace, options.policies)
  const seeds = options.seeds ?? trace.defaultSeeds
  const display = progressDisplay(
    runsOf(trace, seeds, options.load) * policies.length,
    process.stderr.isTTY,
    (line) => {
      console.error(line)
    },
    () => performance.now()
  )
  const draws = options.html !== undefined || options.svg !== undefined
  // Plots and calibration show the first instance; the others are dropped once they are measured.
  const shown: Run[] = []
  const report = runProtocol(trace, {
    policies,
    seeds,
    load: options.load,
    record: draws,
    clockUs: () => performance.now() * 1000,
    onProgress: (progress) => {
      display.update(progress)
    },
    onResult: (run) => {
      if (shown[0] === undefined || run.instance === shown[0].instance) shown.push(run)
    }
  })
  display.stop()
  const provenance = provenanceOf()
  const calibrations = calibrateAll(shown[0])
  console.log(textReport(report, provenance))
  for (const line of calibrationLines(calibrations)) console.log(line)
  const json = jsonReport(report, provenance, calibrations[0])
  if (draws) await draw(options, report, provenance, plotData(shown, report.policies, calibrations), json)
  if (options.json) console.log(JSON.stringify(json))
  return 0
}

/** The predictors of the baselines on the first run's completions. */
function calibrateAll(run: Run | undefined): Calibration[] {
  if (run === undefined) return []
  const limits = run.instance.workload.tasks.some((task) => task.limitMs > 0) ? [userLimit()] : []
  return [lastTwo(), runningMean(), ...limits].map((estimator) => calibrate(run.result, estimator))
}

async function draw(
  options: LabOptions,
  report: TraceReport,
  provenance: Provenance,
  data: PlotData,
  json: object
): Promise<void> {
  // Loaded only when asked for: it is larger than everything else here.
  const { drawCharts } = await import('./lab/charts.ts')
  const charts = drawCharts(data)
  if (options.html !== undefined) {
    writeFileSync(options.html, htmlReport(report, provenance, charts, json))
    console.error(`wrote ${options.html}`)
  }
  if (options.svg === undefined) return
  mkdirSync(options.svg, { recursive: true })
  for (const { id, svg } of charts) writeFileSync(join(options.svg, `${id}.svg`), svg)
  console.error(`wrote ${charts.length} plots to ${options.svg}`)
}

/** What was asked for, with the base and the clairvoyant counterparts that the gap needs. */
function choosePolicies(trace: Trace, names: readonly string[] | undefined): PolicyEntry[] {
  const asked = names === undefined ? defaultPolicies(trace.family, POLICIES) : findPolicies(names, POLICIES)
  const needed = asked.flatMap((entry) => (entry.clairvoyant === undefined ? [] : [entry.clairvoyant]))
  const base = asked.some((entry) => entry.clairvoyant !== undefined) ? [BASE_POLICY] : []
  const all = [...base, ...asked.map((entry) => entry.name), ...needed]
  return findPolicies([...new Set(all)], POLICIES)
}

function runsOf(trace: Trace, seeds: number, load: number | undefined): number {
  let perSeed = 0
  // Making the instances costs little beside running them, and only their number is needed.
  for (const instance of trace.instances(0, load ?? trace.defaultLoad))
    if (instance.workload.tasks.length > 0) perSeed++
  return perSeed * seeds
}

function provenanceOf(): Provenance {
  const cores = cpus()
  return {
    commit: commit(),
    machine: `${cores.length} × ${cores[0]?.model.trim() ?? 'unknown'}, Node ${process.versions.node}`
  }
}

function commit(): string {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore']
    }).trim()
  } catch {
    return 'unknown'
  }
}
