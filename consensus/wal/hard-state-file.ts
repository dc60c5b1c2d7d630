/**
 * The second home of term, vote and incarnation: a file of two slots, a block each, written in turn. A slot is written
 * after the batch that it speaks of is durable, and before anything that depends on a new term or vote leaves the node.
 *
 * H1. Only one slot is written at a time, so one crash spoils one slot at most.
 * H2. Two intact slots have neighbouring sequences, and the higher one is the latest that was ever acknowledged.
 * H3. A slot's tail mark names a batch that was durable before: a log that does not reach it lost something.
 */
import type { HardState } from '../types.ts'
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
import type { TailMark, WalIdentity } from './types.ts'

export const HARD_STATE_FILE = 'hard-state'
/** Size of the file: two slots. */
export const HARD_STATE_FILE_BYTES = 2 * BLOCK_BYTES

/** ASCII "DTSSHS" and two newlines, read as two numbers. */
const MAGIC_LOW = 0x5353_5444
const MAGIC_HIGH = 0x0a0a_5348

/** What one slot says. */
export interface HardStateSlot {
  /** Rises by one a write; the slot's place in the file is its parity. */
  readonly slotSequence: number
  /** `commit` is that of the time of writing and may be behind the log's. */
  readonly hardState: HardState
  readonly incarnation: number
  readonly tail: TailMark
}

/** A slot as it was read, with whose it is. */
export interface ReadSlot extends HardStateSlot {
  readonly version: number
  readonly identity: WalIdentity
}

/** Where in the file the slot of that sequence stands. */
export function slotOffset(slotSequence: number): number {
  return (slotSequence % 2) * BLOCK_BYTES
}

/** Writes a slot into a block of memory. */
export function encodeSlot(block: Uint8Array, identity: WalIdentity, slot: HardStateSlot): void {
  block.fill(0)
  const view = viewOf(block)
  view.setUint32(0, MAGIC_LOW, true)
  view.setUint32(4, MAGIC_HIGH, true)
  view.setUint32(8, WAL_FORMAT_VERSION, true)
  view.setUint32(12, slot.tail.batchDigest, true)
  putHex(block, 16, identity.clusterId)
  putUint64(view, 32, identity.nodeId)
  putUint64(view, 40, slot.slotSequence)
  putUint64(view, 48, slot.hardState.term)
  putUint64(view, 56, slot.hardState.vote)
  putUint64(view, 64, slot.hardState.commit)
  putUint64(view, 72, slot.incarnation)
  putUint64(view, 80, slot.tail.segmentSequence)
  putUint64(view, 88, slot.tail.batchSequence)
  putUint64(view, 96, slot.tail.lastIndex)
  putUint64(view, 104, slot.tail.lastTerm)
  sealBlock(block)
}

/** The slot in a block, or undefined when it is not intact. */
function decodeSlot(block: Uint8Array): ReadSlot | undefined {
  const view = viewOf(block)
  if (view.getUint32(0, true) !== MAGIC_LOW || view.getUint32(4, true) !== MAGIC_HIGH) return undefined
  if (!isSealed(block)) return undefined
  return {
    version: view.getUint32(8, true),
    identity: { clusterId: getHex(block, 16), nodeId: getUint64(view, 32) },
    slotSequence: getUint64(view, 40),
    hardState: { term: getUint64(view, 48), vote: getUint64(view, 56), commit: getUint64(view, 64) },
    incarnation: getUint64(view, 72),
    tail: {
      segmentSequence: getUint64(view, 80),
      batchSequence: getUint64(view, 88),
      batchDigest: view.getUint32(12, true),
      lastIndex: getUint64(view, 96),
      lastTerm: getUint64(view, 104)
    }
  }
}

/** The intact slots of the file, the latest first: none, one or two. */
export function readSlots(bytes: Uint8Array): readonly ReadSlot[] {
  if (bytes.length !== HARD_STATE_FILE_BYTES) return []
  const slots = [0, BLOCK_BYTES].flatMap((offset) => {
    const slot = decodeSlot(bytes.subarray(offset, offset + BLOCK_BYTES))
    return slot !== undefined && slotOffset(slot.slotSequence) === offset ? [slot] : []
  })
  return slots.sort((a, b) => b.slotSequence - a.slotSequence)
}
