/**
 * Output of attempts that ran on this node: gathered in memory, written behind to the node's own store, read by offset.
 *
 * Output is not replicated. Its position is the byte offset within the attempt, so a reader resumes where it stopped,
 * whichever node it asks. Beyond `LIMITS.attemptLogBytes` the oldest output of an attempt is dropped.
 */
import type { TaskId } from '../../base/ids.ts'
import { LIMITS } from '../../base/limits.ts'
import { timestampMs, type TimestampMs } from '../../base/units.ts'
import type { KeyRange, Store, StoreOperation } from '../ports/store.ts'

/** A stretch of one attempt's output, from one of its streams. */
export interface LogChunk {
  readonly attempt: number
  /** Where the chunk starts in the attempt's output, both streams counted together. */
  readonly offset: number
  readonly stream: 'stdout' | 'stderr'
  /** When it was read, by this node's wall clock. */
  readonly at: TimestampMs
  readonly bytes: Uint8Array
}

export interface LogPosition {
  readonly attempt: number
  readonly offset: number
}

interface Tail {
  /** Where the next chunk starts. */
  end: number
  /** Offsets of stored chunks, oldest first, for dropping. */
  starts: number[]
  pending: LogChunk[]
  /** Nothing follows: forgotten once written. */
  closed: boolean
}

const utf8 = new TextEncoder()
const HEADER_BYTES = 9

export class AttemptLogs {
  readonly #store: Store
  readonly #tails = new Map<string, Tail>()
  readonly #listeners = new Map<TaskId, Set<() => void>>()
  #forgotten: TaskId[] = []
  #writing: Promise<void> = Promise.resolve()

  constructor(store: Store) {
    this.#store = store
  }

  append(
    task: TaskId,
    attempt: number,
    stream: LogChunk['stream'],
    at: TimestampMs,
    bytes: Uint8Array
  ): void {
    const tail = this.#tail(task, attempt)
    tail.pending.push({ attempt, offset: tail.end, stream, at, bytes })
    tail.end += bytes.length
    this.#notify(task)
  }

  /** The attempt is over and what it printed is complete. */
  ended(task: TaskId, attempt: number): void {
    const tail = this.#tails.get(`${task}/${attempt}`)
    if (tail !== undefined) tail.closed = true
    this.#notify(task)
  }

  /** Calls `listener` after each change of the task's output, until the returned function is called. */
  watch(task: TaskId, listener: () => void): () => void {
    let listeners = this.#listeners.get(task)
    if (listeners === undefined) {
      listeners = new Set()
      this.#listeners.set(task, listeners)
    }
    listeners.add(listener)
    return () => {
      listeners.delete(listener)
      if (listeners.size === 0) this.#listeners.delete(task)
    }
  }

  /** Output from a position on, in order, up to about `maxBytes`. */
  async read(task: TaskId, after: LogPosition, maxBytes: number): Promise<LogChunk[]> {
    await this.flush()
    const chunks: LogChunk[] = []
    let bytes = 0
    const range: KeyRange = { gte: keyOf(task, after.attempt, 0), lt: keyOf(task, Infinity, 0) }
    for await (const [key, value] of this.#store.iterate(range)) {
      const chunk = decodeChunk(key, value)
      const skip = chunk.attempt === after.attempt ? Math.max(0, after.offset - chunk.offset) : 0
      if (skip >= chunk.bytes.length) continue
      chunks.push(
        skip === 0 ? chunk : { ...chunk, offset: chunk.offset + skip, bytes: chunk.bytes.subarray(skip) }
      )
      bytes += chunk.bytes.length
      if (bytes >= maxBytes) break
    }
    return chunks
  }

  /** The task was retired: its output goes with the next flush. */
  forget(task: TaskId): void {
    this.#forgotten.push(task)
  }

  async close(): Promise<void> {
    await this.flush()
    await this.#store.close()
  }

  /** Writes what has gathered. */
  flush(): Promise<void> {
    const operations: StoreOperation[] = []
    for (const [name, tail] of this.#tails) {
      if (tail.closed) this.#tails.delete(name)
      if (tail.pending.length === 0) continue
      const task = Number(name.slice(0, name.indexOf('/'))) as TaskId
      for (const chunk of coalesce(tail.pending)) {
        operations.push({
          type: 'put',
          key: keyOf(task, chunk.attempt, chunk.offset),
          value: encodeChunk(chunk)
        })
        tail.starts.push(chunk.offset)
        this.#dropOldest(task, chunk.attempt, tail, operations)
      }
      tail.pending = []
    }
    const forgotten = this.#forgotten
    this.#forgotten = []
    if (operations.length > 0 || forgotten.length > 0) {
      this.#writing = this.#writing.then(() => this.#write(operations, forgotten))
    }
    return this.#writing
  }

  async #write(operations: StoreOperation[], forgotten: readonly TaskId[]): Promise<void> {
    for (const task of forgotten) {
      const range = { gte: keyOf(task, 0, 0), lt: keyOf(task, Infinity, 0) }
      for await (const [key] of this.#store.iterate(range)) operations.push({ type: 'del', key })
    }
    if (operations.length > 0) await this.#store.batch(operations, { sync: false })
  }

  #dropOldest(task: TaskId, attempt: number, tail: Tail, operations: StoreOperation[]): void {
    for (;;) {
      const [oldest, next] = tail.starts
      if (oldest === undefined || next === undefined || tail.end - next < LIMITS.attemptLogBytes) return
      tail.starts.shift()
      operations.push({ type: 'del', key: keyOf(task, attempt, oldest) })
    }
  }

  #tail(task: TaskId, attempt: number): Tail {
    const name = `${task}/${attempt}`
    let tail = this.#tails.get(name)
    if (tail === undefined) {
      tail = { end: 0, starts: [], pending: [], closed: false }
      this.#tails.set(name, tail)
    }
    return tail
  }

  #notify(task: TaskId): void {
    for (const listener of this.#listeners.get(task) ?? []) listener()
  }
}

/** Joins neighbours of one stream, so that a chatty attempt does not make a row of each line. */
function coalesce(chunks: readonly LogChunk[]): LogChunk[] {
  const joined: LogChunk[] = []
  for (const chunk of chunks) {
    const last = joined.at(-1)
    if (last?.stream !== chunk.stream || last.bytes.length + chunk.bytes.length > MAX_ROW_BYTES) {
      joined.push(chunk)
      continue
    }
    const bytes = new Uint8Array(last.bytes.length + chunk.bytes.length)
    bytes.set(last.bytes)
    bytes.set(chunk.bytes, last.bytes.length)
    joined[joined.length - 1] = { ...last, bytes }
  }
  return joined
}

const MAX_ROW_BYTES = 64 * 1024
const DIGITS = 16

function keyOf(task: TaskId, attempt: number, offset: number): Uint8Array {
  const attemptText = attempt === Infinity ? '~' : attempt.toString().padStart(DIGITS, '0')
  return utf8.encode(
    `l${task.toString().padStart(DIGITS, '0')}/${attemptText}/${offset.toString().padStart(DIGITS, '0')}`
  )
}

function encodeChunk(chunk: LogChunk): Uint8Array {
  const value = new Uint8Array(HEADER_BYTES + chunk.bytes.length)
  const view = new DataView(value.buffer)
  view.setUint8(0, chunk.stream === 'stdout' ? 1 : 2)
  view.setFloat64(1, chunk.at)
  value.set(chunk.bytes, HEADER_BYTES)
  return value
}

function decodeChunk(key: Uint8Array, value: Uint8Array): LogChunk {
  const [, attempt, offset] = new TextDecoder().decode(key).split('/')
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength)
  return {
    attempt: Number(attempt),
    offset: Number(offset),
    stream: view.getUint8(0) === 1 ? 'stdout' : 'stderr',
    at: timestampMs(view.getFloat64(1)),
    bytes: value.subarray(HEADER_BYTES)
  }
}
