/**
 * `npm run bench -- estimators`: how well run times are predicted on a trace, by the predictors of the baselines, by class statistics,
 * and by the learned estimator without and with a network. Rules are in `optimizer/lab/calibration.ts`; this reads files, measures
 * CPU time, and prints.
 */
import { createRng } from '../base/prng.ts'
import { loadOption, wholeOption, wrongOption } from '../node/cli/lab/option-values.ts'
import { provenanceOf } from '../node/cli/lab/provenance.ts'
import { useFastestBackend } from '../node/optimizer/backend.ts'
import type { Estimator } from '../optimizer/estimate.ts'
import { createLearnedEstimator } from '../optimizer/estimator/learned.ts'
import { createSelfTrainingEstimator } from '../optimizer/estimator/self-training.ts'
import { createStatistics } from '../optimizer/estimator/statistics.ts'
import { calibrate } from '../optimizer/lab/calibration.ts'
import type { Calibration } from '../optimizer/lab/calibration.ts'
import { plainStatistics } from '../optimizer/lab/plain-statistics.ts'
import { noteLines } from '../optimizer/lab/text-report.ts'
import type { Instance } from '../optimizer/lab/trace.ts'
import { lastTwo, userLimit } from '../optimizer/policies/predictors.ts'
import { simulate } from '../optimizer/sim/engine.ts'
import { policyFactory } from '../scheduler/policies/index.ts'
import { loadTrace } from './lab/load-trace.ts'
import { parseOptions } from './lab/parse-options.ts'
import { reportMisuse } from './report-misuse.ts'

const HELP = `Measures how well run times are predicted on a trace.

npm run bench -- estimators --trace PATH [options]

  --trace PATH   .swf, .jsonl, openb_pods.csv (all also .gz), or "synthetic"
  --limit N      only the first N jobs, workflows or tasks
  --from N       of an SWF log, leave out the first N jobs: what was tuned on one part is tested on others
  --load X       target load in (0, 2]
  --seed K       of the trace and of the network (default 0)
  --json         print one JSON object last
  --help         this text
`

/** A calibration with what it cost. */
interface Row extends Calibration {
  readonly cpuUsPerTask: number
}

/** Runs it. Resolves to the exit code: 0, or 2 for a bad option or trace. */
export async function run(argv: string[]): Promise<number> {
  try {
    return await measure(optionsOf(argv))
  } catch (error) {
    return reportMisuse(error, argv)
  }
}

async function measure(options: Options): Promise<number> {
  if (options.help) {
    console.log(HELP)
    return 0
  }
  const { trace, sha256 } = loadTrace(options.trace, { limit: options.limit, from: options.from })
  if (options.load !== undefined && !trace.loadIsUsed) {
    throw wrongOption('load', String(options.load), `none: ${trace.name} runs one DAG at a time`)
  }
  // What runs is what was loaded, whatever is committed meanwhile.
  const provenance = provenanceOf()
  const [instance] = trace.instances(options.seed, options.load ?? trace.defaultLoad)
  if (instance === undefined) throw wrongOption('trace', options.trace, 'at least one task')
  const bareMb = residentMb()
  const result = simulate(
    instance.workload,
    instance.cluster,
    policyFactory('fifo')(createRng(options.seed)),
    {
      model: instance.model(),
      outages: instance.outages
    }
  )
  const rows = plain(instance).map((estimator) => timed(() => calibrate(result, estimator, instance.cluster)))
  const withoutMb = residentMb()
  const backend = await useFastestBackend()
  const learner = createSelfTrainingEstimator({ rng: createRng(options.seed) })
  rows.push(timed(() => calibrate(result, learner, instance.cluster)))
  const evaluation = learner.evaluation()
  learner.dispose()
  const withMb = residentMb()
  console.log(
    `${trace.name}: ${instance.workload.tasks.length} tasks, fifo-fit, load ${instance.load.toFixed(3)}`
  )
  const notes = [...(trace.notes ?? []), ...(instance.notes ?? [])]
  for (const line of noteLines(trace.leftOut, notes)) console.log(line)
  console.log(HEADER)
  for (const row of rows) console.log(lineOf(row))
  console.log(
    `network: ${evaluation.steps} steps on ${evaluation.trainedOn} rows (${backend}), log loss ${evaluation.loss.toFixed(3)} ` +
      `against ${evaluation.statisticsLoss.toFixed(3)} of the mixture without it`
  )
  console.log(`resident: ${bareMb} MB before, ${withoutMb} MB without TensorFlow.js, ${withMb} MB with it`)
  if (options.json) {
    const { name, leftOut = null } = trace
    const { seed, limit = null, from = null, load = null } = options
    const asked = { trace: options.trace, limit, from, load, seed }
    const measured = {
      trace: name,
      load: instance.load,
      tasks: instance.workload.tasks.length,
      leftOut,
      notes
    }
    const report = { ...measured, backend, estimators: rows, evaluation }
    console.log(JSON.stringify({ ...provenance, options: asked, traceSha256: sha256 ?? null, ...report }))
  }
  return 0
}

/** All that need no network. */
function plain(instance: Instance): Estimator[] {
  const limits = instance.workload.tasks.some((task) => task.limitMs > 0) ? [userLimit()] : []
  return [...limits, lastTwo(), plainStatistics(), createStatistics(), createLearnedEstimator()]
}

function timed(work: () => Calibration): Row {
  const before = process.cpuUsage()
  const calibration = work()
  const { user, system } = process.cpuUsage(before)
  return { ...calibration, cpuUsPerTask: (user + system) / Math.max(1, calibration.predictions) }
}

const HEADER =
  'estimator           MAE ln  later  pinball .5/.9/.99      p90    p99    KS   | at start: MAE    p90    p99   classes  CPU µs/task'

function lineOf(row: Row): string {
  const { atStart } = row
  return [
    row.estimator.padEnd(18),
    row.maeLn.toFixed(3),
    row.maeLnLater.toFixed(3),
    row.pinball.map((loss) => loss.toFixed(3)).join('/'),
    row.coverage90.toFixed(3),
    row.coverage99.toFixed(3),
    row.pitKs.toFixed(3),
    '|         ',
    atStart.maeLn.toFixed(3),
    atStart.coverage90.toFixed(3),
    atStart.coverage99.toFixed(3),
    String(row.classes).padStart(6),
    row.cpuUsPerTask.toFixed(0).padStart(8)
  ].join('  ')
}

function residentMb(): number {
  return Math.round(process.memoryUsage.rss() / 2 ** 20)
}

interface Options {
  readonly trace: string
  readonly limit: number | undefined
  readonly from: number | undefined
  readonly load: number | undefined
  readonly seed: number
  readonly json: boolean
  readonly help: boolean
}

const OPTIONS = {
  trace: { type: 'string' },
  limit: { type: 'string' },
  from: { type: 'string' },
  load: { type: 'string' },
  seed: { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean' }
} as const

function optionsOf(argv: readonly string[]): Options {
  const values = parseOptions(argv, OPTIONS)
  if (values.trace === undefined && values.help !== true)
    throw wrongOption('trace', undefined, 'a path or "synthetic"')
  return {
    trace: values.trace ?? '',
    limit: wholeOption('limit', values.limit, 1),
    from: wholeOption('from', values.from, 0),
    load: loadOption(values.load),
    seed: wholeOption('seed', values.seed, 0) ?? 0,
    json: values.json ?? false,
    help: values.help ?? false
  }
}
