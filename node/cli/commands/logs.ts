/** `dtss logs <id>`: a task's standard output to ours, its standard error to ours. */
import type { Command } from 'commander'
import type { Client } from '../../../client/index.ts'
import { connect, connectionOptions } from '../connection.ts'
import type { ConnectionOptions } from '../connection.ts'
import { printJson } from '../context.ts'
import type { CliContext } from '../context.ts'

interface LogOptions extends ConnectionOptions {
  readonly follow?: boolean
  readonly after?: string
}

export function define(command: Command, context: CliContext): void {
  connectionOptions(command.argument('<id>', 'a task id such as t-42'))
    .option('-f, --follow', 'go on until the task has ended')
    .option('--after <position>', 'only output after this position, as --json gives it in `next`')
    .action(async (id: string, options: LogOptions) => {
      const client = connect(context, options)
      if (options.json === true) await printChunks(context, client, id, options)
      else await copyLogs(context, client, id, options)
    })
}

/** Copies a task's output to the process's own, undecoded characters never torn apart. */
export async function copyLogs(
  context: CliContext,
  client: Client,
  id: string,
  options: LogOptions
): Promise<void> {
  const decoders = { stdout: new TextDecoder(), stderr: new TextDecoder() }
  for await (const entry of client.logs(id, { ...wanted(options), signal: context.signal })) {
    const text = decoders[entry.stream].decode(entry.bytes, { stream: true })
    context[entry.stream].write(text)
  }
}

async function printChunks(
  context: CliContext,
  client: Client,
  id: string,
  options: LogOptions
): Promise<void> {
  const chunks = []
  let next = options.after ?? '1-0'
  const decoder = new TextDecoder()
  for await (const entry of client.logs(id, { ...wanted(options), signal: context.signal })) {
    const { attempt, offset, stream, at } = entry
    chunks.push({ attempt, offset, stream, at, text: decoder.decode(entry.bytes) })
    next = entry.next
  }
  printJson(context, { ok: true, id, chunks, next })
}

function wanted({ follow, after }: LogOptions): { follow: boolean; after?: string } {
  return { follow: follow === true, ...(after === undefined ? {} : { after }) }
}
