/**
 * Builds one batch in memory that is used again for the next: header, records, padding, trailers.
 *
 * A batch is, over the payloads of its sectors: a fixed header (batch.ts), then records. A record is an entry, a reset,
 * or, last in every batch, the base; so that the newest batch alone tells the base, the hard state and the incarnation,
 * and older segments can go. Integers in records are LEB128 varints.
 *
 * The order of calls is `begin`, any number of `putEntry` and `putReset`, `finish`, `seal`. Positions count payload bytes; the
 * trailers between them are skipped on the way.
 */
import { invariant } from '../../base/invariant.ts'
import { crc32c } from '../../base/crc32c.ts'
import type { Entry } from '../types.ts'
import { HEADER_BYTES, RECORD, writeHeader } from './batch.ts'
import type { BatchHeader } from './batch.ts'
import { BLOCK_BYTES, SECTOR_BYTES, SECTOR_PAYLOAD_BYTES, roundUpToBlock, viewOf } from './format.ts'
import { MAX_SECTORS, sealSector, storedCrc } from './sector.ts'
import type { LogBase } from './types.ts'

/** A finished batch: what to write, and its identity. */
export interface SealedBatch {
  /** Whole blocks; valid until the next `begin`. */
  readonly bytes: Uint8Array
  /** CRC of the header sector; the next batch's `previousDigest`. */
  readonly digest: number
}

/** What `seal` puts into the header beside what it counts itself. */
export type SealInput = Omit<BatchHeader, 'payloadBytes' | 'recordCount' | 'batchCrc'> & {
  readonly segmentSequence: number
  /** Where in the segment the batch will stand; a multiple of 4 KiB. */
  readonly segmentOffset: number
}

/** The most bytes that an entry takes within a batch, trailers not counted. */
export function entryRecordBytes(entry: Entry): number {
  return 1 + 3 * 8 + entry.data.length
}

/** The bytes that a batch with that much payload takes in a segment. */
export function batchBytes(payloadBytes: number): number {
  return roundUpToBlock(Math.ceil(payloadBytes / SECTOR_PAYLOAD_BYTES) * SECTOR_BYTES)
}

/** Builds batches one after the other in one buffer. */
export class BatchWriter {
  #bytes: Uint8Array
  #view: DataView
  readonly #allocate: (sizeBytes: number) => Uint8Array
  /** Where the next payload byte goes, in `#bytes`. */
  #at = 0
  #recordCount = 0

  /** `allocate` gives the buffer, at first of `sizeBytes`, and larger ones when a batch needs them. */
  constructor(allocate: (sizeBytes: number) => Uint8Array, sizeBytes: number) {
    this.#allocate = allocate
    this.#bytes = allocate(roundUpToBlock(sizeBytes))
    this.#view = viewOf(this.#bytes)
  }

  /** Drops what was there and starts an empty batch. */
  begin(): void {
    this.#at = HEADER_BYTES
    this.#recordCount = 0
  }

  /** Payload bytes so far, header included. */
  get payloadBytes(): number {
    return Math.floor(this.#at / SECTOR_BYTES) * SECTOR_PAYLOAD_BYTES + (this.#at % SECTOR_BYTES)
  }

  get recordCount(): number {
    return this.#recordCount
  }

  putEntry(entry: Entry): void {
    this.#reserve(entryRecordBytes(entry))
    this.#putByte(RECORD[entry.type])
    this.#putVarint(entry.term)
    this.#putVarint(entry.index)
    this.#putVarint(entry.data.length)
    this.#putBytes(entry.data)
    this.#recordCount++
  }

  putReset(base: LogBase): void {
    this.#putBase(RECORD.reset, base)
  }

  /** Adds the base, as the last record; returns the bytes that the batch takes in a segment. */
  finish(base: LogBase): number {
    this.#putBase(RECORD.base, base)
    return batchBytes(this.payloadBytes)
  }

  /** Completes the batch for its place in a segment. */
  seal(input: SealInput): SealedBatch {
    const payloadBytes = this.payloadBytes
    const sizeBytes = batchBytes(payloadBytes)
    const count = sizeBytes / SECTOR_BYTES
    invariant(count <= MAX_SECTORS, () => `batch of ${count} sectors, expected at most ${MAX_SECTORS}`)
    const bytes = this.#bytes.subarray(0, sizeBytes)
    bytes.fill(0, this.#at)

    const firstSector = input.segmentOffset / SECTOR_BYTES
    const sealAt = (place: number): number =>
      sealSector(
        bytes,
        this.#view,
        place * SECTOR_BYTES,
        { sequenceLow: input.sequence >>> 0, place, count },
        { segmentSequence: input.segmentSequence, sector: firstSector + place }
      )
    let batchCrc = 0
    for (let place = 1; place < count; place++) {
      sealAt(place)
      batchCrc = crc32c(storedCrc(bytes, place * SECTOR_BYTES), batchCrc)
    }
    writeHeader(this.#view, { ...input, payloadBytes, recordCount: this.#recordCount, batchCrc })
    return { bytes, digest: sealAt(0) }
  }

  #putBase(kind: number, base: LogBase): void {
    const { voters, learners, votersOutgoing, learnersNext, autoLeave } = base.confState
    const lists = [voters, learners, votersOutgoing, learnersNext]
    const ids = lists.reduce((sum, list) => sum + list.length, 0)
    this.#reserve(2 + 8 * (2 + lists.length + ids))
    this.#putByte(kind)
    this.#putVarint(base.index)
    this.#putVarint(base.term)
    for (const list of lists) {
      this.#putVarint(list.length)
      for (const id of list) this.#putVarint(id)
    }
    this.#putByte(autoLeave ? 1 : 0)
    this.#recordCount++
  }

  /** Makes room for that many payload bytes. */
  #reserve(payloadBytes: number): void {
    const needed = batchBytes(this.payloadBytes + payloadBytes) + BLOCK_BYTES
    if (needed <= this.#bytes.length) return
    const larger = this.#allocate(Math.max(needed, 2 * this.#bytes.length))
    larger.set(this.#bytes.subarray(0, this.#at))
    this.#bytes = larger
    this.#view = viewOf(larger)
  }

  #putByte(value: number): void {
    this.#bytes[this.#at++] = value
    if (this.#at % SECTOR_BYTES === SECTOR_PAYLOAD_BYTES) this.#at += SECTOR_BYTES - SECTOR_PAYLOAD_BYTES
  }

  #putVarint(value: number): void {
    let rest = value
    while (rest >= 0x80) {
      this.#putByte((rest % 0x80) | 0x80)
      rest = Math.floor(rest / 0x80)
    }
    this.#putByte(rest)
  }

  #putBytes(data: Uint8Array): void {
    let from = 0
    while (from < data.length) {
      const room = SECTOR_PAYLOAD_BYTES - (this.#at % SECTOR_BYTES)
      const length = Math.min(room, data.length - from)
      this.#bytes.set(length === data.length ? data : data.subarray(from, from + length), this.#at)
      from += length
      this.#at += length
      if (length === room) this.#at += SECTOR_BYTES - SECTOR_PAYLOAD_BYTES
    }
  }
}
