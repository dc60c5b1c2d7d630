/** A task's output as a client reads it: in pages, or followed as server-sent events and resumed where it was cut. */
import type { LogPage, WireLogChunk } from '../base/wire/logs.ts'
import { formatLogPosition } from '../base/wire/logs.ts'
import type { Problem } from '../base/wire/problem.ts'
import type { WireTaskStatus } from '../base/wire/common.ts'
import { DtssError, errorOfProblem } from './errors.ts'
import type { Transport } from './transport.ts'
import { delay } from './transport.ts'

/** A stretch of an attempt's output. */
export interface LogEntry {
  readonly attempt: number
  /** Where it starts in the attempt's output, in bytes. */
  readonly offset: number
  readonly stream: 'stdout' | 'stderr'
  /** When it was read, in milliseconds since the epoch by the wall clock of the node that ran the attempt. */
  readonly at: number | undefined
  readonly bytes: Uint8Array
  /** The position after it: pass it as `after` to read on. */
  readonly next: string
}

export interface LogOptions {
  /** Go on until the task has ended. */
  readonly follow?: boolean
  /** A position, `LogEntry.next`: only output after it. */
  readonly after?: string
  readonly signal?: AbortSignal
}

/** How long a follower waits before it resumes a stream that was cut. */
const RESUME_DELAY_MS = 250

/** The output there is now. */
export async function* readLogs(
  transport: Transport,
  id: string,
  options: LogOptions
): AsyncGenerator<LogEntry> {
  let after = options.after
  for (;;) {
    const query = after === undefined ? '' : `?after=${after}`
    const page = (await transport.json({
      method: 'GET',
      path: `/v1/tasks/${encodeURIComponent(id)}/logs${query}`,
      headers: { accept: 'application/json' },
      repeatable: true,
      signal: options.signal
    })) as LogPage
    for (const chunk of page.chunks) yield entryOf(chunk)
    if (!page.more) return
    after = page.next
  }
}

/** The output as it comes, until the task has ended. Returns the task's final status. */
export async function* followLogs(
  transport: Transport,
  id: string,
  options: LogOptions
): AsyncGenerator<LogEntry, WireTaskStatus> {
  let after = options.after
  for (;;) {
    const response = await transport.stream({
      method: 'GET',
      path: `/v1/tasks/${encodeURIComponent(id)}/logs?follow=true&format=sse`,
      headers: { accept: 'text/event-stream', ...(after === undefined ? {} : { 'last-event-id': after }) },
      repeatable: true,
      signal: options.signal
    })
    try {
      for await (const event of eventsOf(response)) {
        if (event.name === 'chunk') {
          const entry = entryOf(event.data as WireLogChunk)
          after = entry.next
          yield entry
        } else if (event.name === 'end') {
          return (event.data as { status: WireTaskStatus }).status
        } else if (event.name === 'problem') {
          throw errorOfProblem(event.data as Problem)
        }
      }
    } catch (error) {
      options.signal?.throwIfAborted()
      if (error instanceof DtssError && !error.retryable) throw error
    }
    // Cut without an end: another node, or the same one a moment later, goes on from `after`.
    await delay(RESUME_DELAY_MS, options.signal)
  }
}

function entryOf(chunk: WireLogChunk): LogEntry {
  const bytes =
    chunk.base64 === undefined ? new TextEncoder().encode(chunk.text ?? '') : bytesOfBase64(chunk.base64)
  const { attempt, offset, stream, at } = chunk
  return {
    attempt,
    offset,
    stream,
    at,
    bytes,
    next: formatLogPosition({ attempt, offset: offset + bytes.length })
  }
}

function bytesOfBase64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0))
}

interface ServerEvent {
  readonly name: string
  readonly data: unknown
}

/** The events of a `text/event-stream` reply, whose data are single lines of JSON. Comments are passed over. */
async function* eventsOf(response: Response): AsyncGenerator<ServerEvent> {
  if (response.body === null) return
  const reader = (response.body as ReadableStream<Uint8Array>).getReader()
  const decoder = new TextDecoder()
  let rest = ''
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      const blocks = (rest + decoder.decode(value, { stream: true })).split('\n\n')
      rest = blocks.pop() ?? ''
      for (const block of blocks) {
        const event = eventOf(block)
        if (event !== undefined) yield event
      }
    }
  } finally {
    // The reader may have left early; the connection must not stay open for it.
    void reader.cancel().catch(() => undefined)
  }
}

function eventOf(block: string): ServerEvent | undefined {
  let name = 'message'
  let data = ''
  for (const line of block.split('\n')) {
    if (line.startsWith('event: ')) name = line.slice(7)
    if (line.startsWith('data: ')) data = line.slice(6)
  }
  return data === '' ? undefined : { name, data: JSON.parse(data) as unknown }
}
