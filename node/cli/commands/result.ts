/** `dtss result <id>`: the result on standard output, as JSON; nothing else, so that it can be piped. */
import type { Command } from 'commander'
import { connect, connectionOptions } from '../connection.ts'
import type { ConnectionOptions } from '../connection.ts'
import { EXIT, print, printJson } from '../context.ts'
import type { CliContext } from '../context.ts'

interface ResultOptions extends ConnectionOptions {
  readonly wait?: boolean
}

export function define(command: Command, context: CliContext): void {
  connectionOptions(command.argument('<id>', 'a task id such as t-42'))
    .option('--wait', 'wait for the task to end')
    .action(async (id: string, options: ResultOptions) => {
      const client = connect(context, options)
      const { signal } = context
      if (options.wait === true) await client.wait(id, { signal })
      const reply = await client.result(id, { signal })
      const succeeded = reply.status === 'succeeded'
      if (!succeeded) {
        context.exitCode = EXIT.failed
        const reason = reply.error === undefined ? '' : `: ${reply.error.message} (${reply.error.code})`
        context.stderr.write(`dtss: task ${id} ${reply.status}${reason}\n`)
      }
      if (options.json === true) printJson(context, { ok: succeeded, ...reply })
      else if (reply.result !== undefined) print(context, JSON.stringify(reply.result, null, 2))
    })
}
