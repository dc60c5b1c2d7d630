/** What a case of the demonstration is, and the two ways to provoke one: a request, and the start of a node. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { request } from 'node:http'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

/** How something was refused. */
export interface Refusal {
  readonly code: string
  readonly message: string
}

export interface Case {
  readonly name: string
  /** The code that documents the refusal. */
  readonly expected: string
  /** What the message must name besides: field, got, expected. */
  readonly names: RegExp
  provoke(): Promise<Refusal>
}

const CLI = fileURLToPath(new URL('../../node/cli/main.js', import.meta.url))
/** A node that cannot start must say so; one that hangs is a failure of its own. */
const START_TIMEOUT_MS = 20_000
const REPLY_TIMEOUT_MS = 30_000

export interface RawRequest {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

/** Sends a request as it is, unlike `fetch` also with a foreign Host header, and reads the problem that answers it. */
export async function refusedRequest(
  url: string,
  { method, path, headers, body }: RawRequest
): Promise<Refusal> {
  const sent = request(new URL(path, url), {
    method,
    headers: { 'content-type': 'application/json', ...headers },
    signal: AbortSignal.timeout(REPLY_TIMEOUT_MS)
  })
  const replied = new Promise<{ status: number; text: string }>((resolve, reject) => {
    sent.once('error', reject)
    sent.once('response', (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        text += chunk
      })
      response.once('end', () => {
        resolve({ status: response.statusCode ?? 0, text })
      })
      response.once('error', reject)
    })
  })
  sent.end(body)
  const { status, text } = await replied
  if (status < 400) return { code: `ACCEPTED_${status}`, message: text }
  const { code = 'NO_CODE', detail = text } = JSON.parse(text) as { code?: string; detail?: string }
  return { code, message: detail }
}

/** Runs `dtss start` and reads why it ended. */
export async function refusedStart(options: readonly string[]): Promise<Refusal> {
  const args = [
    CLI,
    'start',
    '--peer-port',
    '0',
    '--http-port',
    '0',
    '--log-level',
    'error',
    '--json',
    ...options
  ]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const lines: string[] = []
  createInterface({ input: child.stdout }).on('line', (line) => {
    lines.push(line)
    // It came up although it should not have.
    if (line.includes('"ok":true')) child.kill('SIGTERM')
  })
  const complaints: string[] = []
  createInterface({ input: child.stderr }).on('line', (line) => {
    complaints.push(line)
  })
  const timer = setTimeout(() => child.kill('SIGKILL'), START_TIMEOUT_MS)
  const [exitCode, signal] = (await once(child, 'close')) as [number | null, string | null]
  clearTimeout(timer)
  if (signal !== null) return { code: 'HANGS', message: `ended by ${signal}: ${complaints.join(' ')}` }
  if (exitCode === 0) return { code: 'STARTED', message: lines.join(' ') }
  const told = lines.at(-1)
  if (told === undefined) return { code: 'NO_CODE', message: complaints.join(' ') }
  const { error } = JSON.parse(told) as { error?: Refusal }
  return error ?? { code: 'NO_CODE', message: told }
}
