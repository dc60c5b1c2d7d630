/**
 * The segment files of an open log: the one that is written, the next one made ahead, the removal of old ones.
 *
 * A segment is made under another name, gets its header, and is renamed; so one under its final name is complete. The
 * next one is begun when half of the current one is used: a change of segment then waits for nothing, and a full disk
 * is noticed half a segment early.
 */
import { AppError } from '../../base/errors.ts'
import { BLOCK_BYTES } from '../../consensus/wal/format.ts'
import { encodeSegmentHeader, segmentName } from '../../consensus/wal/segment-header.ts'
import type { WalIdentity } from '../../consensus/wal/types.ts'
import type { Disk, DiskFile } from '../ports/disk.ts'

/** A segment that can be written to. */
export interface OpenSegment {
  readonly sequence: number
  readonly file: DiskFile
}

/** Where a batch goes. */
export interface Place extends OpenSegment {
  readonly offset: number
}

/** What the files need to know and whom they tell. */
export interface SegmentsInput {
  readonly disk: Disk
  readonly folder: string
  readonly identity: WalIdentity
  readonly segmentBytes: number
  readonly current: OpenSegment
  /** Where the next batch goes in `current`. */
  readonly offset: number
  readonly next: OpenSegment | undefined
  readonly onFailure: (error: unknown) => void
  readonly onFull: (full: boolean) => void
}

/** Makes a segment, complete under its final name, or leaves none. */
export async function createSegment(
  {
    disk,
    folder,
    identity,
    segmentBytes
  }: Pick<SegmentsInput, 'disk' | 'folder' | 'identity' | 'segmentBytes'>,
  sequence: number
): Promise<OpenSegment> {
  const path = `${folder}/${segmentName(sequence)}`
  const file = await disk.create(`${path}.new`, segmentBytes)
  await file.write(0, encodeSegmentHeader({ identity, segmentSequence: sequence, segmentBytes }))
  await file.close()
  await disk.rename(`${path}.new`, path)
  await disk.syncFolder(folder)
  return { sequence, file: await disk.open(path) }
}

/** The segments of one open log. */
export class Segments {
  readonly #input: SegmentsInput
  #current: OpenSegment
  #offset: number
  #next: OpenSegment | undefined
  #preparing: Promise<void> | undefined
  #full = false
  #givenUp = false
  #closed = false
  /** Called when `#next` is there, or when there is no point in waiting for it. */
  #onNext: (() => void) | undefined
  #removals: Promise<void> = Promise.resolve()

  constructor(input: SegmentsInput) {
    this.#input = input
    this.#current = input.current
    this.#offset = input.offset
    this.#next = input.next
    this.#prepareInTime()
  }

  get full(): boolean {
    return this.#full
  }

  /**
   * A place for a batch of that size: at the end of the current segment, or else at the start of the next one, once it
   * exists. Undefined when there is no space and nobody waits for it any more.
   */
  async place(sizeBytes: number): Promise<Place | undefined> {
    while (this.#offset + sizeBytes > this.#current.file.sizeBytes) {
      if (this.#next !== undefined) this.#advance(this.#next)
      else if (this.#givenUp && this.#full) return undefined
      else await this.#waitForNext()
    }
    const place = { ...this.#current, offset: this.#offset }
    this.#offset += sizeBytes
    this.#prepareInTime()
    return place
  }

  /** Tries again for space, if that is what is missing. */
  retry(): void {
    if (this.#full) this.#prepare()
  }

  /** Removes segments, oldest first, each one durably before the next, so that those left are without gaps. */
  remove(sequences: readonly number[]): Promise<void> {
    const { disk, folder } = this.#input
    this.#removals = this.#removals.then(async () => {
      for (const sequence of sequences) {
        await disk.remove(`${folder}/${segmentName(sequence)}`)
        await disk.syncFolder(folder)
      }
    })
    return this.#removals
  }

  /** From now on a `place` that lacks space tries once and does not wait. */
  giveUpOnSpace(): void {
    this.#givenUp = true
    this.#onNext?.()
  }

  /** Waits for what was begun and closes the files. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#preparing
    // A removal that failed was told to whoever asked for it.
    await this.#removals.catch(() => undefined)
    await this.#next?.file.close()
    await this.#current.file.close()
  }

  #advance(next: OpenSegment): void {
    this.#current.file.close().catch(this.#input.onFailure)
    this.#current = next
    this.#offset = BLOCK_BYTES
    this.#next = undefined
  }

  #prepareInTime(): void {
    if (this.#offset * 2 > this.#current.file.sizeBytes && this.#next === undefined && !this.#full)
      this.#prepare()
  }

  #waitForNext(): Promise<void> {
    this.#prepare()
    return new Promise((resolve) => {
      this.#onNext = resolve
    })
  }

  #prepare(): void {
    if (this.#preparing !== undefined || this.#next !== undefined || this.#closed) return
    this.#preparing = createSegment(this.#input, this.#current.sequence + 1).then(
      (segment) => {
        this.#preparing = undefined
        this.#next = segment
        this.#setFull(false)
        this.#onNext?.()
      },
      (error: unknown) => {
        this.#preparing = undefined
        if (error instanceof AppError && error.code === 'STORAGE_FULL') {
          this.#setFull(true)
          if (this.#givenUp) this.#onNext?.()
        } else {
          this.#input.onFailure(error)
          this.#onNext?.()
        }
      }
    )
  }

  #setFull(full: boolean): void {
    if (this.#full === full) return
    this.#full = full
    this.#input.onFull(full)
  }
}
