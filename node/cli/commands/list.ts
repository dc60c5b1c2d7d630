/** `dtss list`. */
import type { Command } from 'commander'
import type { TaskStatus, TaskSummary } from '../../../client/index.ts'
import { LIMITS } from '../../../base/limits.ts'
import { connect, connectionOptions } from '../connection.ts'
import type { ConnectionOptions } from '../connection.ts'
import { UsageError, print, printJson } from '../context.ts'
import type { CliContext } from '../context.ts'
import { formatAge, formatDuration, formatExpected, formatTable } from '../format.ts'

interface ListOptions extends ConnectionOptions {
  readonly status?: string
  readonly name?: string
  readonly limit: string
}

export function define(command: Command, context: CliContext): void {
  connectionOptions(command)
    .option('--status <statuses>', 'only tasks of these statuses, with commas between')
    .option('--name <name>', 'only tasks of this name')
    .option('--limit <count>', 'the most tasks to list', '20')
    .action(async (options: ListOptions) => {
      const tasks = await collect(context, options)
      if (options.json === true) {
        printJson(context, { ok: true, tasks })
        return
      }
      const headings = ['ID', 'NAME', 'STATUS', 'NODE', 'ATTEMPTS', 'SUBMITTED', 'TOOK']
      // A column for those that are still to finish, where there are any.
      const expected = tasks.some(({ eta }) => eta !== undefined)
      const rows = tasks.map((task) => rowOf(task, context.now(), expected))
      for (const line of formatTable(expected ? [...headings, 'FINISHES'] : headings, rows)) {
        print(context, line)
      }
    })
}

async function collect(context: CliContext, options: ListOptions): Promise<TaskSummary[]> {
  const limit = Number(options.limit)
  if (!Number.isSafeInteger(limit) || limit < 1) {
    throw new UsageError(`--limit: got ${JSON.stringify(options.limit)}, expected an integer ≥ 1`)
  }
  const found: TaskSummary[] = []
  const pages = connect(context, options).list({
    // The server judges the names and says which it knows.
    ...(options.status === undefined ? {} : { status: options.status as TaskStatus }),
    ...(options.name === undefined ? {} : { name: options.name }),
    pageSize: Math.min(limit, LIMITS.pageTasks),
    signal: context.signal
  })
  for await (const task of pages) {
    found.push(task)
    if (found.length === limit) break
  }
  return found
}

function rowOf(task: TaskSummary, now: number, expected: boolean): string[] {
  return [
    task.id,
    task.name,
    task.status,
    task.node === undefined ? '-' : String(task.node),
    String(task.attempts),
    formatAge(task.submittedAt, now),
    task.runMs === undefined ? '-' : formatDuration(task.runMs),
    ...(expected ? [task.eta === undefined ? '-' : formatExpected(task.eta.finishAt, now)] : [])
  ]
}
