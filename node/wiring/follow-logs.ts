/**
 * A task's output as one stream of chunks, whichever nodes it ran on.
 *
 * Output of this node is followed as it comes; output of others is asked for in short intervals, until the task has ended
 * and nothing more comes.
 */
import type { LogChunk, LogQuery } from '../../api/ports.ts'
import type { TaskId } from '../../base/ids.ts'
import { KiB } from '../../base/units.ts'
import type { NodeRuntime } from '../../runtime/node-runtime.ts'

const PAGE_BYTES = 256 * KiB
/** Between two questions to other nodes while following. */
const POLL_MS = 250

export async function* followLogs(
  runtime: NodeRuntime,
  id: TaskId,
  query: LogQuery
): AsyncGenerator<LogChunk> {
  let position = { attempt: query.after.attempt, offset: query.after.offset }
  const over = (): boolean => query.signal.aborted
  for (;;) {
    // Judged before reading: what is printed until the end is then part of what is read.
    const ended = !runtime.state.tasks.has(id)
    const chunks = await runtime.readLogs(id, position, PAGE_BYTES)
    for (const chunk of chunks) {
      if (over()) return
      yield chunk
      position = { attempt: chunk.attempt, offset: chunk.offset + chunk.bytes.length }
    }
    if (over() || (chunks.length === 0 && (ended || !query.follow))) return
    if (chunks.length === 0) await pause(runtime, id, query.signal)
  }
}

/** Until output comes on this node, the interval is over, the task ends or the reader leaves. */
async function pause(runtime: NodeRuntime, id: TaskId, signal: AbortSignal): Promise<void> {
  let stop: () => void = () => undefined
  const printed = new Promise<void>((resolve) => {
    stop = runtime.watchLogs(id, resolve)
  })
  try {
    await Promise.race([printed, runtime.waitTask(id, POLL_MS, signal)])
  } finally {
    stop()
  }
}
