/** Runs the command line in the process of the test: what it writes is given back, and requests reach a fake server without a port. */
import type { FastifyInstance } from 'fastify'
import type { CliContext } from '../../node/cli/context.ts'
import { runCli } from '../../node/cli/run-cli.ts'

export interface CliWorld {
  readonly fetch?: typeof fetch
  readonly stdin?: string
  readonly env?: Record<string, string>
  /** The time, in milliseconds since the Unix epoch. */
  readonly now?: number
}

export interface CliRun {
  readonly code: number
  readonly out: string
  readonly err: string
  /** The last line of what it wrote. */
  readonly json: () => Record<string, unknown>
}

/** One command line. */
export async function runHere(argv: readonly string[], world: CliWorld = {}): Promise<CliRun> {
  let out = ''
  let err = ''
  const context: CliContext = {
    stdout: { write: (text) => (out += text) },
    stderr: { write: (text) => (err += text) },
    stdin: (async function* () {
      yield await Promise.resolve(world.stdin ?? '')
    })(),
    env: world.env ?? {},
    signal: new AbortController().signal,
    fetch: world.fetch ?? fetch,
    now: () => world.now ?? 0,
    exitCode: 0
  }
  const code = await runCli(argv, context, '1.2.3')
  const last = out.trimEnd().split('\n').at(-1) ?? ''
  return { code, out, err, json: () => JSON.parse(last) as Record<string, unknown> }
}

/** `fetch` into the server that there is by then, whatever node is asked. */
export function fetchInto(app: () => FastifyInstance): typeof fetch {
  return async (input, init) => {
    const { pathname, search } = input as URL
    const reply = await app().inject({
      method: (init?.method ?? 'GET') as 'GET',
      url: pathname + search,
      headers: init?.headers as Record<string, string>,
      ...(typeof init?.body === 'string' ? { payload: init.body } : {})
    })
    return new Response(reply.rawPayload, {
      status: reply.statusCode,
      headers: reply.headers as Record<string, string>
    })
  }
}
