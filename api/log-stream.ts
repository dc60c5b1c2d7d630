/**
 * A task's output as bytes on the way to a client: pages, plain text, and server-sent events.
 *
 * An event's id is the position after its chunk, so a client that reconnects with `Last-Event-ID` goes on exactly where
 * it was. The `end` event says that the task has ended and all its output was given; a stream that closes without it
 * was cut, and is to be resumed.
 */
import { isUtf8 } from 'node:buffer'
import { LIMITS } from '../base/limits.ts'
import { formatLogPosition } from '../base/wire/logs.ts'
import type { LogPosition, WireLogChunk } from '../base/wire/logs.ts'
import type { LogChunk } from './ports.ts'

/** A chunk in JSON. Bytes that are no UTF-8 text travel as base64, so nothing is lost. */
function wireChunk(chunk: LogChunk): WireLogChunk {
  const { attempt, offset, stream, at } = chunk
  const bytes = Buffer.from(chunk.bytes.buffer, chunk.bytes.byteOffset, chunk.bytes.byteLength)
  const content = isUtf8(bytes) ? { text: bytes.toString('utf8') } : { base64: bytes.toString('base64') }
  return { attempt, offset, stream, ...(at === undefined ? {} : { at }), ...content }
}

/** The position after a chunk. */
function positionAfter(chunk: LogChunk): LogPosition {
  return { attempt: chunk.attempt, offset: chunk.offset + chunk.bytes.length }
}

/** Chunks up to a page's worth of bytes, where they end, and whether there were more. */
export async function collectPage(
  chunks: AsyncIterable<LogChunk>,
  after: LogPosition
): Promise<{ chunks: WireLogChunk[]; next: LogPosition; more: boolean }> {
  const page: WireLogChunk[] = []
  let next = after
  let bytes = 0
  for await (const chunk of chunks) {
    if (bytes > 0 && bytes + chunk.bytes.length > LIMITS.logPageBytes)
      return { chunks: page, next, more: true }
    page.push(wireChunk(chunk))
    bytes += chunk.bytes.length
    next = positionAfter(chunk)
  }
  return { chunks: page, next, more: false }
}

/** The raw bytes of the output, both streams in the order in which they were read. */
export async function* textOf(chunks: AsyncIterable<LogChunk>): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) if (chunk.bytes.length > 0) yield chunk.bytes
}

/** One server-sent event. `data` is a single line, as JSON is. */
export function event(name: string, data: unknown, id?: string): string {
  return `${id === undefined ? '' : `id: ${id}\n`}event: ${name}\ndata: ${JSON.stringify(data)}\n\n`
}

/** The output as events, with a comment as a sign of life after each `heartbeatMs` without any. */
export async function* eventsOf(
  chunks: AsyncIterable<LogChunk>,
  heartbeatMs: number
): AsyncGenerator<string> {
  // Sent at once, so that the client sees the stream open before there is output.
  yield ': open\n\n'
  for await (const chunk of withHeartbeat(chunks, heartbeatMs)) {
    yield chunk === undefined
      ? ': alive\n\n'
      : event('chunk', wireChunk(chunk), formatLogPosition(positionAfter(chunk)))
  }
}

/** The items of `source`, and undefined after each `everyMs` in which there was none. */
async function* withHeartbeat<T>(source: AsyncIterable<T>, everyMs: number): AsyncGenerator<T | undefined> {
  const iterator = source[Symbol.asyncIterator]()
  let timer: NodeJS.Timeout | undefined
  let pending = iterator.next()
  // The reader may leave while an item is awaited; its failure then concerns nobody.
  pending.catch(() => undefined)
  try {
    for (;;) {
      const tick = new Promise<undefined>((resolve) => {
        timer = setTimeout(resolve, everyMs, undefined)
      })
      const item = await Promise.race([pending, tick])
      clearTimeout(timer)
      if (item === undefined) {
        yield undefined
        continue
      }
      if (item.done === true) return
      yield item.value
      pending = iterator.next()
      pending.catch(() => undefined)
    }
  } finally {
    clearTimeout(timer)
    // Not awaited: a source that waits for output only returns once its signal was aborted.
    void iterator.return?.()
  }
}
