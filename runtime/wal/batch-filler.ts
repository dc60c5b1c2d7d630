/**
 * Takes queued changes and fills the next batch with as many as fit, in order. It keeps the log's state as of the last
 * change that it took; the writer keeps what of that is durable.
 *
 * F1. A change that fits is in one batch as a whole. One that does not is spread over several; those before its last
 *     carry its term and vote but not its commit index, which may lie beyond the entries that are there yet.
 * F2. The hard state in a batch fits the log at its end: term ≥ last term, base ≤ commit ≤ last index.
 */
import { invariant } from '../../base/invariant.ts'
import type { HardState } from '../../consensus/types.ts'
import { batchBytes, entryRecordBytes } from '../../consensus/wal/batch-writer.ts'
import type { BatchWriter } from '../../consensus/wal/batch-writer.ts'
import type { LogBase, WalAppend } from '../../consensus/wal/types.ts'

/** A queued change. */
export interface Change extends WalAppend {
  readonly compactTo?: LogBase
  readonly incarnation?: number
  readonly onDurable: () => void
  /** Told instead of `onDurable` when the log fails. */
  readonly onFailed?: (error: Error) => void
}

/** A part of a change that is in a batch: its entries from `from` to before `to`, its reset when `from` is 0. */
export interface Part {
  readonly change: Change
  readonly from: number
  readonly to: number
}

/** The log as of the last change that was taken. */
export interface LogState {
  readonly hardState: HardState
  readonly incarnation: number
  readonly base: LogBase
  readonly lastIndex: number
  readonly lastTerm: number
}

/** What was put into the batch. */
export interface Filled {
  readonly parts: readonly Part[]
  /** Changes that are complete with this batch. */
  readonly completed: readonly Change[]
  /** Whether anything must reach the disk: not when only the commit index rose. */
  readonly mustWrite: boolean
}

/** The first-in, first-out queue of changes, and the batch made of its front. */
export class BatchFiller {
  readonly #writer: BatchWriter
  readonly #maxBatchBytes: number
  #queue: Change[] = []
  /** Entries of the first change that earlier batches hold. */
  #taken = 0
  /** As of the last change that is in a batch. */
  state: LogState
  /** As of the last change in the queue. */
  #queued: LogState

  constructor(writer: BatchWriter, maxBatchBytes: number, state: LogState) {
    this.#writer = writer
    this.#maxBatchBytes = maxBatchBytes
    this.state = state
    this.#queued = state
  }

  get length(): number {
    return this.#queue.length
  }

  /** Queues a change; throws when it does not fit the log as it will be then (F2). */
  push(change: Change): void {
    const after = stateAfter(this.#queued, { change, from: 0, to: change.entries.length })
    assertFits(after)
    this.#queued = after
    this.#queue.push(change)
  }

  /** Empties the queue. */
  clear(): readonly Change[] {
    const changes = this.#queue
    this.#queue = []
    return changes
  }

  /** Moves changes from the queue into a new batch in the writer. */
  fill(): Filled {
    const parts: Part[] = []
    const completed: Change[] = []
    let mustWrite = false
    this.#writer.begin()
    for (const change of this.#queue) {
      const part = this.#put(change, this.#taken)
      const whole = part.to === change.entries.length
      const before = this.state
      this.state = stateAfter(before, part)
      mustWrite ||= part.to > part.from || differs(before, this.state)
      parts.push(part)
      this.#taken = whole ? 0 : part.to
      if (!whole) break
      completed.push(change)
      if (this.#fullWith(0)) break
    }
    this.#queue.splice(0, completed.length)
    return { parts, completed, mustWrite }
  }

  /** Puts what fits of a change into the batch; when it is the first there, at least one entry. */
  #put(change: Change, from: number): Part {
    const isFirst = this.#writer.recordCount === 0
    if (from === 0 && change.reset !== undefined) this.#writer.putReset(change.reset)
    let to = from
    for (; to < change.entries.length; to++) {
      const entry = change.entries[to]
      if (entry === undefined) break
      if (!(isFirst && to === from) && this.#fullWith(entryRecordBytes(entry))) break
      this.#writer.putEntry(entry)
    }
    return { change, from, to }
  }

  #fullWith(payloadBytes: number): boolean {
    return batchBytes(this.#writer.payloadBytes + payloadBytes) > this.#maxBatchBytes
  }
}

/** The log after a part of a change. */
function stateAfter(before: LogState, { change, from, to }: Part): LogState {
  const whole = to === change.entries.length
  const reset = from === 0 ? change.reset : undefined
  const last = to > from ? change.entries[to - 1] : undefined
  const lastIndex = last?.index ?? reset?.index ?? before.lastIndex
  const lastTerm = last?.term ?? reset?.term ?? before.lastTerm
  let base = reset ?? before.base
  if (change.compactTo !== undefined && change.compactTo.index > base.index) base = change.compactTo
  const incarnation = Math.max(before.incarnation, change.incarnation ?? 0)
  const { term, vote, commit } = change.hardState ?? before.hardState
  const hardState = { term, vote, commit: Math.max(whole ? commit : before.hardState.commit, base.index) }
  return { hardState, incarnation, base, lastIndex, lastTerm }
}

/** Whether there is more to write than the commit index; entries aside. */
function differs(before: LogState, after: LogState): boolean {
  return (
    after.base !== before.base ||
    after.incarnation !== before.incarnation ||
    after.hardState.term !== before.hardState.term ||
    after.hardState.vote !== before.hardState.vote
  )
}

function assertFits({ hardState, base, lastIndex, lastTerm }: LogState): void {
  invariant(
    hardState.term >= lastTerm && hardState.commit <= lastIndex && base.index <= lastIndex,
    () =>
      `log up to ${lastIndex} of term ${lastTerm} with base ${base.index} does not fit ` +
      `hard state ${JSON.stringify(hardState)}`
  )
}
