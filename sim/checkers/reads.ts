/**
 * Linearizable reads: what was acknowledged, or seen by another read, before a read began is seen by it, whichever node
 * it asks.
 */
import type { SchedulerState } from '../../scheduler/state.ts'
import type { TaskId } from '../../base/ids.ts'

/** What a read that begins now must see. */
export interface ReadExpectation {
  readonly node: number
  readonly present: number
  readonly ended: number
}

export class ReadChecker {
  readonly violations: string[] = []
  /** Grow only, so a length names what was known at a moment. */
  readonly #present: TaskId[] = []
  readonly #ended: TaskId[] = []
  readonly #isEnded = new Set<TaskId>()
  #reads = 0

  /** Reads that were answered. */
  get answered(): number {
    return this.#reads
  }

  acknowledged(id: TaskId): void {
    this.#present.push(id)
  }

  begin(node: number): ReadExpectation {
    return { node, present: this.#present.length, ended: this.#ended.length }
  }

  /** The read may look at this state now. */
  answeredFrom(state: Pick<SchedulerState, 'tasks' | 'tombstones'>, expected: ReadExpectation): void {
    this.#reads += 1
    const { node } = expected
    for (const id of this.#present.slice(0, expected.present)) {
      if (!state.tasks.has(id) && !state.tombstones.has(id))
        this.violations.push(`a read of node ${node} did not see task ${id}, acknowledged before it began`)
    }
    for (const id of this.#ended.slice(0, expected.ended)) {
      if (!state.tombstones.has(id))
        this.violations.push(`a read of node ${node} did not see the end of task ${id}, read before it began`)
    }
    for (const id of this.#present) {
      if (!state.tombstones.has(id) || this.#isEnded.has(id)) continue
      this.#isEnded.add(id)
      this.#ended.push(id)
    }
  }
}
