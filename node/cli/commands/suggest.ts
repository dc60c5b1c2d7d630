/** `dtss suggest`: which memory and timeouts tasks should ask for, by their history. */
import type { Command } from 'commander'
import type { Suggestion } from '../../../client/index.ts'
import { connect, connectionOptions } from '../connection.ts'
import type { ConnectionOptions } from '../connection.ts'
import { print, printJson } from '../context.ts'
import type { CliContext } from '../context.ts'
import { formatBytes, formatDuration, formatTable } from '../format.ts'

interface Options extends ConnectionOptions {
  readonly name?: string
}

export function define(command: Command, context: CliContext): void {
  connectionOptions(command)
    .option('--name <name>', 'only tasks of this name')
    .action(async (options: Options) => {
      const list = await connect(context, options).suggestionList({
        ...(options.name === undefined ? {} : { name: options.name }),
        signal: context.signal
      })
      if (options.json === true) {
        printJson(context, { ok: true, ...list })
        return
      }
      const { suggestions, catchingUp = false } = list
      if (catchingUp) print(context, 'the node still reads its history: names may be missing, ask again soon')
      if (suggestions.length === 0) {
        print(context, 'nothing to suggest yet: a class needs 20 attempts that succeeded')
        return
      }
      const rows = suggestions.map(rowOf)
      for (const line of formatTable(
        ['NAME', 'TENANT', 'SAMPLES', 'MEMORY NOW', 'BETTER', 'TIMEOUT NOW', 'BETTER'],
        rows
      ))
        print(context, line)
    })
}

function rowOf({ name, tenant, samples, memory, timeout }: Suggestion): string[] {
  return [
    name,
    tenant,
    String(samples),
    memory === undefined || memory.requestedBytes === 0 ? '-' : formatBytes(memory.requestedBytes),
    memory === undefined ? '-' : formatBytes(memory.suggestedBytes),
    timeout === undefined || timeout.currentMs === 0 ? '-' : formatDuration(timeout.currentMs),
    timeout === undefined ? '-' : formatDuration(timeout.suggestedMs)
  ]
}
