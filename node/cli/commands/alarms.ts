/** `dtss alarms`: deadlines at risk, stuck attempts, and trouble of the optimizer. Exits with 1 when there are any. */
import type { Command } from 'commander'
import { connectToLeader, connectionOptions } from '../connection.ts'
import type { ConnectionOptions } from '../connection.ts'
import { EXIT, print, printJson } from '../context.ts'
import type { CliContext } from '../context.ts'
import { formatAge, formatTable } from '../format.ts'

export function define(command: Command, context: CliContext): void {
  connectionOptions(command).action(async (options: ConnectionOptions) => {
    // What is wrong with the policy, the trainer or a model only the leader finds.
    const client = await connectToLeader(context, options)
    const alarms = await client.alarms({ signal: context.signal })
    if (alarms.length > 0) context.exitCode = EXIT.failed
    if (options.json === true) {
      printJson(context, { ok: alarms.length === 0, alarms })
      return
    }
    if (alarms.length === 0) {
      print(context, 'no alarms')
      return
    }
    const rows = alarms.map(({ kind, id, since, message }) => [
      kind,
      id ?? '-',
      since === undefined ? '-' : formatAge(since, context.now()),
      message
    ])
    for (const line of formatTable(['KIND', 'TASK', 'SINCE', 'WHAT'], rows)) print(context, line)
  })
}
