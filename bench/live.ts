/**
 * `npm run bench -- live`: a slice of a trace, compressed in time, replayed on three real processes under several
 * policies, beside the simulator's forecast for the very same slice, nodes and policies. The simulator is to be within a
 * tenth of what the cluster does.
 */
import { Command } from 'commander'
import { loadOption, wholeOption, wrongOption } from '../node/cli/lab/option-values.ts'
import { mean } from '../optimizer/lab/metrics.ts'
import { blockLength, pairedDifference } from '../optimizer/lab/statistics.ts'
import { machine, round } from './bench-tools.ts'
import { loadTrace } from './lab/load-trace.ts'
import { KNOWN_POLICIES, forecast } from './live/forecast.ts'
import { replay, type Replayed } from './live/replay.ts'
import { sliceOf, type Slice } from './live/slice.ts'
import { reportMisuse } from './report-misuse.ts'

interface Options {
  readonly trace: string
  readonly from: string
  readonly seconds: string
  readonly speedup: string
  readonly nodes: string
  readonly load: string
  readonly longest: string
  readonly widest: string
  readonly policies: string
  readonly killLeader?: boolean
  readonly logLevel: string
  readonly json?: boolean
}

/** Resolves to the exit code: 0; 1 when jobs were lost or the forecast was off by more than a tenth; 2 for misuse. */
export async function run(argv: string[]): Promise<number> {
  const options = new Command('live')
    .requiredOption('--trace <path>', 'an SWF log, or "synthetic"')
    .option('--from <n>', 'first job of the slice', '0')
    .option('--seconds <n>', 'length of the slice, compressed', '120')
    .option('--speedup <n>', 'by how much times are divided', '100')
    .option('--nodes <n>', 'processes', '3')
    .option('--load <x>', 'work by capacity; sets the slots of a node', '0.9')
    .option('--longest <s>', 'jobs that would run longer, compressed, are left out', '40')
    .option('--widest <cores>', 'jobs that ask for more cores are left out', '8')
    .option('--policies <a,b>', 'policies to replay', 'fifo,least-loaded,learned')
    .option('--kill-leader', 'kill the leader half-way through each replay')
    .option('--log-level <level>', 'of the nodes', 'error')
    .option('--json', 'print one JSON object last')
    .parse(argv, { from: 'user' })
    .opts<Options>()
  try {
    return await measure(options)
  } catch (error) {
    return reportMisuse(error, argv)
  }
}

/** One policy: what the cluster did and what the simulator said it would. */
interface Row {
  readonly policy: string
  readonly meanJctS: number
  readonly simulatedJctS: number
  /** Simulated ÷ live − 1, of the mean JCT. */
  readonly simError: number
  /** Jobs that did not succeed. */
  readonly lost: number
  /** By how much the mean JCT differs from the first policy's, relative, with its 95 % interval. */
  readonly againstFirst: { readonly relative: number; readonly low: number; readonly high: number }
  readonly overheadMs: number
  readonly model: number | undefined
  readonly models: Replayed['models']
}

async function measure(options: Options): Promise<number> {
  const names = options.policies.split(',')
  for (const name of names) {
    if (KNOWN_POLICIES.includes(name)) continue
    throw wrongOption('policies', name, `names of ${KNOWN_POLICIES.join(', ')}`)
  }
  const from = wholeOption('from', options.from, 0) ?? 0
  const { trace } = loadTrace(options.trace, { limit: from + READ_AHEAD })
  if (trace.family !== 'independent') {
    throw wrongOption('trace', options.trace, 'a trace of independent jobs: an SWF log, or "synthetic"')
  }
  const slice = sliceOf(trace, {
    from,
    speedup: wholeOption('speedup', options.speedup, 1) ?? 1,
    seconds: wholeOption('seconds', options.seconds, 1) ?? 1,
    nodes: wholeOption('nodes', options.nodes, 1) ?? 1,
    load: loadOption(options.load) ?? 1,
    longestMs: (wholeOption('longest', options.longest, 1) ?? 1) * 1000,
    widest: wholeOption('widest', options.widest, 1) ?? 1
  })
  const jobs = slice.workload.tasks.length
  console.error(
    `${jobs} jobs (${slice.leftOut} left out) on ${slice.cluster.length} nodes of ${slice.slots} slots`
  )
  const killLeader = options.killLeader === true
  const rows: Row[] = []
  let first: Float64Array | undefined
  for (const policy of names) {
    const lived = await replay(slice, {
      policy,
      killLeader,
      logLevel: options.logLevel,
      say: (line) => {
        console.error(line)
      }
    })
    first ??= lived.jctMs
    const row = rowOf(policy, lived, slice, first)
    console.error(JSON.stringify(row))
    rows.push(row)
  }
  const result = {
    name: 'live',
    trace: slice.workload.name,
    jobs,
    leftOut: slice.leftOut,
    nodes: slice.cluster.length,
    slots: slice.slots,
    load: Number(options.load),
    killLeader,
    policies: rows,
    machine: machine()
  }
  console.log(options.json === true ? JSON.stringify(result) : result)
  return rows.every((row) => row.lost === 0 && isClose(row, killLeader)) ? 0 : 1
}

/** Jobs read beyond the first of a slice: more than any slice has. */
const READ_AHEAD = 20_000
const TOLERANCE = 0.1

/** A killed leader makes its attempts run again, which the forecast knows nothing of; then the same model must serve on. */
function isClose({ simError, models }: Row, killLeader: boolean): boolean {
  return killLeader ? models?.before === models?.after : Math.abs(simError) < TOLERANCE
}

function rowOf(policy: string, lived: Replayed, slice: Slice, first: Float64Array): Row {
  const succeeded = [...lived.jctMs.keys()].filter((index) => !Number.isNaN(lived.jctMs[index]))
  const simulated = forecast(slice, policy, lived.overheadMs)
  const meanMs = mean(succeeded.map((index) => lived.jctMs[index] ?? 0))
  const simulatedMs = mean(succeeded.map((index) => simulated[index] ?? 0))
  const both = succeeded.filter((index) => !Number.isNaN(first[index]))
  const { relative, relativeInterval } = pairedDifference(
    both.map((index) => first[index] ?? 0),
    both.map((index) => lived.jctMs[index] ?? 0),
    { block: blockLength(both.length) }
  )
  return {
    policy,
    meanJctS: round(meanMs / 1000, 3),
    simulatedJctS: round(simulatedMs / 1000, 3),
    simError: round(simulatedMs / meanMs - 1, 4),
    lost: lived.jctMs.length - succeeded.length,
    againstFirst: {
      relative: round(relative, 4),
      low: round(relativeInterval.low, 4),
      high: round(relativeInterval.high, 4)
    },
    overheadMs: round(lived.overheadMs, 1),
    model: lived.model,
    models: lived.models
  }
}
