/**
 * Sectors: 496 bytes of payload and a trailer of 16, the same for every sector of a batch, padding included.
 *
 *   496 marker u32 · 500 low half of the batch sequence u32 · 504 place in the batch u16 · 506 sectors in it − 1 u16 ·
 *   508 CRC32C u32 of the 508 bytes before it, mixed with the segment's sequence and the sector's place in the segment
 *
 * S1. A written sector is never all zeros, nor does it become so by up to 13 flipped bits: its marker alone has 14
 *     set. So zeros mean "never written" and everything else with a bad CRC means "rotted".
 * S2. A sector is valid only where it was written: the CRC knows the address.
 * S3. Any sector of a batch tells which batch it belongs to and where that batch begins and ends, so the remains of a
 *     torn write are told from rot even when its first sector is the one that is missing.
 */
import { crc32c } from '../../base/crc32c.ts'
import { SECTOR_BYTES, SECTOR_PAYLOAD_BYTES } from './format.ts'

/** The most sectors that one batch may have. */
export const MAX_SECTORS = 65_536

const MARKER = 0x5744_4c53
const AT_MARKER = SECTOR_PAYLOAD_BYTES
const AT_SEQUENCE = SECTOR_PAYLOAD_BYTES + 4
const AT_PLACE = SECTOR_PAYLOAD_BYTES + 8
const AT_COUNT = SECTOR_PAYLOAD_BYTES + 10
const AT_CRC = SECTOR_PAYLOAD_BYTES + 12

/** What a valid sector says of itself. */
export interface SectorTrailer {
  /** Low 32 bits of the batch's sequence. */
  readonly sequenceLow: number
  /** Its place in the batch, from 0. */
  readonly place: number
  /** Sectors of the whole batch. */
  readonly count: number
  readonly crc: number
}

/** Writes the trailer of the sector at `offset` of `bytes`, to stand at `sector` of segment `segmentSequence`. */
export function sealSector(
  bytes: Uint8Array,
  view: DataView,
  offset: number,
  trailer: Omit<SectorTrailer, 'crc'>,
  address: { readonly segmentSequence: number; readonly sector: number }
): number {
  view.setUint32(offset + AT_MARKER, MARKER, true)
  view.setUint32(offset + AT_SEQUENCE, trailer.sequenceLow, true)
  view.setUint16(offset + AT_PLACE, trailer.place, true)
  view.setUint16(offset + AT_COUNT, trailer.count - 1, true)
  const crc = crcAt(bytes, offset, address.segmentSequence, address.sector)
  view.setUint32(offset + AT_CRC, crc, true)
  return crc
}

/** The sector at `offset` of a whole segment's bytes: never written, rotted, or what its trailer says. */
export function readSector(
  bytes: Uint8Array,
  view: DataView,
  offset: number,
  segmentSequence: number
): SectorTrailer | 'zero' | 'bad' {
  const crc = view.getUint32(offset + AT_CRC, true)
  if (view.getUint32(offset + AT_MARKER, true) !== MARKER) {
    return isZero(view, offset, offset + SECTOR_BYTES) ? 'zero' : 'bad'
  }
  if (crc !== crcAt(bytes, offset, segmentSequence, offset / SECTOR_BYTES)) return 'bad'
  return {
    sequenceLow: view.getUint32(offset + AT_SEQUENCE, true),
    place: view.getUint16(offset + AT_PLACE, true),
    count: view.getUint16(offset + AT_COUNT, true) + 1,
    crc
  }
}

/** Whether [from, to) holds zeros only; both are multiples of 4. */
function isZero(view: DataView, from: number, to: number): boolean {
  for (let at = from; at < to; at += 4) if (view.getUint32(at, true) !== 0) return false
  return true
}

/** The stored CRC of the sector at `offset`, as four bytes: what the batch CRC is made of. */
export function storedCrc(bytes: Uint8Array, offset: number): Uint8Array {
  return bytes.subarray(offset + AT_CRC, offset + SECTOR_BYTES)
}

function crcAt(bytes: Uint8Array, offset: number, segmentSequence: number, sector: number): number {
  // Odd multipliers are bijections of 32 bits, so neighbours in either coordinate start from different seeds.
  const seed = Math.imul(segmentSequence, 0x9e37_79b1) ^ Math.imul(sector + 1, 0x85eb_ca6b)
  return crc32c(bytes.subarray(offset, offset + AT_CRC), seed)
}
