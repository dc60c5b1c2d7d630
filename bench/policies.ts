/**
 * `npm run bench -- policies`: the policy lab's command. Reads files, measures time, prints; the rules are in
 * `optimizer/lab/`.
 */
import { execFileSync } from 'node:child_process'
import { cpus } from 'node:os'
import { AppError } from '../base/errors.ts'
import { BASELINES, defaultPolicies, findPolicies } from '../optimizer/lab/catalog.ts'
import type { PolicyEntry } from '../optimizer/lab/catalog.ts'
import { BASE_POLICY, runProtocol } from '../optimizer/lab/protocol.ts'
import { jsonReport, textReport } from '../optimizer/lab/text-report.ts'
import type { Provenance } from '../optimizer/lab/text-report.ts'
import type { Trace } from '../optimizer/lab/trace.ts'
import { loadTrace } from './lab/load-trace.ts'
import { HELP, parseLabOptions } from './lab/options.ts'
import type { LabOptions } from './lab/options.ts'
import { progressDisplay } from './lab/progress.ts'

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

async function measure(options: LabOptions): Promise<number> {
  if (options.help) {
    console.log(HELP)
    return 0
  }
  if (options.list) {
    for (const { name, about } of BASELINES) console.log(`${name.padEnd(22)} ${about}`)
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
  const report = runProtocol(trace, {
    policies,
    seeds,
    load: options.load,
    clockUs: () => performance.now() * 1000,
    onProgress: (progress) => {
      display.update(progress)
    }
  })
  display.stop()
  const provenance = provenanceOf()
  console.log(textReport(report, provenance))
  if (options.json) console.log(JSON.stringify(jsonReport(report, provenance)))
  return 0
}

/** What was asked for, with the base and the clairvoyant counterparts that the gap needs. */
function choosePolicies(trace: Trace, names: readonly string[] | undefined): PolicyEntry[] {
  const asked = names === undefined ? defaultPolicies(trace.family) : findPolicies(names)
  const needed = asked.flatMap((entry) => (entry.clairvoyant === undefined ? [] : [entry.clairvoyant]))
  const base = asked.some((entry) => entry.clairvoyant !== undefined) ? [BASE_POLICY] : []
  const all = [...base, ...asked.map((entry) => entry.name), ...needed]
  return findPolicies([...new Set(all)])
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
