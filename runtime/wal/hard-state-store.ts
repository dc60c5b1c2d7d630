/**
 * Writes the hard-state file. One write at a time, in the order of the calls, slots in turn, so that a crash spoils the
 * older slot at most. What it is given must be durable in the log already.
 */
import type { HardState } from '../../consensus/types.ts'
import { BLOCK_BYTES } from '../../consensus/wal/format.ts'
import {
  HARD_STATE_FILE,
  HARD_STATE_FILE_BYTES,
  encodeSlot,
  slotOffset
} from '../../consensus/wal/hard-state-file.ts'
import type { HardStateSlot } from '../../consensus/wal/hard-state-file.ts'
import type { TailMark, WalIdentity } from '../../consensus/wal/types.ts'
import type { Disk, DiskFile } from '../ports/disk.ts'

/** What of the log's state is kept beside it. */
export interface DurableState {
  readonly hardState: HardState
  readonly incarnation: number
  readonly tail: TailMark
}

/** The open hard-state file. */
export class HardStateStore {
  readonly #file: DiskFile
  readonly #identity: WalIdentity
  readonly #block: Uint8Array
  #slot: HardStateSlot
  #writes: Promise<void> = Promise.resolve()
  #written = 0

  /** `slot` is the newest intact one in `file`. */
  constructor(file: DiskFile, block: Uint8Array, identity: WalIdentity, slot: HardStateSlot) {
    this.#file = file
    this.#block = block
    this.#identity = identity
    this.#slot = slot
  }

  /** Whether the file's last slot holds that term, vote and incarnation. */
  holds({ hardState, incarnation }: DurableState): boolean {
    const { hardState: mine } = this.#slot
    return (
      mine.term === hardState.term && mine.vote === hardState.vote && this.#slot.incarnation === incarnation
    )
  }

  /** Whether the file's last slot says that the log ends there. */
  marks(tail: TailMark): boolean {
    return this.#slot.tail.batchSequence === tail.batchSequence
  }

  /** Slots written since the file was opened. */
  get written(): number {
    return this.#written
  }

  /** Resolves when a slot with `state` is durable. */
  write(state: DurableState): Promise<void> {
    const slot = { ...state, slotSequence: this.#slot.slotSequence + 1 }
    this.#slot = slot
    this.#writes = this.#writes.then(() => {
      encodeSlot(this.#block, this.#identity, slot)
      this.#written += 1
      return this.#file.write(slotOffset(slot.slotSequence), this.#block)
    })
    return this.#writes
  }

  /** Waits for the writes that were begun, and closes the file. */
  async close(): Promise<void> {
    await this.#writes
    await this.#file.close()
  }
}

/** Opens the file, or makes it anew, whole under its name, when no slot is intact. */
export async function openHardStateStore(
  disk: Disk,
  folder: string,
  identity: WalIdentity,
  found: { readonly slot: HardStateSlot | undefined; readonly state: DurableState }
): Promise<HardStateStore> {
  const path = `${folder}/${HARD_STATE_FILE}`
  const block = disk.allocateBuffer(BLOCK_BYTES)
  if (found.slot !== undefined) return new HardStateStore(await disk.open(path), block, identity, found.slot)
  const file = await disk.create(`${path}.new`, HARD_STATE_FILE_BYTES)
  const first = { ...found.state, slotSequence: 1 }
  const second = { ...found.state, slotSequence: 2 }
  for (const slot of [first, second]) {
    encodeSlot(block, identity, slot)
    await file.write(slotOffset(slot.slotSequence), block)
  }
  await file.close()
  await disk.rename(`${path}.new`, path)
  await disk.syncFolder(folder)
  return new HardStateStore(await disk.open(path), block, identity, second)
}
