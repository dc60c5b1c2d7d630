import type { LogBase, WalAppend, WalIdentity } from '../../consensus/wal/types.ts'
import type { AppError } from '../../base/errors.ts'
import type { Clock } from '../ports/clock.ts'
import type { Disk } from '../ports/disk.ts'

/** Figures of one open log since it was opened. */
export interface WalMetrics {
  /** Writes that waited for the disk, both files. */
  readonly syncs: number
  readonly batches: number
  readonly entries: number
  /** Bytes handed to the disk, padding included. */
  readonly bytesWritten: number
  readonly segments: number
  /** Duration of a batch's write over the last 1,024 batches, in milliseconds; 0 before the first. */
  readonly syncMs: { readonly last: number; readonly p50: number; readonly p99: number; readonly max: number }
  /** Appends that wait for a batch or are in one. */
  readonly pendingAppends: number
  /** True from the first refusal of space until the next segment exists. */
  readonly full: boolean
}

/** What a log tells its owner apart from `onDurable`. */
export interface WalEvents {
  /**
   * The disk failed (`STORAGE_FAILED`). Called once; no `onDurable` fires after it and every promise rejects. The
   * process stops: what a failed sync left behind is unknown.
   */
  readonly onFailure: (error: AppError) => void
  /**
   * The disk is full (true) or no longer (false). It comes while the current segment still has room, which appends go
   * on using; once that is used up they wait, unacknowledged, until there is space. `tick` tries again.
   */
  readonly onFull?: (full: boolean) => void
}

/** Sizes of the log's files. */
export interface WalOptions {
  /** Size of a segment; a multiple of 4 KiB. Default 64 MiB. The largest entry must fit into one. */
  readonly segmentBytes?: number
  /** A batch is closed when it reaches this many bytes; a larger single entry makes a larger batch. Default 4 MiB. */
  readonly maxBatchBytes?: number
}

/** Everything that `openWal` needs. */
export interface OpenWalInput {
  readonly disk: Disk
  readonly clock: Clock
  /** The log's own folder; made when absent. Nothing else lives in it. */
  readonly folder: string
  readonly identity: WalIdentity
  readonly events: WalEvents
  readonly options?: WalOptions
}

/** The node's durable Raft log. */
export interface Wal {
  /**
   * Queues changes. `onDurable` is called once they are on disk, never within `append` itself, strictly in the order of
   * the calls. Appends queued while a write is under way share the next one. An append that changes no more than the
   * commit index waits for no write of its own: it is durable with the next batch, and `onDurable` follows those
   * before it. Entries and their bytes must not change.
   */
  append(append: WalAppend, onDurable: () => void): void
  /** Makes the node's incarnation durable, in the log and beside it; `onDurable` keeps its order among appends. */
  recordIncarnation(incarnation: number, onDurable: () => void): void
  /**
   * Moves the base up to an applied index whose state is durable elsewhere and removes the segments that hold nothing
   * above it. Resolves when the base is durable and the files are gone. A base at or below the present one is ignored.
   */
  compact(base: LogBase): Promise<void>
  /**
   * To be called every 100 ms or so: when the log is idle, records beside it where it ends; when the disk was full,
   * tries for the next segment again.
   */
  tick(): void
  metrics(): WalMetrics
  /** Waits for what is queued, records where the log ends, and closes the files. */
  close(): Promise<void>
}
