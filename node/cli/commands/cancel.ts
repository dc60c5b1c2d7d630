/** `dtss cancel <id>`. */
import type { Command } from 'commander'
import { connect, connectionOptions } from '../connection.ts'
import type { ConnectionOptions } from '../connection.ts'
import { print, printJson } from '../context.ts'
import type { CliContext } from '../context.ts'

export function define(command: Command, context: CliContext): void {
  connectionOptions(command.argument('<id>', 'a task id such as t-42')).action(
    async (id: string, options: ConnectionOptions) => {
      const reply = await connect(context, options).cancel(id, { signal: context.signal })
      if (options.json === true) printJson(context, { ok: true, ...reply })
      else print(context, `${reply.id}  ${reply.status}`)
    }
  )
}
