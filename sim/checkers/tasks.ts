/**
 * What the cluster owes its users: nothing acknowledged is lost, each task ends exactly once, tokens rise, nothing is
 * placed before its time or before what it needs (T1, T2, T3, T5 of the task invariants). Heard from the events of every
 * node; what was acknowledged is told by the workload.
 */
import type { SchedulerEvent } from '../../scheduler/events.ts'
import type { Placement, Task } from '../../scheduler/types.ts'

export class TaskChecker {
  readonly violations: string[] = []
  readonly #acknowledged = new Set<number>()
  /** Log index and status of a task's end. */
  readonly #ends = new Map<number, { readonly index: number; readonly status: string }>()
  readonly #lastPlaced = new Map<number, { readonly index: number; readonly token: number }>()

  acknowledged(firstId: number, count: number): void {
    for (let id = firstId; id < firstId + count; id++) this.#acknowledged.add(id)
  }

  get acknowledgedTasks(): number {
    return this.#acknowledged.size
  }

  get endedTasks(): number {
    return this.#ends.size
  }

  /** Acknowledged tasks that have not ended yet. */
  unfinished(): number[] {
    return [...this.#acknowledged].filter((id) => !this.#ends.has(id))
  }

  /** Ids of tasks that ended well. */
  succeeded(): number[] {
    return [...this.#ends].filter(([, { status }]) => status === 'succeeded').map(([id]) => id)
  }

  applied(index: number, events: readonly SchedulerEvent[]): void {
    for (const event of events) {
      if (event.type === 'task-ended') this.#ended(event.row.id, index, event.row.status)
      else if (event.type === 'task-placed') this.#placed(event.task, event.placement, index)
    }
  }

  #ended(id: number, index: number, status: string): void {
    const known = this.#ends.get(id)
    if (known === undefined) this.#ends.set(id, { index, status })
    else if (known.index !== index)
      this.violations.push(`task ${id} ended at index ${known.index} and again at ${index}`)
  }

  /** Entries come several times, once a node and life, so an equal index is no news. */
  #placed(task: Task, { token, placedAt }: Placement, index: number): void {
    const { id, spec } = task
    const last = this.#lastPlaced.get(id)
    if (last !== undefined && index <= last.index) return
    if (last !== undefined && token <= last.token)
      this.violations.push(`task ${id} was placed with token ${token} after ${last.token}`)
    this.#lastPlaced.set(id, { index, token })
    const end = this.#ends.get(id)
    if (end !== undefined && end.index < index)
      this.violations.push(`task ${id} was placed at ${index} after its end at ${end.index}`)
    if (placedAt < spec.notBefore) this.violations.push(`task ${id} was placed before its time`)
    for (const need of spec.needs) {
      if (this.#ends.get(need.id)?.status !== 'succeeded')
        this.violations.push(`task ${id} was placed before its need ${need.id} succeeded`)
    }
  }
}
