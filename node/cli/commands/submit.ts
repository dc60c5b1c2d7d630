/** `dtss submit`: tasks from a file or standard input, or one task from options; then, if asked, their logs and results. */
import type { Command } from 'commander'
import { isTerminal } from '../../../base/wire/common.ts'
import type { Client, SubmittedMany, TaskView } from '../../../client/index.ts'
import { connect, connectionOptions } from '../connection.ts'
import type { ConnectionOptions } from '../connection.ts'
import { EXIT, UsageError, print, printJson } from '../context.ts'
import type { CliContext } from '../context.ts'
import { formatDuration, formatExpected, formatTable } from '../format.ts'
import { taskOfOptions, tasksOfFile } from '../task-options.ts'
import type { TaskOptions } from '../task-options.ts'
import { copyLogs } from './logs.ts'

interface SubmitOptions extends ConnectionOptions, TaskOptions {
  readonly wait?: boolean
  readonly follow?: boolean
  readonly key?: string
}

/** What is said of the submission in JSON. */
type Submission = Omit<SubmittedMany, 'ids'> & { readonly ids: readonly string[] }

/** Tasks that are waited for at once. */
const CONCURRENT_WAITS = 16

export function define(command: Command, context: CliContext): void {
  connectionOptions(
    command.argument('[file]', 'a JSON file with a task or an array of tasks; - for standard input')
  )
    .option('--shell <command>', 'run this command line')
    .option('--js <handler>', 'call this handler')
    .option(
      '--input <json>',
      "the handler's argument, or what the command reads from its standard input, DTSS_INPUT_FILE or DTSS_INPUT"
    )
    .option('--name <name>', "the task's name")
    .option('--env <NAME=value...>', 'environment variables for the command')
    .option('--cwd <folder>', 'the folder that the command runs in')
    .option('--needs <ids>', 'task ids to wait for, with commas between')
    .option('--priority <integer>', '-100 to 100; larger runs earlier')
    .option('--attempts <count>', 'attempts in all')
    .option('--timeout <duration>', 'the longest run of one attempt, such as 30s or 10m')
    .option('--delay <duration>', 'do not start before so long from now')
    .option(
      '--deadline <when>',
      'when it should be done: a length of time from now, or a point of time as YYYY-MM-DDThh:mmZ, at most 30 days ahead; warns, never kills'
    )
    .option('--tenant <name>', 'who the task is run for')
    .option('--idempotent', 'two runs do no harm')
    .option('--key <key>', 'idempotency key: the same key and tasks are submitted once')
    .option('--wait', 'wait for the tasks to end; exit code 1 unless all succeeded')
    .option('-f, --follow', "copy the task's output, and wait (one task only)")
    .action((file: string | undefined, options: SubmitOptions) => submit(context, file, options))
}

async function submit(context: CliContext, file: string | undefined, options: SubmitOptions): Promise<void> {
  const described = options.shell !== undefined || options.js !== undefined
  if (described === (file !== undefined)) {
    throw new UsageError(
      `submit: got ${described ? 'both' : 'neither'}, expected a file, or one of --shell and --js`
    )
  }
  const body = file === undefined ? taskOfOptions(options) : await tasksOfFile(context, file)
  const tasks = Array.isArray(body) ? body : [body]
  if (options.follow === true && tasks.length > 1) {
    throw new UsageError(`--follow: got ${tasks.length} tasks, expected one; use --wait`)
  }
  const client = connect(context, options)
  const asked = {
    signal: context.signal,
    eta: true,
    ...(options.key === undefined ? {} : { idempotencyKey: options.key })
  }
  const { ids, replayed, eta } = Array.isArray(body)
    ? await client.submitMany(body, asked)
    : await client.submit(body, asked).then(({ id, ...receipt }) => ({ ids: [id], ...receipt }))
  const receipt = { ids, replayed, ...(eta === undefined ? {} : { eta }) }
  if (options.json !== true && options.follow !== true) for (const id of ids) print(context, id)
  if (options.follow === true) context.stderr.write(`${ids[0] ?? ''}\n`)
  // Ids alone are on standard output, where programs read them.
  if (options.json !== true && eta !== undefined)
    context.stderr.write(`finishes ${formatExpected(eta.finishAt, context.now())}\n`)
  if (options.follow === true) await follow(context, client, ids[0] ?? '', options)
  if (options.wait !== true && options.follow !== true) {
    if (options.json === true) printJson(context, { ok: true, ...receipt })
    return
  }
  report(context, await waitForAll(context, client, ids), receipt, options)
}

/** With `--json` standard output is for the one object, so all output goes to standard error. */
async function follow(
  context: CliContext,
  client: Client,
  id: string,
  options: SubmitOptions
): Promise<void> {
  const target = options.json === true ? { ...context, stdout: context.stderr } : context
  await copyLogs(target, client, id, { follow: true })
}

async function waitForAll(context: CliContext, client: Client, ids: readonly string[]): Promise<TaskView[]> {
  const ended: TaskView[] = []
  for (let from = 0; from < ids.length; from += CONCURRENT_WAITS) {
    const some = ids.slice(from, from + CONCURRENT_WAITS)
    ended.push(...(await Promise.all(some.map((id) => client.wait(id, { signal: context.signal })))))
  }
  return ended
}

function report(
  context: CliContext,
  tasks: readonly TaskView[],
  receipt: Submission,
  options: SubmitOptions
): void {
  const ok = tasks.every((task) => task.status === 'succeeded')
  if (!ok) context.exitCode = EXIT.failed
  if (options.json === true) {
    printJson(context, { ok, ...receipt, tasks })
    return
  }
  const [only] = tasks
  if (tasks.length === 1 && only !== undefined) {
    const took = only.runMs === undefined ? '' : ` in ${formatDuration(only.runMs)}`
    const reason = only.error === undefined ? '' : `: ${only.error.message} (${only.error.code})`
    context.stderr.write(`${only.id} ${only.status}${took}${reason}\n`)
    if (only.result !== undefined && options.follow !== true)
      print(context, JSON.stringify(only.result, null, 2))
    return
  }
  const rows = tasks.map((task) => [
    task.id,
    task.name,
    task.status,
    task.runMs === undefined ? '-' : formatDuration(task.runMs),
    task.error === undefined || !isTerminal(task.status) ? '' : task.error.message
  ])
  for (const line of formatTable(['ID', 'NAME', 'STATUS', 'TOOK', 'ERROR'], rows)) print(context, line)
}
