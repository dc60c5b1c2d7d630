/**
 * The header of a batch and the decoding of a batch that is known to be whole. Sector CRCs are checked before
 * (segment-scan.ts); what is checked here is that header, sectors and records belong together.
 *
 * The chain: `previousDigest` is the CRC of the previous batch's header sector. That sector holds the batch CRC, made of
 * the CRCs of its other sectors, and the digest before it. So one number stands for a batch and all its predecessors.
 */
import type { ConfState, Entry, EntryType, HardState } from '../types.ts'
import { crc32c } from '../../base/crc32c.ts'
import { SECTOR_BYTES, SECTOR_PAYLOAD_BYTES, getUint64, putUint64 } from './format.ts'
import { storedCrc } from './sector.ts'
import type { LogBase } from './types.ts'

/** Kinds of records. The first three are entries. */
export const RECORD = { normal: 1, 'conf-change': 2, 'conf-change-v2': 3, reset: 8, base: 9 } as const
const ENTRY_TYPES: readonly (EntryType | undefined)[] = [undefined, 'normal', 'conf-change', 'conf-change-v2']

/** Bytes of the fixed part. */
export const HEADER_BYTES = 72
/** Where the batch CRC stands, which is known last. */
const AT_BATCH_CRC = 8

/** The fixed part of a batch. */
export interface BatchHeader {
  /** Header and records, in payload bytes; the rest is padding. */
  readonly payloadBytes: number
  readonly recordCount: number
  /** CRC32C over the CRCs of all sectors but the first. */
  readonly batchCrc: number
  /** Digest of the batch before, 0 for the first one. */
  readonly previousDigest: number
  /** Rises by one a batch, from 1, over all segments. */
  readonly sequence: number
  /** The last entry before this batch. */
  readonly previousIndex: number
  readonly previousTerm: number
  readonly hardState: HardState
  readonly incarnation: number
}

/** A change to the log, as a batch records it. The base comes last in every batch. */
export type LogRecord =
  | { readonly kind: 'entry'; readonly entry: Entry }
  | { readonly kind: 'reset'; readonly base: LogBase }
  | { readonly kind: 'base'; readonly base: LogBase }

/** A decoded batch. */
export interface Batch {
  readonly header: BatchHeader
  readonly records: readonly LogRecord[]
  readonly digest: number
}

/** Writes the fixed part at the start of a batch's memory. */
export function writeHeader(view: DataView, header: BatchHeader): void {
  view.setUint32(0, header.payloadBytes, true)
  view.setUint32(4, header.recordCount, true)
  view.setUint32(AT_BATCH_CRC, header.batchCrc, true)
  view.setUint32(12, header.previousDigest, true)
  putUint64(view, 16, header.sequence)
  putUint64(view, 24, header.previousIndex)
  putUint64(view, 32, header.previousTerm)
  putUint64(view, 40, header.hardState.term)
  putUint64(view, 48, header.hardState.vote)
  putUint64(view, 56, header.hardState.commit)
  putUint64(view, 64, header.incarnation)
}

/** Reads the fixed part of the batch at `offset`. */
export function readHeader(view: DataView, offset: number): BatchHeader {
  return {
    payloadBytes: view.getUint32(offset, true),
    recordCount: view.getUint32(offset + 4, true),
    batchCrc: view.getUint32(offset + AT_BATCH_CRC, true),
    previousDigest: view.getUint32(offset + 12, true),
    sequence: getUint64(view, offset + 16),
    previousIndex: getUint64(view, offset + 24),
    previousTerm: getUint64(view, offset + 32),
    hardState: {
      term: getUint64(view, offset + 40),
      vote: getUint64(view, offset + 48),
      commit: getUint64(view, offset + 56)
    },
    incarnation: getUint64(view, offset + 64)
  }
}

/**
 * The batch of `count` sectors at `offset`, all of them valid, or what is wrong with it. Entry data are views on one
 * new piece of memory, not on `bytes`.
 */
export function decodeBatch(
  bytes: Uint8Array,
  view: DataView,
  offset: number,
  count: number
): Batch | string {
  const header = readHeader(view, offset)
  let batchCrc = 0
  for (let place = 1; place < count; place++) {
    batchCrc = crc32c(storedCrc(bytes, offset + place * SECTOR_BYTES), batchCrc)
  }
  if (batchCrc !== header.batchCrc) return `batch CRC: got ${batchCrc}, expected ${header.batchCrc}`
  if (header.payloadBytes > count * SECTOR_PAYLOAD_BYTES || header.payloadBytes < HEADER_BYTES) {
    return `payload: got ${header.payloadBytes} bytes in ${count} sectors`
  }
  const records = decodeRecords(gather(bytes, offset, header.payloadBytes), header.recordCount)
  if (typeof records === 'string') return records
  return { header, records, digest: view.getUint32(offset + SECTOR_BYTES - 4, true) }
}

/** The payload of a batch without the trailers between. */
function gather(bytes: Uint8Array, offset: number, payloadBytes: number): Uint8Array {
  const payload = new Uint8Array(payloadBytes)
  let at = offset
  for (let to = 0; to < payloadBytes; to += SECTOR_PAYLOAD_BYTES) {
    payload.set(bytes.subarray(at, at + Math.min(SECTOR_PAYLOAD_BYTES, payloadBytes - to)), to)
    at += SECTOR_BYTES
  }
  return payload
}

function decodeRecords(payload: Uint8Array, count: number): readonly LogRecord[] | string {
  const reader = new RecordReader(payload)
  const records: LogRecord[] = []
  for (let i = 0; i < count; i++) {
    const record = reader.next()
    if (record === undefined) return `record ${i} of ${count}: malformed`
    records.push(record)
  }
  if (records.at(-1)?.kind !== 'base') return 'records: the last one is not the base'
  if (!reader.atEnd) return `records: payload bytes left over after ${count}`
  return records
}

/** Reads records in order. Bytes past the end read as NaN, which fails every check below. */
class RecordReader {
  readonly #payload: Uint8Array
  #at = HEADER_BYTES

  constructor(payload: Uint8Array) {
    this.#payload = payload
  }

  get atEnd(): boolean {
    return this.#at === this.#payload.length
  }

  next(): LogRecord | undefined {
    const kind = this.#byte()
    if (kind === RECORD.reset || kind === RECORD.base) {
      const base = this.#base()
      return base && { kind: kind === RECORD.reset ? 'reset' : 'base', base }
    }
    const type = ENTRY_TYPES[kind]
    const [term, index, length] = [this.#varint(), this.#varint(), this.#varint()]
    if (type === undefined || !(this.#at + length <= this.#payload.length)) return undefined
    const data = this.#payload.subarray(this.#at, this.#at + length)
    this.#at += length
    return Number.isNaN(term + index) ? undefined : { kind: 'entry', entry: { term, index, type, data } }
  }

  #base(): LogBase | undefined {
    const [index, term] = [this.#varint(), this.#varint()]
    const [voters, learners, votersOutgoing, learnersNext] = [
      this.#ids(),
      this.#ids(),
      this.#ids(),
      this.#ids()
    ]
    const autoLeave = this.#byte()
    if (Number.isNaN(index + term) || autoLeave > 1 || !(this.#at <= this.#payload.length)) return undefined
    const confState: ConfState = {
      voters,
      learners,
      votersOutgoing,
      learnersNext,
      autoLeave: autoLeave === 1
    }
    return { index, term, confState }
  }

  #ids(): number[] {
    const ids: number[] = []
    for (let left = this.#varint(); left > 0 && this.#at < this.#payload.length; left--)
      ids.push(this.#varint())
    return ids
  }

  #byte(): number {
    return this.#payload[this.#at++] ?? Number.NaN
  }

  #varint(): number {
    let value = 0
    let scale = 1
    for (;;) {
      const byte = this.#byte()
      // A multiplication, not a shift: values go up to 53 bits.
      value += (byte & 0x7f) * scale
      if (Number.isNaN(byte) || !Number.isSafeInteger(value)) return Number.NaN
      if (byte < 0x80) return value
      scale *= 0x80
    }
  }
}
