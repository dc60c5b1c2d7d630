/**
 * Reads one segment's sectors and says where its batches end and why: nothing follows, the last write was torn, or the
 * segment is damaged. It looks at one segment only; what segments say of each other is recovery.ts's.
 *
 * The rule for the last write. Batch N + 1 is written only after batch N is durable. So after the last whole batch at
 * most one write can have left traces, each of its sectors either whole or zero. If one of them is zero the write was
 * never acknowledged: torn. If none is, it is whole. A sector that is neither, one of another batch, or one beyond that
 * write's end cannot come from a crash: damage, and nothing is cut.
 */
import { decodeBatch } from './batch.ts'
import type { Batch } from './batch.ts'
import { BLOCK_BYTES, SECTOR_BYTES, viewOf } from './format.ts'
import { readSector } from './sector.ts'
import type { SectorTrailer } from './sector.ts'

/** A place in a segment that no crash explains. */
export interface Damage {
  /** Byte offset in the file. */
  readonly offset: number
  /** Sequence of the batch concerned, as far as it is known. */
  readonly batch: number
  readonly expected: string
  readonly got: string
}

/** How the batches of a segment end. */
export type SegmentEnd =
  /** Zeros follow from `offset` on; a full segment ends so at its size. */
  | { readonly kind: 'clean'; readonly offset: number }
  /** [offset, to) holds what is left of a write that was cut off; zeros follow. */
  | { readonly kind: 'torn'; readonly offset: number; readonly to: number }
  | { readonly kind: 'damaged'; readonly damage: Damage }

/** Hands each whole batch of the segment to `onBatch`, in order, until that finds damage or the batches end. */
export function scanSegment(
  bytes: Uint8Array,
  segmentSequence: number,
  nextSequence: number,
  onBatch: (batch: Batch, offset: number) => Damage | undefined
): SegmentEnd {
  const view = viewOf(bytes)
  const read = (offset: number): SectorTrailer | 'zero' | 'bad' =>
    readSector(bytes, view, offset, segmentSequence)
  let offset = BLOCK_BYTES
  let sequence = nextSequence
  while (offset < bytes.length) {
    const extent = findBatch(read, offset, bytes.length, sequence)
    if (extent === undefined) return { kind: 'clean', offset }
    if ('expected' in extent) return { kind: 'damaged', damage: extent }
    const to = offset + extent.count * SECTOR_BYTES
    if (extent.missing) {
      const damage = firstTrace(read, to, bytes.length, sequence)
      return damage === undefined ? { kind: 'torn', offset, to } : { kind: 'damaged', damage }
    }
    const batch = decodeBatch(bytes, view, offset, extent.count)
    const damage =
      typeof batch === 'string'
        ? { offset, batch: sequence, expected: 'a batch that belongs together', got: batch }
        : onBatch(batch, offset)
    if (damage !== undefined) return { kind: 'damaged', damage }
    offset = to
    sequence += 1
  }
  return { kind: 'clean', offset }
}

/** What stands at `offset`: no trace of a write, a batch's extent, or damage within it. */
function findBatch(
  read: (offset: number) => SectorTrailer | 'zero' | 'bad',
  offset: number,
  end: number,
  sequence: number
): { readonly count: number; readonly missing: boolean } | Damage | undefined {
  let count: number | undefined
  let missing = false
  // Until a sector tells the length, the search goes on to the end of the segment: the first sectors may be missing.
  for (let place = 0; offset + place * SECTOR_BYTES < end && place < (count ?? Infinity); place++) {
    const at = offset + place * SECTOR_BYTES
    const sector = read(at)
    if (sector === 'zero') {
      missing = true
      continue
    }
    const fault = sectorFault(sector, { place, count, sequence, room: (end - offset) / SECTOR_BYTES })
    if (fault !== undefined) return { offset: at, batch: sequence, ...fault }
    if (sector !== 'bad') count = sector.count
  }
  return count === undefined ? undefined : { count, missing }
}

/** What is wrong with a sector that is not zero, given what its batch must be. */
function sectorFault(
  sector: SectorTrailer | 'bad',
  want: {
    readonly place: number
    readonly count: number | undefined
    readonly sequence: number
    readonly room: number
  }
): { readonly expected: string; readonly got: string } | undefined {
  const expected = `sector ${want.place} of batch ${want.sequence}`
  if (sector === 'bad') return { expected, got: 'a sector whose CRC does not fit its content and place' }
  const fits =
    sector.sequenceLow === want.sequence >>> 0 &&
    sector.place === want.place &&
    sector.count === (want.count ?? sector.count) &&
    sector.count <= want.room
  if (fits) return undefined
  const got = `sector ${sector.place} of ${sector.count} of batch ${sector.sequenceLow}`
  return { expected: `${expected}${want.count === undefined ? '' : `, ${want.count} sectors long`}`, got }
}

/** The first sector in [from, end) that is not zero, as damage: an incomplete batch is the last one. */
function firstTrace(
  read: (offset: number) => SectorTrailer | 'zero' | 'bad',
  from: number,
  end: number,
  batch: number
): Damage | undefined {
  for (let offset = from; offset < end; offset += SECTOR_BYTES) {
    const sector = read(offset)
    if (sector === 'zero') continue
    const got = sector === 'bad' ? 'a sector with a bad CRC' : `a sector of batch ${sector.sequenceLow}`
    return { offset, batch, expected: 'zeros after an incomplete batch', got }
  }
  return undefined
}
