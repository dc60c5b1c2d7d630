/** Clients of fake nodes, and replies that nodes give, for tests of the client. */
import { afterEach } from 'vitest'
import { listen } from '../../../api/server.ts'
import { createClient } from '../../../client/index.ts'
import type { Client, ClientOptions } from '../../../client/index.ts'
import { fakeServer } from '../../helpers/fake-node.ts'

type Server = Awaited<ReturnType<typeof fakeServer>>
type Live = Server & {
  readonly url: string
  readonly client: Client
  readonly sent: { url: string; headers: Record<string, string> }[]
}
const running: Server[] = []
afterEach(async () => {
  await Promise.all(running.splice(0).map(({ app }) => app.close()))
})

/** A client of a fake node, and the requests that it sent. */
export async function setUp(options: ClientOptions = {}): Promise<Live> {
  const server = await fakeServer({ heartbeatMs: 5 })
  running.push(server)
  const url = await listen(server.app, { host: '127.0.0.1', port: 0 })
  const sent: { url: string; headers: Record<string, string> }[] = []
  const recording: typeof fetch = (input, init) => {
    sent.push({ url: (input as URL).href, headers: init?.headers as Record<string, string> })
    return fetch(input, init)
  }
  const client = createClient({ url, fetch: recording, baseDelayMs: 1, ...options })
  return { ...server, url, client, sent }
}

/** A URL at which nothing listens. */
export async function deadUrl(): Promise<string> {
  const { app } = await fakeServer()
  const url = await listen(app, { host: '127.0.0.1', port: 0 })
  await app.close()
  return url
}

/** Answers each request by the next of these, then by the last again. */
export function scripted(...replies: (() => Response | Promise<Response>)[]): {
  readonly fake: typeof fetch
  readonly requests: { url: string; init: RequestInit | undefined }[]
} {
  const requests: { url: string; init: RequestInit | undefined }[] = []
  const fake: typeof fetch = (input, init) => {
    requests.push({ url: (input as URL).href, init })
    const reply = replies[Math.min(requests.length, replies.length) - 1]!
    return Promise.resolve().then(reply)
  }
  return { fake, requests }
}

export const refused = (): never => {
  throw new TypeError('fetch failed', { cause: new Error('connect ECONNREFUSED') })
}
export const accepted = (): Response =>
  Response.json({ firstId: 't-1', count: 1, ids: ['t-1'], id: 't-1', replayed: false }, { status: 202 })
export const problem =
  (code: string, status: number, headers: Record<string, string> = {}) =>
  (): Response =>
    new Response(JSON.stringify({ code, status, detail: 'because', retryable: true }), { status, headers })
