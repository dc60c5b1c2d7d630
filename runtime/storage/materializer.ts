/**
 * Writes the replicated state behind apply: rows that changed, in one batch per flush, with the position they stand for.
 *
 * Owns the state store's `meta` row, when to flush, and reads of rows that are on their way. Does not know what rows mean.
 *
 * M1. A batch holds exactly the changes up to its meta row's index, so the store is at every moment the state at one
 *     index; after a crash it is the state at an earlier one, and the log repeats the rest.
 * M2. The log is compacted only below `durableIndex`, the index of the last batch that was written with sync.
 * M3. At most one batch is on its way. While more than `maxPendingBytes` of entries wait for the next, apply pauses:
 *     that slows this node and changes no outcome.
 */
import { toAppError, type AppError } from '../../base/errors.ts'
import type { TaskId } from '../../base/ids.ts'
import { invariant } from '../../base/invariant.ts'
import type { ConfState } from '../../consensus/index.ts'
import { blobKey, historyKey } from '../../scheduler/keys.ts'
import {
  decodeHistory,
  drainChanges,
  RECORD_VERSION,
  stateChecksum,
  undrainedBlob,
  undrainedHistory
} from '../../scheduler/records.ts'
import type { SchedulerState } from '../../scheduler/state.ts'
import type { HistoryRow } from '../../scheduler/types.ts'
import type { Clock } from '../ports/clock.ts'
import type { Store, StoreOperation } from '../ports/store.ts'
import { encodeMeta, keyBytes, META_KEY, type StateMeta } from './meta.ts'

/** Where apply stands in the log. */
export interface AppliedPosition {
  readonly index: number
  readonly term: number
  readonly confState: ConfState
}

export interface MaterializerInput {
  readonly clock: Clock
  readonly flushMs: number
  readonly maxPendingBytes: number
  /** A write failed: what the store holds is unknown, and the node must stop. */
  readonly onFailure: (error: AppError) => void
  /** A flush ended: apply may go on, the log may be compacted. */
  readonly onFlushed: () => void
}

export class Materializer {
  readonly #input: MaterializerInput
  #store: Store
  #state: SchedulerState
  #position: AppliedPosition
  #durable: AppliedPosition
  /** Checksum of the state at `#durable`. */
  #checksum: string
  /** Entry bytes applied since the last drain. */
  #pendingBytes = 0
  #lastFlushAt = 0
  #flushing: Promise<void> | undefined
  /** Rows of the batch on its way; undefined for a deleted one. */
  #inFlight = new Map<string, Uint8Array | undefined>()
  #closed = false
  /** While the store is away: settled when another is attached. */
  #attached: Promise<void> | undefined
  #resume: () => void = () => undefined

  constructor(input: MaterializerInput, store: Store, state: SchedulerState, position: AppliedPosition) {
    this.#input = input
    this.#store = store
    this.#state = state
    this.#position = position
    this.#durable = position
    this.#checksum = stateChecksum(state)
  }

  /** Checksum of the hot rows at `durable`. */
  get checksum(): string {
    return this.#checksum
  }

  get durable(): AppliedPosition {
    return this.#durable
  }

  get position(): AppliedPosition {
    return this.#position
  }

  get store(): Store {
    return this.#store
  }

  /** Whether apply must pause until a flush is done. */
  get full(): boolean {
    return this.#pendingBytes > this.#input.maxPendingBytes
  }

  /** An entry was applied; `sizeBytes` is its length in the log. */
  applied(position: AppliedPosition, sizeBytes: number): void {
    invariant(position.index === this.#position.index + 1, 'entries are applied in order, without gaps')
    this.#position = position
    this.#pendingBytes += sizeBytes
  }

  /** To be called between entries, often: begins a flush when one is due. */
  poll(): void {
    if (this.#flushing !== undefined || this.#position.index === this.#durable.index) return
    const due = this.#input.clock.monotonicNow() - this.#lastFlushAt >= this.#input.flushMs
    if (due || this.#pendingBytes > this.#input.maxPendingBytes / 8) void this.flush()
  }

  /** Makes everything applied so far durable. Between entries only. */
  async flush(): Promise<void> {
    if (this.#attached !== undefined) await this.#attached
    while (this.#flushing !== undefined) await this.#flushing
    if (this.#closed || this.#position.index === this.#durable.index) return
    this.#flushing = this.#write().finally(() => {
      this.#flushing = undefined
      this.#input.onFlushed()
    })
    await this.#flushing
  }

  /** The history row of an ended task, wherever it is on its way. */
  async history(id: TaskId): Promise<HistoryRow | undefined> {
    const undrained = undrainedHistory(this.#state, id)
    if (undrained !== undefined) return undrained
    const value = await this.#read(historyKey(id))
    return value === undefined ? undefined : decodeHistory(value)
  }

  /** The bytes that a stored blob stands for. */
  async blob(id: TaskId, part: 'input' | 'result'): Promise<Uint8Array | undefined> {
    return undrainedBlob(this.#state, id, part) ?? (await this.#read(blobKey(id, part)))
  }

  /**
   * Waits for what is on its way and lets go of the store, to be swapped or closed by the caller. Reads and flushes wait
   * from now on until another is attached.
   */
  async detach(): Promise<Store> {
    this.#closed = true
    this.#attached = new Promise((resolve) => {
      this.#resume = resolve
    })
    if (this.#flushing !== undefined) await this.#flushing
    return this.#store
  }

  /** Goes on with a state that was installed from a snapshot. */
  attach(store: Store, state: SchedulerState, position: AppliedPosition): void {
    this.#store = store
    this.#state = state
    this.#position = position
    this.#durable = position
    this.#checksum = stateChecksum(state)
    this.#pendingBytes = 0
    this.#closed = false
    this.#attached = undefined
    this.#resume()
  }

  async #write(): Promise<void> {
    const position = this.#position
    const changes = drainChanges(this.#state)
    this.#pendingBytes = 0
    this.#lastFlushAt = this.#input.clock.monotonicNow()
    const meta: StateMeta = {
      ...position,
      recordVersion: RECORD_VERSION,
      checksum: stateChecksum(this.#state)
    }
    const operations: StoreOperation[] = []
    for (const key of changes.deletes) {
      operations.push({ type: 'del', key: keyBytes(key) })
      this.#inFlight.set(key, undefined)
    }
    for (const { key, value } of changes.puts) {
      operations.push({ type: 'put', key: keyBytes(key), value })
      this.#inFlight.set(key, value)
    }
    operations.push({ type: 'put', key: keyBytes(META_KEY), value: encodeMeta(meta) })
    try {
      await this.#store.batch(operations, { sync: true })
      this.#durable = position
      this.#checksum = meta.checksum
    } catch (error) {
      this.#closed = true
      this.#input.onFailure(toAppError(error))
    } finally {
      this.#inFlight.clear()
    }
  }

  async #read(key: string): Promise<Uint8Array | undefined> {
    if (this.#attached !== undefined) await this.#attached
    if (this.#inFlight.has(key)) return this.#inFlight.get(key)
    return await this.#store.get(keyBytes(key))
  }
}
