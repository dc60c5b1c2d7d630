/**
 * Which medians were predicted for tasks while they waited, until their attempts are over: the first answer counts, as it is the one that was planned with.
 */
import type { TaskId } from '../../base/ids.ts'
import { dropOldest } from '../../base/oldest.ts'
import { MEDIANS } from './medians.ts'

/** Tasks that are followed at once; the oldest go first. */
const MOST = 16_384

export interface Answer {
  /** In the order of `MEDIANS`, on a typical node. */
  readonly medians: Float64Array
}

export class Asked {
  readonly #byTask = new Map<TaskId, Answer>()

  has(task: TaskId): boolean {
    return this.#byTask.has(task)
  }

  /** Keeps the task's first answer; the caller fills it in. */
  add(task: TaskId): Answer {
    const answer: Answer = { medians: new Float64Array(MEDIANS.length) }
    if (this.#byTask.size >= MOST) dropOldest(this.#byTask)
    this.#byTask.set(task, answer)
    return answer
  }

  of(task: TaskId): Answer | undefined {
    return this.#byTask.get(task)
  }

  /** The task's answer, which is then forgotten. */
  take(task: TaskId): Answer | undefined {
    const answer = this.#byTask.get(task)
    if (answer !== undefined) this.#byTask.delete(task)
    return answer
  }
}
