/**
 * `dtss lab`: replays a cluster's own history in the simulator under many policies, and says which would have done better. The
 * history comes from a cluster, or from a file that an earlier run saved.
 */
import type { Command } from 'commander'
import { readFileSync } from 'node:fs'
import { AppError } from '../../../base/errors.ts'
import type { NodeInfo } from '../../../client/index.ts'
import { connect, connectionOptions } from '../connection.ts'
import type { ConnectionOptions } from '../connection.ts'
import { UsageError, print, printJson } from '../context.ts'
import type { CliContext } from '../context.ts'
import { formatHistoryFile, parseHistoryFile } from '../lab/history-file.ts'
import type { RecordedHistory } from '../lab/history-file.ts'
import { loadOption, policiesOption, seedsOption, wholeOption } from '../lab/option-values.ts'
import { checkOutputs, writeOutput } from '../lab/outputs.ts'
import { sha256 } from '../lab/provenance.ts'

interface Options extends ConnectionOptions {
  readonly fromCluster?: boolean
  readonly fromFile?: string
  readonly policies?: readonly string[]
  readonly limit: number
  readonly load?: number
  readonly seeds?: number
  readonly html?: string
  readonly svg?: string
  readonly save?: string
  readonly tasks?: string
  readonly list?: boolean
}

/** As many as the API exports in one go by default. */
const DEFAULT_TASKS = 20_000
const MOST_TASKS = 1_000_000

export function define(command: Command, context: CliContext): void {
  connectionOptions(command)
    .option('--from-cluster', 'replay the history of the cluster at --url')
    .option('--from-file <file>', 'replay a history that --save wrote')
    .option(
      '--policies <names>',
      'names from --list with commas between (default: those that suit the history)',
      usage(policiesOption)
    )
    .option('--limit <count>', 'the newest so many tasks', usage(limitOption), DEFAULT_TASKS)
    .option('--load <x>', 'stretch the gaps between arrivals to this load, in (0, 2]', usage(loadOption))
    .option('--seeds <count>', 'repetitions; those after the first shake the arrivals', usage(seedsOption))
    .option('--html <file>', 'write a report with plots as one self-contained file')
    .option('--svg <folder>', 'write the plots as SVG files')
    .option('--tasks <file>', 'write one line of JSON for each task or DAG that finished in each run')
    .option('--save <file>', 'keep the history that was fetched')
    .option('--list', 'list the policies')
    .action((options: Options) => run(options, context))
}

async function run(options: Options, context: CliContext): Promise<void> {
  // Loaded here, as all of the simulator comes with it.
  const { labPolicies } = await import('../lab/policies.ts')
  const { policies } = options
  const among = await labPolicies(policies)
  if (options.list === true) {
    for (const { name, about } of among) print(context, `${name.padEnd(22)} ${about}`)
    return
  }
  if ((options.fromCluster === true) === (options.fromFile !== undefined)) {
    throw new UsageError('lab: expected either --from-cluster or --from-file')
  }
  checkOutputs(options)
  const { historyTrace } = await import('../../../optimizer/lab/history-trace.ts')
  const { runLab } = await import('../lab/run-lab.ts')
  const { calibratePredictors } = await import('../lab/predictors.ts')
  const { history, text } = await historyOf(options, context)
  if (options.save !== undefined) writeOutput('save', options.save, text)
  const trace = historyTrace('history', history.tasks.slice(0, options.limit), history.nodes)
  await runLab(
    trace,
    {
      policies,
      load: options.load,
      seeds: options.seeds,
      html: options.html,
      svg: options.svg,
      tasks: options.tasks,
      asked: askedOf(options),
      // Of what --save keeps, so that a report from the file is known to be of the same history.
      traceSha256: sha256(text)
    },
    {
      among,
      calibrate: calibratePredictors,
      print: (text) => {
        print(context, text)
      },
      printJson:
        options.json === true
          ? (report) => {
              printJson(context, { ok: true, ...report })
            }
          : undefined,
      note: (line) => {
        context.stderr.write(`${line}\n`)
      },
      isTerminal: context.stderr.isTTY === true,
      signal: context.signal
    }
  )
}

function askedOf(options: Options): Record<string, unknown> {
  const { fromFile = null, policies = null, limit, load = null, seeds = null } = options
  return { fromCluster: options.fromCluster === true, fromFile, policies, limit, load, seeds }
}

/** The history, and the file that holds it. */
async function historyOf(
  options: Options,
  context: CliContext
): Promise<{ readonly history: RecordedHistory; readonly text: string }> {
  if (options.fromFile !== undefined) {
    const text = readText(options.fromFile)
    return { history: parseHistoryFile(text, options.fromFile), text }
  }
  const client = connect(context, options)
  const { signal } = context
  const nodes: NodeInfo[] = await client.nodes({ signal })
  const tasks: RecordedHistory['tasks'][number][] = []
  for await (const task of client.history({ limit: options.limit, signal })) tasks.push(task)
  const history = { nodes, tasks }
  return { history, text: formatHistoryFile(history) }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new UsageError(`${path}: ${error instanceof Error ? error.message : String(error)}`)
  }
}

function limitOption(got: string): number | undefined {
  return wholeOption('limit', got, 1, MOST_TASKS)
}

/** A parser whose errors are those of the command line. */
function usage<T>(parse: (text: string) => T): (text: string) => T {
  return (text) => {
    try {
      return parse(text)
    } catch (error) {
      throw error instanceof AppError ? new UsageError(error.message, error.details) : error
    }
  }
}
