/** `dtss eta <id>`: when a task is expected to be done, and with it what was submitted together. */
import type { Command } from 'commander'
import type { Alarm, GroupView, Predicted, TaskView } from '../../../client/index.ts'
import { isTerminal } from '../../../base/wire/common.ts'
import { connect, connectionOptions } from '../connection.ts'
import type { ConnectionOptions } from '../connection.ts'
import { print, printJson } from '../context.ts'
import type { CliContext } from '../context.ts'
import { formatDuration, formatExpected, formatPairs, formatPercent, formatUntil } from '../format.ts'

export function define(command: Command, context: CliContext): void {
  connectionOptions(command.argument('<id>', 'a task id such as t-42')).action(
    async (id: string, options: ConnectionOptions) => {
      const client = connect(context, options)
      const { signal } = context
      const [task, group] = await Promise.all([client.get(id, { signal }), client.group(id, { signal })])
      if (options.json === true) {
        const { status, eta, predicted, alarms, deadlineAt } = task
        printJson(context, { ok: true, id, status, eta, predicted, alarms, deadlineAt, group })
        return
      }
      for (const line of formatPairs(pairsOf(task, group, context.now()))) print(context, line)
    }
  )
}

function pairsOf(task: TaskView, group: GroupView, now: number): (readonly [string, string | undefined])[] {
  const { eta, predicted } = task
  const moment = (at: { p50At: number; p90At: number } | undefined): string | undefined =>
    at === undefined ? undefined : formatExpected(at, now)
  return [
    ['task', `${task.id}  ${task.name}  ${task.status}`],
    ['starts', moment(eta?.startAt)],
    ['finishes', moment(eta?.finishAt) ?? (isTerminal(task.status) ? undefined : 'not known')],
    [
      'runs for',
      predicted === undefined
        ? undefined
        : `${formatDuration(predicted.medianMs)} (p50), ${formatDuration(predicted.p90Ms)} (p90), by ${predicted.by}${partOf(predicted)}`
    ],
    ['deadline', task.deadlineAt === undefined ? undefined : formatUntil(task.deadlineAt, now)],
    ...(task.alarms ?? []).map(({ message }: Alarm): readonly [string, string] => ['alarm', message]),
    ...(group.tasks.total === 1 ? [] : groupPairs(group, moment(group.eta?.finishAt)))
  ]
}

function partOf({ catchingUp = false }: Predicted): string {
  return catchingUp ? ', of a part of its history so far' : ''
}

function groupPairs(
  group: GroupView,
  finishes: string | undefined
): (readonly [string, string | undefined])[] {
  const { total, ended, failed } = group.tasks
  const failures = failed === 0 ? '' : `, ${failed} failed`
  return [
    [
      'group',
      `${group.id}  ${ended} of ${total} ended${failures}, ${formatPercent(group.progress)} of the work`
    ],
    ['finishes', finishes]
  ]
}
