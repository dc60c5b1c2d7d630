/**
 * What the cluster owes its users: nothing acknowledged is lost, and each task ends exactly once (T1, T3 of the task
 * invariants). Heard from the events of every node; who acknowledged is told by the workload.
 */
import type { SchedulerEvent } from '../../scheduler/events.ts'

export class TaskChecker {
  readonly #acknowledged = new Set<number>()
  /** Log index of a task's end. */
  readonly #endedAt = new Map<number, number>()
  readonly #lastToken = new Map<number, number>()
  readonly violations: string[] = []

  acknowledged(firstId: number, count: number): void {
    for (let id = firstId; id < firstId + count; id++) this.#acknowledged.add(id)
  }

  get acknowledgedTasks(): number {
    return this.#acknowledged.size
  }

  get endedTasks(): number {
    return this.#endedAt.size
  }

  /** Acknowledged tasks that have not ended yet. */
  unfinished(): number[] {
    return [...this.#acknowledged].filter((id) => !this.#endedAt.has(id))
  }

  applied(index: number, events: readonly SchedulerEvent[]): void {
    for (const event of events) {
      if (event.type === 'task-ended') this.#ended(event.row.id, index)
      else if (event.type === 'task-placed') this.#placed(event.task.id, event.placement.token, index)
    }
  }

  #ended(id: number, index: number): void {
    const known = this.#endedAt.get(id)
    if (known === undefined) this.#endedAt.set(id, index)
    else if (known !== index) this.violations.push(`task ${id} ended at index ${known} and again at ${index}`)
  }

  /** T2: tokens rise with each placement. Entries come several times (once a node), so equal ones are no news. */
  #placed(id: number, token: number, index: number): void {
    const ended = this.#endedAt.get(id)
    if (ended !== undefined && ended < index)
      this.violations.push(`task ${id} was placed at ${index} after its end at ${ended}`)
    this.#lastToken.set(id, Math.max(token, this.#lastToken.get(id) ?? 0))
  }
}
