/** Logs as files in memory, and their recovery without any disk. */
import { BatchWriter } from '../../../../consensus/wal/batch-writer.ts'
import { BLOCK_BYTES } from '../../../../consensus/wal/format.ts'
import { HARD_STATE_FILE_BYTES, encodeSlot, slotOffset } from '../../../../consensus/wal/hard-state-file.ts'
import { LogRecovery } from '../../../../consensus/wal/recovery.ts'
import type { Recovery } from '../../../../consensus/wal/recovery.ts'
import { encodeSegmentHeader, segmentName } from '../../../../consensus/wal/segment-header.ts'
import { confStateOf } from '../../../../consensus/types.ts'
import type { Entry, HardState } from '../../../../consensus/types.ts'
import type { LogBase, TailMark } from '../../../../consensus/wal/types.ts'

const IDENTITY = { clusterId: 'feedbeeffeedbeeffeedbeeffeedbeef', nodeId: 2 }
const SEGMENT_BYTES = 16 * BLOCK_BYTES
const BASE: LogBase = { index: 0, term: 0, confState: confStateOf([1, 2, 3]) }

/** Where a batch stands. */
export interface Written {
  readonly segment: number
  readonly offset: number
  readonly end: number
  readonly tail: TailMark
}

/** Writes batches as the runtime would, into memory. */
export class LogImage {
  readonly segments: Uint8Array[] = []
  readonly written: Written[] = []
  readonly #segmentBytes: number
  #offset: number
  readonly #batch = new BatchWriter((sizeBytes) => new Uint8Array(sizeBytes), BLOCK_BYTES)
  #tail: TailMark = { segmentSequence: 0, batchSequence: 0, batchDigest: 0, lastIndex: 0, lastTerm: 0 }

  constructor(segmentBytes = SEGMENT_BYTES) {
    this.#segmentBytes = segmentBytes
    this.#offset = segmentBytes
  }

  addSegment(): void {
    const segmentBytes = this.#segmentBytes
    const segment = new Uint8Array(segmentBytes)
    const segmentSequence = this.segments.push(segment)
    segment.set(encodeSegmentHeader({ identity: IDENTITY, segmentSequence, segmentBytes }))
    this.#offset = BLOCK_BYTES
  }

  write(entries: readonly Entry[], hardState: HardState, base = BASE): Written {
    this.#batch.begin()
    for (const entry of entries) this.#batch.putEntry(entry)
    const sizeBytes = this.#batch.finish(base)
    if (this.#offset + sizeBytes > this.#segmentBytes) this.addSegment()
    const before = this.#tail
    const segment = this.segments.length
    const { bytes, digest } = this.#batch.seal({
      previousDigest: before.batchDigest,
      sequence: before.batchSequence + 1,
      previousIndex: before.lastIndex,
      previousTerm: before.lastTerm,
      hardState,
      incarnation: 1,
      segmentSequence: segment,
      segmentOffset: this.#offset
    })
    this.segments[segment - 1]!.set(bytes, this.#offset)
    const last = entries.at(-1)
    this.#tail = {
      segmentSequence: segment,
      batchSequence: before.batchSequence + 1,
      batchDigest: digest,
      lastIndex: last?.index ?? before.lastIndex,
      lastTerm: last?.term ?? before.lastTerm
    }
    const written = { segment, offset: this.#offset, end: this.#offset + bytes.length, tail: this.#tail }
    this.written.push(written)
    this.#offset = written.end
    return written
  }

  /** A hard-state file whose newest slot speaks of the log after that many batches. */
  hardStateFile(batches: number, hardState: HardState): Uint8Array {
    const none = { segmentSequence: 0, batchSequence: 0, batchDigest: 0, lastIndex: 0, lastTerm: 0 }
    const file = new Uint8Array(HARD_STATE_FILE_BYTES)
    for (const slotSequence of [8, 9]) {
      const tail = this.written[batches - 1]?.tail ?? none
      encodeSlot(file.subarray(slotOffset(slotSequence)).subarray(0, BLOCK_BYTES), IDENTITY, {
        ...{ slotSequence, hardState, incarnation: Math.min(batches, 1), tail }
      })
    }
    return file
  }
}

/** Recovers from segments as they are; the first is number `first`. */
export function recover(
  segments: readonly Uint8Array[],
  hardStateFile: Uint8Array | undefined,
  first = 1
): Recovery {
  const recovery = new LogRecovery(IDENTITY)
  segments.forEach((bytes, i) => {
    recovery.addSegment(segmentName(first + i), bytes)
  })
  return recovery.finish(hardStateFile)
}

/** Entries with data that make a batch of about `dataBytes` each. */
export function entriesOf(from: number, to: number, term: number, dataBytes: number): Entry[] {
  return Array.from({ length: to - from + 1 }, (_, i) => ({
    ...{ term, index: from + i, type: 'normal' as const },
    data: new Uint8Array(dataBytes).map((_byte, at) => (from + i) * 37 + at * 11 + 1)
  }))
}
