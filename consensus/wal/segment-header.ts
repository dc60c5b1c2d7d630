/**
 * The first block of a segment: whose log it is and which part. It is durable before the file gets its final name, so
 * under that name a header is never torn. What changes while the log is written (the chain, the index before) stands in
 * the batches, so that a segment can be made ahead of its use.
 */
import {
  BLOCK_BYTES,
  WAL_FORMAT_VERSION,
  getHex,
  getUint64,
  isSealed,
  putHex,
  putUint64,
  sealBlock,
  viewOf
} from './format.ts'
import type { WalIdentity } from './types.ts'

/** ASCII "DTSSWAL" and a newline, read as two numbers. */
const MAGIC_LOW = 0x5353_5444
const MAGIC_HIGH = 0x0a4c_4157

const NAME = /^segment-([0-9]{10})\.wal$/

/** What a segment's header says. */
export interface SegmentHeader {
  readonly version: number
  readonly identity: WalIdentity
  /** From 1, without gaps. */
  readonly segmentSequence: number
  readonly segmentBytes: number
}

/** The name of a segment's file. Names sort like sequences. */
export function segmentName(segmentSequence: number): string {
  return `segment-${String(segmentSequence).padStart(10, '0')}.wal`
}

/** The sequence in a segment's file name, or undefined for other files. */
export function parseSegmentName(name: string): number | undefined {
  const digits = NAME.exec(name)?.[1]
  return digits === undefined ? undefined : Number(digits)
}

/** The header as a block, ready to be written. */
export function encodeSegmentHeader(header: Omit<SegmentHeader, 'version'>): Uint8Array {
  const block = new Uint8Array(BLOCK_BYTES)
  const view = viewOf(block)
  view.setUint32(0, MAGIC_LOW, true)
  view.setUint32(4, MAGIC_HIGH, true)
  view.setUint32(8, WAL_FORMAT_VERSION, true)
  putHex(block, 16, header.identity.clusterId)
  putUint64(view, 32, header.identity.nodeId)
  putUint64(view, 40, header.segmentSequence)
  putUint64(view, 48, header.segmentBytes)
  sealBlock(block)
  return block
}

/** The header at the start of `bytes`, or undefined when it is not intact. The version is for the caller to judge. */
export function decodeSegmentHeader(bytes: Uint8Array): SegmentHeader | undefined {
  if (bytes.length < BLOCK_BYTES) return undefined
  const block = bytes.subarray(0, BLOCK_BYTES)
  const view = viewOf(block)
  if (view.getUint32(0, true) !== MAGIC_LOW || view.getUint32(4, true) !== MAGIC_HIGH) return undefined
  if (!isSealed(block)) return undefined
  return {
    version: view.getUint32(8, true),
    identity: { clusterId: getHex(block, 16), nodeId: getUint64(view, 32) },
    segmentSequence: getUint64(view, 40),
    segmentBytes: getUint64(view, 48)
  }
}
