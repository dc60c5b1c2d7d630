/**
 * Writes the log: one batch at a time, while the next one's changes gather.
 *
 * W1. Batch N + 1 is handed to the disk only after batch N is durable. Recovery's notion of a torn batch rests on it.
 * W2. Where a batch changed term, vote or incarnation, the hard-state file is written after it and before any
 *     `onDurable` of that batch.
 * W3. `onDurable` fires in the order of the calls, never inside them, never after a failure.
 * W4. Segments are removed only when the batch that holds the new base is durable, and judged by durable writes alone.
 */
import { AppError } from '../../base/errors.ts'
import { invariant } from '../../base/invariant.ts'
import { BatchWriter, batchBytes, entryRecordBytes } from '../../consensus/wal/batch-writer.ts'
import { BLOCK_BYTES } from '../../consensus/wal/format.ts'
import type { SegmentLedger } from '../../consensus/wal/segment-ledger.ts'
import type { LogBase, TailMark, WalAppend } from '../../consensus/wal/types.ts'
import type { Clock } from '../ports/clock.ts'
import { BatchFiller } from './batch-filler.ts'
import type { Change, Filled, LogState } from './batch-filler.ts'
import type { HardStateStore } from './hard-state-store.ts'
import type { Segments } from './segments.ts'
import { RecentTimes } from '../recent-times.ts'
import type { Wal, WalEvents, WalMetrics } from './wal.ts'

/** An opened log's parts. */
export interface LogWriterInput {
  readonly clock: Clock
  readonly events: WalEvents
  readonly segmentBytes: number
  readonly maxBatchBytes: number
  readonly allocate: (sizeBytes: number) => Uint8Array
  readonly state: LogState
  readonly tail: TailMark
  readonly ledger: SegmentLedger
  readonly store: HardStateStore
}

const NO_ENTRIES: WalAppend['entries'] = []

/** A log that is open for writing. */
export class LogWriter implements Wal {
  readonly #input: LogWriterInput
  readonly #segments: Segments
  readonly #batch: BatchWriter
  readonly #filler: BatchFiller
  readonly #times = new RecentTimes()
  /** What the disk is known to hold. */
  #durable: LogState
  #tail: TailMark
  /** The segment that the last durable batch stands in, as the ledger has it. */
  #ledgerSegment: number
  #phase: 'open' | 'closing' | 'failed' = 'open'
  /** Why changes are refused once the phase is not `open`. */
  #refusal = new AppError('SHUTTING_DOWN', 'the log is closed')
  #closed: Promise<void> | undefined
  /** Set while batches are being written; resolves when the queue is empty. */
  #run: Promise<void> | undefined
  #underway = 0
  #batches = 0
  #entries = 0
  #bytesWritten = 0

  constructor(input: LogWriterInput, segments: (onFailure: (error: unknown) => void) => Segments) {
    this.#input = input
    this.#segments = segments((error) => {
      this.#fail(error)
    })
    this.#batch = new BatchWriter(input.allocate, Math.min(input.maxBatchBytes, 64 * BLOCK_BYTES))
    this.#filler = new BatchFiller(this.#batch, input.maxBatchBytes, input.state)
    this.#durable = input.state
    this.#tail = input.tail
    this.#ledgerSegment = input.tail.segmentSequence
  }

  append(append: WalAppend, onDurable: () => void): void {
    for (const entry of append.entries) this.#assertFits(entryRecordBytes(entry))
    this.#push({ ...append, onDurable })
  }

  recordIncarnation(incarnation: number, onDurable: () => void): void {
    this.#push({ entries: NO_ENTRIES, incarnation, onDurable })
  }

  compact(base: LogBase): Promise<void> {
    return new Promise((resolve, reject) => {
      const onDurable = (): void => {
        this.#removeSegments().then(resolve, reject)
      }
      this.#push({ entries: NO_ENTRIES, compactTo: base, onDurable, onFailed: reject })
    })
  }

  tick(): void {
    if (this.#phase !== 'open') return
    this.#segments.retry()
    if (this.#run !== undefined || this.#input.store.marks(this.#tail)) return
    this.#writeSlot().catch((error: unknown) => {
      this.#fail(error)
    })
  }

  metrics(): WalMetrics {
    return {
      syncs: this.#batches + this.#input.store.written,
      batches: this.#batches,
      entries: this.#entries,
      bytesWritten: this.#bytesWritten + this.#input.store.written * BLOCK_BYTES,
      segments: this.#input.ledger.size,
      syncMs: this.#times.summary(),
      pendingAppends: this.#filler.length + this.#underway,
      full: this.#segments.full
    }
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    if (this.#phase === 'open') this.#phase = 'closing'
    this.#segments.giveUpOnSpace()
    await this.#run
    if (!this.#hasFailed() && !this.#input.store.marks(this.#tail)) await this.#writeSlot()
    await this.#segments.close()
    await this.#input.store.close()
  }

  #push(change: Change): void {
    if (this.#phase !== 'open') {
      change.onFailed?.(this.#refusal)
      return
    }
    this.#filler.push(change)
    this.#run ??= this.#writeAll()
  }

  async #writeAll(): Promise<void> {
    // Whatever else this turn appends joins the first batch.
    await Promise.resolve()
    while (this.#filler.length > 0 && !this.#hasFailed()) {
      const filled = this.#filler.fill()
      this.#underway = filled.completed.length
      const written = filled.mustWrite ? await this.#writeBatch(filled) : true
      this.#underway = 0
      if (!written) {
        for (const change of [...filled.completed, ...this.#filler.clear()]) change.onFailed?.(this.#refusal)
        break
      }
      for (const change of filled.completed) change.onDurable()
    }
    this.#run = undefined
  }

  /** Whether the batch became durable. */
  async #writeBatch(filled: Filled): Promise<boolean> {
    try {
      const { state } = this.#filler
      const place = await this.#segments.place(this.#batch.finish(state.base))
      if (place === undefined) return false
      const sequence = this.#tail.batchSequence + 1
      const sealed = this.#batch.seal({
        previousDigest: this.#tail.batchDigest,
        sequence,
        previousIndex: this.#durable.lastIndex,
        previousTerm: this.#durable.lastTerm,
        hardState: state.hardState,
        incarnation: state.incarnation,
        segmentSequence: place.sequence,
        segmentOffset: place.offset
      })
      const startedAt = this.#input.clock.monotonicNow()
      await place.file.write(place.offset, sealed.bytes)
      this.#times.add(this.#input.clock.monotonicNow() - startedAt)
      this.#batches += 1
      this.#bytesWritten += sealed.bytes.length
      this.#durable = state
      this.#tail = {
        segmentSequence: place.sequence,
        batchSequence: sequence,
        batchDigest: sealed.digest,
        lastIndex: state.lastIndex,
        lastTerm: state.lastTerm
      }
      this.#noteDurable(filled, place.sequence)
      if (!this.#input.store.holds(this.#durableState())) await this.#writeSlot()
      return !this.#hasFailed()
    } catch (error) {
      this.#fail(error)
      return false
    }
  }

  #noteDurable(filled: Filled, segment: number): void {
    const { ledger } = this.#input
    if (segment !== this.#ledgerSegment) ledger.addSegment(segment)
    this.#ledgerSegment = segment
    let reset = false
    for (const { change, from, to } of filled.parts) {
      if (from === 0 && change.reset !== undefined) {
        ledger.noteReset()
        reset = true
      }
      for (let i = from; i < to; i++) ledger.noteEntry(change.entries[i]?.index ?? 0)
      this.#entries += to - from
    }
    // A reset leaves nothing to keep in older segments, and nobody waits for them to go.
    if (reset) {
      this.#removeSegments().catch((error: unknown) => {
        this.#fail(error)
      })
    }
  }

  #removeSegments(): Promise<void> {
    return this.#segments.remove(this.#input.ledger.takeRemovable(this.#durable.base.index))
  }

  #durableState(): Parameters<HardStateStore['write']>[0] {
    return { hardState: this.#durable.hardState, incarnation: this.#durable.incarnation, tail: this.#tail }
  }

  #writeSlot(): Promise<void> {
    return this.#input.store.write(this.#durableState())
  }

  #assertFits(entryBytes: number): void {
    // One block is more than the header and the largest membership need.
    const room = this.#input.segmentBytes - BLOCK_BYTES
    invariant(
      batchBytes(entryBytes + BLOCK_BYTES) <= room,
      () => `entry of ${entryBytes} bytes, but a segment has room for ${room}`
    )
  }

  /** A method, since the phase changes during an await, which the compiler does not see. */
  #hasFailed(): boolean {
    return this.#phase === 'failed'
  }

  #fail(error: unknown): void {
    if (this.#phase === 'failed') return
    this.#phase = 'failed'
    this.#refusal =
      error instanceof AppError ? error : new AppError('STORAGE_FAILED', String(error), { cause: error })
    for (const change of this.#filler.clear()) change.onFailed?.(this.#refusal)
    this.#input.events.onFailure(this.#refusal)
  }
}
