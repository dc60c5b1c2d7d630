/** How far ended tasks have been told, exact to the task: several may end within one millisecond, and a gap may begin between them. */
import type { TaskId } from '../../base/ids.ts'
import type { FinishedTask } from '../../optimizer/guard/history.ts'

type Ended = Pick<FinishedTask, 'id' | 'finishedAt'>

export class ToldUntil {
  /** End of the last task that was told, in state time; 0 before the first. */
  #at = 0
  /** Those that were told and ended then. */
  readonly #ids = new Set<TaskId>()

  /** The task was told. Tasks come in the order of their ends. */
  told({ id, finishedAt }: Ended): void {
    if (finishedAt < this.#at) return
    if (finishedAt > this.#at) this.#ids.clear()
    this.#at = finishedAt
    this.#ids.add(id)
  }

  /** Whether it has ended since. */
  isNew({ id, finishedAt }: Ended): boolean {
    return finishedAt > this.#at || (finishedAt === this.#at && !this.#ids.has(id))
  }
}
