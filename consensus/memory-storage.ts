/**
 * The durable log, mirrored in memory: what production keeps of the log that is not compacted, and what tests use alone.
 * It only records what its caller has made durable; it does no I/O itself.
 *
 * M1. Entries are consecutive from `firstIndex` on; the position before them keeps its term.
 * M2. `sizeBytes` is the summed `entrySize` of the entries held.
 */
import { invariant } from '../base/invariant.ts'
import { entriesSize, entrySize } from './entry-size.ts'
import { EntryWindow } from './entry-window.ts'
import type { LogGap, Storage } from './storage.ts'
import type { ConfState, Entry, HardState, Snapshot } from './types.ts'
import { NO_BYTES, confStateOf } from './types.ts'

/** A position in the log. */
export interface LogPosition {
  readonly index: number
  readonly term: number
}

/** What a storage starts with; all of it absent for a peer that never ran. */
export interface MemoryStorageInit {
  readonly hardState?: HardState
  /** The membership at the applied index that the peer is created with. */
  readonly confState?: ConfState
  /**
   * The position before the first entry. A new group begins above 0, with its first membership in a snapshot there: whoever
   * joins cannot replay that from the log, and gets it by the snapshot instead.
   */
  readonly compacted?: LogPosition
  readonly entries?: readonly Entry[]
  /** Where `snapshot()` comes from, when not from `createSnapshot` and `applySnapshot`. */
  readonly snapshotSource?: () => Snapshot | 'temporarily-unavailable'
}

/** How a change of the stored log went; all but `ok` leave it unchanged. */
export type StorageResult = 'ok' | 'compacted' | 'snapshot-out-of-date'

/** A `Storage` over memory. Every method is constant time, or linear in the entries that it adds, drops or returns. */
export class MemoryStorage implements Storage {
  private hardState: HardState
  private confState: ConfState
  private compacted: LogPosition
  private latest: Snapshot
  private bytes: number
  private readonly log: EntryWindow
  private readonly snapshotSource: (() => Snapshot | 'temporarily-unavailable') | undefined

  constructor(init: MemoryStorageInit = {}) {
    const entries = init.entries ?? []
    this.hardState = init.hardState ?? { term: 0, vote: 0, commit: 0 }
    this.confState = init.confState ?? confStateOf([])
    this.compacted = init.compacted ?? { index: 0, term: 0 }
    this.latest = { index: 0, term: 0, confState: this.confState, data: NO_BYTES }
    this.log = new EntryWindow(this.compacted.index + 1)
    this.log.append(entries)
    this.bytes = entriesSize(entries)
    this.snapshotSource = init.snapshotSource
  }

  /** Bytes of the entries held. */
  get sizeBytes(): number {
    return this.bytes
  }

  initialState(): { readonly hardState: HardState; readonly confState: ConfState } {
    return { hardState: this.hardState, confState: this.confState }
  }

  entries(lo: number, hi: number, maxBytes: number): readonly Entry[] | LogGap {
    if (lo < this.log.firstIndex) return 'compacted'
    invariant(hi <= this.log.nextIndex, () => `entries: hi ${hi} is beyond ${this.log.nextIndex}`)
    if (maxBytes === Infinity) return this.log.slice(lo, hi)
    // Sizes are added up before the slice is taken, so that a small page of a long log costs its own length.
    let size = 0
    let end = lo
    while (end < hi) {
      size += entrySize(this.log.at(end))
      if (size > maxBytes && end > lo) break
      end++
    }
    return this.log.slice(lo, end)
  }

  term(index: number): number | LogGap {
    if (index === this.compacted.index) return this.compacted.term
    if (index < this.log.firstIndex) return 'compacted'
    if (index >= this.log.nextIndex) return 'unavailable'
    return this.log.at(index).term
  }

  lastIndex(): number {
    return this.log.nextIndex - 1
  }

  firstIndex(): number {
    return this.log.firstIndex
  }

  snapshot(): Snapshot | 'temporarily-unavailable' {
    return this.snapshotSource === undefined ? this.latest : this.snapshotSource()
  }

  /** Records the hard state. */
  setHardState(hardState: HardState): void {
    this.hardState = hardState
  }

  /** Adds entries, replacing those at and above the first one's index. Entries that are compacted already are skipped. */
  append(entries: readonly Entry[]): void {
    const firstNew = entries[0]
    if (firstNew === undefined) return
    const skipped = Math.max(0, this.log.firstIndex - firstNew.index)
    if (skipped >= entries.length) return
    const from = firstNew.index + skipped
    invariant(
      from <= this.log.nextIndex,
      () => `missing log entries: last is ${this.lastIndex()}, append starts at ${firstNew.index}`
    )
    for (let index = from; index < this.log.nextIndex; index++) this.bytes -= entrySize(this.log.at(index))
    this.log.truncateFrom(from)
    this.log.append(entries, skipped)
    for (let at = skipped; at < entries.length; at++) {
      const entry = entries[at]
      if (entry !== undefined) this.bytes += entrySize(entry)
    }
  }

  /** Forgets the entries up to `index`, which must not be above the last one. */
  compact(index: number): StorageResult {
    if (index < this.log.firstIndex) return 'compacted'
    invariant(
      index <= this.lastIndex(),
      () => `compact ${index} is out of bound: last is ${this.lastIndex()}`
    )
    for (let at = this.log.firstIndex; at <= index; at++) this.bytes -= entrySize(this.log.at(at))
    this.compacted = { index, term: this.log.at(index).term }
    this.log.dropBefore(index + 1)
    return 'ok'
  }

  /** Makes the snapshot at `index` the one that `snapshot()` returns. The log stays as it is. */
  createSnapshot(index: number, confState: ConfState, data: Uint8Array): Snapshot | StorageResult {
    if (index <= this.latest.index) return 'snapshot-out-of-date'
    const term = this.term(index)
    invariant(
      typeof term === 'number',
      () => `snapshot ${index} is out of bound: last is ${this.lastIndex()}`
    )
    this.latest = { index, term, confState, data }
    this.confState = confState
    return this.latest
  }

  /** Replaces the whole log by a snapshot that was installed. */
  applySnapshot(snapshot: Snapshot): StorageResult {
    if (snapshot.index <= this.latest.index) return 'snapshot-out-of-date'
    this.latest = snapshot
    this.confState = snapshot.confState
    this.compacted = { index: snapshot.index, term: snapshot.term }
    this.log.reset(snapshot.index + 1)
    this.bytes = 0
    return 'ok'
  }
}
