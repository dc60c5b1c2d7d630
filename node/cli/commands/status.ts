/** `dtss status <id>`. */
import type { Command } from 'commander'
import type { TaskView } from '../../../client/index.ts'
import { connect, connectionOptions } from '../connection.ts'
import type { ConnectionOptions } from '../connection.ts'
import { print, printJson } from '../context.ts'
import type { CliContext } from '../context.ts'
import { formatAge, formatDuration, formatExpected, formatPairs } from '../format.ts'

export function define(command: Command, context: CliContext): void {
  connectionOptions(command.argument('<id>', 'a task id such as t-42')).action(
    async (id: string, options: ConnectionOptions) => {
      const task = await connect(context, options).get(id, { signal: context.signal })
      if (options.json === true) {
        printJson(context, { ok: true, task })
        return
      }
      for (const line of formatPairs(pairsOf(task, context.now()))) print(context, line)
    }
  )
}

function pairsOf(task: TaskView, now: number): (readonly [string, string | undefined])[] {
  const age = (at: number | undefined): string | undefined =>
    at === undefined ? undefined : formatAge(at, now)
  const { error, eta, placement } = task
  return [
    ['task', `${task.id}  ${task.name}`],
    ['status', task.status],
    ['runs', task.command ?? task.handler],
    ['attempts', `${task.attempts} of ${task.retry.maxAttempts}`],
    ['node', task.node === undefined ? undefined : String(task.node)],
    [
      'waits for',
      task.waitingOn === undefined || task.waitingOn === 0 ? undefined : `${task.waitingOn} of its needs`
    ],
    ['stopping', placement?.stopReason],
    ['submitted', age(task.submittedAt)],
    ['started', age(task.startedAt)],
    ['finished', age(task.finishedAt)],
    ['finishes', eta === undefined ? undefined : formatExpected(eta.finishAt, now)],
    ['took', task.runMs === undefined ? undefined : formatDuration(task.runMs)],
    ['error', error === undefined ? undefined : `${error.code}: ${error.message}`],
    ...(task.alarms ?? []).map(({ message }): readonly [string, string] => ['alarm', message])
  ]
}
