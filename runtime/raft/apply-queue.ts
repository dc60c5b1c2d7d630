/**
 * Committed entries that wait to be applied, in order, with what Raft wants to hear once each group is done.
 *
 * Applies in slices of bounded time, so that a long backlog never keeps heartbeats waiting. Pauses between entries while
 * `hold` says so (the write-behind is full) and stops for good when applying throws: a state that is half changed must
 * not be changed further.
 */
import type { Entry, Message } from '../../consensus/index.ts'
import type { Clock } from '../ports/clock.ts'

interface Group {
  readonly entries: readonly Entry[]
  readonly responses: readonly Message[]
  next: number
}

export interface ApplyQueueInput {
  readonly clock: Clock
  readonly sliceMs: number
  readonly apply: (entry: Entry) => void
  readonly onGroupDone: (responses: readonly Message[]) => void
  readonly hold: () => boolean
  /** Applying an entry threw. Called once. */
  readonly onFailure: (entry: Entry, error: unknown) => void
}

export class ApplyQueue {
  readonly #input: ApplyQueueInput
  #groups: Group[] = []
  #failed = false

  constructor(input: ApplyQueueInput) {
    this.#input = input
  }

  /** Whether a call of `runSlice` would make progress. */
  get runnable(): boolean {
    return this.#groups.length > 0 && !this.#failed && !this.#input.hold()
  }

  get failed(): boolean {
    return this.#failed
  }

  push(entries: readonly Entry[], responses: readonly Message[]): void {
    this.#groups.push({ entries, responses, next: 0 })
  }

  /** Forgets everything queued: a snapshot has replaced the state. */
  clear(): void {
    this.#groups = []
    this.#failed = false
  }

  /** Applies entries for one slice. */
  runSlice(): void {
    const { clock, sliceMs } = this.#input
    const deadline = clock.monotonicNow() + sliceMs
    let done = 0
    for (const group of this.#groups) {
      if (!this.#runGroup(group, deadline)) break
      done += 1
      this.#input.onGroupDone(group.responses)
    }
    if (done > 0) this.#groups = this.#groups.slice(done)
  }

  /** True when every entry of the group is applied. */
  #runGroup(group: Group, deadline: number): boolean {
    while (group.next < group.entries.length) {
      if (this.#failed || this.#input.hold()) return false
      const entry = group.entries[group.next]
      if (entry === undefined) break
      try {
        this.#input.apply(entry)
      } catch (error) {
        this.#failed = true
        this.#input.onFailure(entry, error)
        return false
      }
      group.next += 1
      if (this.#input.clock.monotonicNow() >= deadline) break
    }
    return group.next >= group.entries.length
  }
}
