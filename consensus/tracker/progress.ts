/**
 * What a leader knows about one peer's log, and how it feeds it. All transitions of this little machine are here.
 *
 * - probe: at most one append per heartbeat, until the point where the logs agree is found.
 * - replicate: a pipeline of appends, bounded by `inflights`; `next` runs ahead of what is acknowledged.
 * - snapshot: nothing is sent until the peer's log reconnects with ours, or the snapshot is reported.
 *
 * P1. 0 ≤ match < next.
 * P2. Entries in (match, next) are in flight.
 */
import type { ProgressState, ProgressStatus } from '../status.ts'
import type { Inflights } from './inflights.ts'

/** One peer in the eyes of the leader. */
export class Progress {
  readonly id: number
  /** Highest index known to be on the peer. */
  match = 0
  /** Index of the next entry to send. */
  next: number
  /** The commit index sent last, lowered again when appends turn out to be lost. */
  sentCommit = 0
  state: ProgressState = 'probe'
  /** In state `snapshot`: the index of the snapshot that was sent; else 0. */
  pendingSnapshot = 0
  /** Whether the peer was heard of since the last CheckQuorum; always true for the leader itself. */
  recentActive = false
  /** Whether appends are held back until a heartbeat response. */
  flowPaused = false
  readonly inflights: Inflights
  isLearner: boolean

  constructor(id: number, next: number, inflights: Inflights, isLearner: boolean) {
    this.id = id
    this.next = next
    this.inflights = inflights
    this.isLearner = isLearner
  }

  /** A copy that shares the window of messages in flight. */
  clone(): Progress {
    const copy = new Progress(this.id, this.next, this.inflights, this.isLearner)
    copy.match = this.match
    copy.sentCommit = this.sentCommit
    copy.state = this.state
    copy.pendingSnapshot = this.pendingSnapshot
    copy.recentActive = this.recentActive
    copy.flowPaused = this.flowPaused
    return copy
  }

  /** Starts anew, as at the beginning of a term. */
  restart(match: number, next: number): void {
    this.resetState('probe')
    this.match = match
    this.next = next
    this.sentCommit = 0
    this.recentActive = false
  }

  /** Looks for the point of agreement: after a snapshot behind it, else behind the last acknowledged entry. */
  becomeProbe(): void {
    const afterSnapshot = this.state === 'snapshot' ? this.pendingSnapshot + 1 : 0
    this.resetState('probe')
    this.next = Math.max(this.match + 1, afterSnapshot)
    this.sentCommit = Math.min(this.sentCommit, this.next - 1)
  }

  /** Streams from the last acknowledged entry on. */
  becomeReplicate(): void {
    this.resetState('replicate')
    this.next = this.match + 1
  }

  /** Waits for the snapshot at `index`. */
  becomeSnapshot(index: number): void {
    this.resetState('snapshot')
    this.pendingSnapshot = index
    this.next = index + 1
    this.sentCommit = index
  }

  /** Notes an append of `count` entries with `payloadBytes`; only in probe and replicate. */
  sentEntries(count: number, payloadBytes: number): void {
    if (this.state === 'replicate') {
      if (count > 0) {
        this.next += count
        this.inflights.add(this.next - 1, payloadBytes)
      }
      // A message that fills the window, or finds it full, serves as the probe of a throttled stream.
      this.flowPaused = this.inflights.full
    } else if (count > 0) {
      this.flowPaused = true
    }
  }

  /** Whether telling the peer this commit index could move its own. */
  canBumpCommit(commit: number): boolean {
    return commit > this.sentCommit && this.sentCommit < this.next - 1
  }

  /** Takes an acknowledgement up to `index`. False if it is old news. */
  maybeUpdate(index: number): boolean {
    if (index <= this.match) return false
    this.match = index
    this.next = Math.max(this.next, index + 1)
    this.flowPaused = false
    return true
  }

  /**
   * Takes a rejection of the append after `rejected`; `hint` is where the logs may agree. False if it is stale, as
   * duplicated and reordered rejections are.
   */
  maybeDecrease(rejected: number, hint: number): boolean {
    if (this.state === 'replicate') {
      if (rejected <= this.match) return false
      this.next = this.match + 1
      this.sentCommit = Math.min(this.sentCommit, this.next - 1)
      return true
    }
    // A peer that is probed gets one append at a time, so a genuine rejection can only be about that one.
    if (this.next - 1 !== rejected) return false
    this.next = Math.max(Math.min(rejected, hint + 1), this.match + 1)
    this.sentCommit = Math.min(this.sentCommit, this.next - 1)
    this.flowPaused = false
    return true
  }

  /** Whether appends to the peer are held back. */
  get paused(): boolean {
    return this.state === 'snapshot' || this.flowPaused
  }

  /** A copy for others to read. */
  status(): ProgressStatus {
    return {
      id: this.id,
      match: this.match,
      next: this.next,
      state: this.state,
      isLearner: this.isLearner,
      recentActive: this.recentActive,
      paused: this.paused,
      pendingSnapshot: this.pendingSnapshot,
      inflightMessages: this.inflights.count,
      inflightFull: this.inflights.full
    }
  }

  private resetState(state: ProgressState): void {
    this.flowPaused = false
    this.pendingSnapshot = 0
    this.state = state
    this.inflights.reset()
  }
}
