/** The options of every command that talks to a cluster. */
import type { Command } from 'commander'
import { DEFAULT_PORT } from '../../base/wire/headers.ts'
import { createClient } from '../../client/index.ts'
import type { Client } from '../../client/index.ts'
import { UsageError } from './context.ts'
import type { CliContext } from './context.ts'
import { formatDuration } from './format.ts'

/** A request that is tried for longer is talked about. */
const SILENT_MS = 3_000

export interface ConnectionOptions {
  readonly url?: string
  readonly json?: boolean
}

/** Adds `--url` and `--json`. */
export function connectionOptions(command: Command): Command {
  return command
    .option(
      '--url <urls>',
      `a node's URL, or several with commas between (default: DTSS_URL, else http://127.0.0.1:${DEFAULT_PORT})`
    )
    .option('--json', 'print one JSON object, as the last line of standard output')
}

/** A client for the nodes that the options or the environment name. */
export function connect(context: CliContext, options: ConnectionOptions): Client {
  return clientOf(context, urlsOf(context, options))
}

/**
 * A client that asks the leader first, for what only a leader knows. Where its API cannot be reached from here, the nodes
 * that were named answer.
 */
export async function connectToLeader(context: CliContext, options: ConnectionOptions): Promise<Client> {
  const { leader } = await connect(context, options).cluster({ consistency: 'stale', signal: context.signal })
  const urls = urlsOf(context, options)
  const first = leader === undefined || leader.url === '' ? [] : [leader.url]
  return clientOf(context, [...first, ...urls])
}

/** A client that says why when what was asked is tried for long. */
function clientOf(context: CliContext, urls: readonly string[]): Client {
  return createClient({
    urls,
    fetch: context.fetch,
    retries: 3,
    onRetry: ({ code, message }, triedMs) => {
      if (triedMs < SILENT_MS) return
      context.stderr.write(`dtss: ${message} (${code}); trying again after ${formatDuration(triedMs)}\n`)
    }
  })
}

function urlsOf(context: CliContext, options: ConnectionOptions): string[] {
  const text = options.url ?? context.env['DTSS_URL'] ?? `http://127.0.0.1:${DEFAULT_PORT}`
  const urls = text.split(',').map((url) => url.trim())
  for (const url of urls) {
    if (!/^https?:\/\//.test(url) || !URL.canParse(url)) {
      throw new UsageError(
        `--url: got ${JSON.stringify(url)}, expected a URL such as http://127.0.0.1:${DEFAULT_PORT}`
      )
    }
  }
  return urls
}
