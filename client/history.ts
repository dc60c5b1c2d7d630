/** A cluster's history as a client reads it: export after export, resumed at the last whole line where one was cut. */
import type { HistoryEnd, HistoryTask } from '../base/wire/history.ts'
import { MAX_EXPORT_TASKS } from '../base/wire/history.ts'
import { DtssError } from './errors.ts'
import { delay } from './transport.ts'
import type { Transport } from './transport.ts'

export interface HistoryOptions {
  /** The most tasks to read. Default: all that the cluster keeps. */
  readonly limit?: number
  readonly signal?: AbortSignal
}

/** Exports that may break off one after another without a task in between. */
const CUTS = 5
const RESUME_DELAY_MS = 250

/** Newest first. Throws UNREACHABLE when exports break off again and again. */
export async function* readHistory(
  transport: Transport,
  { limit = Infinity, signal }: HistoryOptions
): AsyncGenerator<HistoryTask, void> {
  let cursor: string | undefined
  let left = limit
  let cuts = 0
  while (left > 0) {
    const query = new URLSearchParams({ limit: String(Math.min(left, MAX_EXPORT_TASKS)) })
    if (cursor !== undefined) query.set('cursor', cursor)
    const path = `/v1/history/export?${query.toString()}`
    const response = await transport.stream({ method: 'GET', path, repeatable: true, signal })
    let end: HistoryEnd | undefined
    let cause: unknown
    try {
      for await (const line of linesOf(response)) {
        const value = JSON.parse(line) as HistoryTask | HistoryEnd
        if ('end' in value) {
          end = value
          break
        }
        cursor = value.id
        cuts = 0
        left--
        yield value
      }
    } catch (error) {
      signal?.throwIfAborted()
      cause = error
    }
    if (end !== undefined) {
      if (end.next === undefined) return
      cursor = end.next
    } else {
      if (++cuts > CUTS) throw brokenOff(cause)
      await delay(RESUME_DELAY_MS, signal)
    }
  }
}

function brokenOff(cause: unknown): DtssError {
  return new DtssError('the export of history broke off again and again', {
    code: 'UNREACHABLE',
    status: 0,
    retryable: true,
    cause
  })
}

/** Whole lines; what follows the last line feed is left out. */
async function* linesOf(response: Response): AsyncGenerator<string> {
  if (response.body === null) return
  const reader = (response.body as ReadableStream<Uint8Array>).getReader()
  const decoder = new TextDecoder()
  let rest = ''
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      const lines = (rest + decoder.decode(value, { stream: true })).split('\n')
      rest = lines.pop() ?? ''
      yield* lines
    }
  } finally {
    // The reader may have left early; the connection must not stay open for it.
    void reader.cancel().catch(() => undefined)
  }
}
