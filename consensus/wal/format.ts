/**
 * Sizes and small encodings that the files of the log share. All numbers are little-endian.
 *
 * A segment is a header block followed by batches. A batch starts on a block and fills whole blocks. A block is eight
 * sectors, and each sector ends in a trailer with its own CRC (sector.ts). A header block and a slot of the hard-state
 * file are blocks with one CRC in their last four bytes instead.
 */
import { invariant } from '../../base/invariant.ts'
import { crc32c } from '../../base/crc32c.ts'

/** The unit that a disk writes whole or not at all: the one assumption about hardware that recovery rests on. */
export const SECTOR_BYTES = 512
/** Batches begin on multiples of it, so that no write shares a page of the page cache with an earlier one. */
export const BLOCK_BYTES = 4096
/** What a sector holds beside its trailer. */
export const SECTOR_PAYLOAD_BYTES = 496
/** Version of the format of segments and of the hard-state file; another one is refused. */
export const WAL_FORMAT_VERSION = 1

const TWO_32 = 0x1_0000_0000

/** Writes a safe integer ≥ 0 as 64 bits. */
export function putUint64(view: DataView, offset: number, value: number): void {
  view.setUint32(offset, value % TWO_32, true)
  view.setUint32(offset + 4, Math.floor(value / TWO_32), true)
}

/** Reads 64 bits; a value beyond the safe integers comes back as NaN, which no check accepts. */
export function getUint64(view: DataView, offset: number): number {
  const value = view.getUint32(offset + 4, true) * TWO_32 + view.getUint32(offset, true)
  return Number.isSafeInteger(value) ? value : Number.NaN
}

/** Writes the 16 bytes that 32 lower-case hexadecimal digits stand for. */
export function putHex(bytes: Uint8Array, offset: number, hex: string): void {
  invariant(/^[0-9a-f]{32}$/.test(hex), () => `cluster id: got ${hex}, expected 32 hexadecimal digits`)
  for (let i = 0; i < 16; i++) bytes[offset + i] = Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16)
}

/** Reads 16 bytes as 32 hexadecimal digits. */
export function getHex(bytes: Uint8Array, offset: number): string {
  let hex = ''
  for (const byte of bytes.subarray(offset, offset + 16)) hex += byte.toString(16).padStart(2, '0')
  return hex
}

/** A view on exactly the memory of `bytes`. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** Puts the CRC of a whole block into its last four bytes. */
export function sealBlock(block: Uint8Array): void {
  viewOf(block).setUint32(BLOCK_BYTES - 4, crc32c(block.subarray(0, BLOCK_BYTES - 4)), true)
}

/** Whether a block holds what was sealed. A block of zeros does not: the CRC of zeros is not zero. */
export function isSealed(block: Uint8Array): boolean {
  return viewOf(block).getUint32(BLOCK_BYTES - 4, true) === crc32c(block.subarray(0, BLOCK_BYTES - 4))
}

/** Rounds up to whole blocks. */
export function roundUpToBlock(sizeBytes: number): number {
  return Math.ceil(sizeBytes / BLOCK_BYTES) * BLOCK_BYTES
}
