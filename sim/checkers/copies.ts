/**
 * Copies, judged by the events of the log: what is copied is idempotent and runs elsewhere, a task has one copy at a time,
 * one success of a pair takes effect, and whoever lost is told to stop by the entry that ended the task.
 */
import type { SchedulerEvent } from '../../scheduler/events.ts'
import type { Placement, Task } from '../../scheduler/types.ts'

interface Live {
  readonly token: number
  readonly node: number
}

export class CopyChecker {
  readonly violations: string[] = []
  readonly #ledger: { readonly copied: (copy: number, of: number) => void }
  readonly #live = new Map<number, Live[]>()
  readonly #told = new Set<number>()
  readonly #succeeded = new Set<number>()
  #lastIndex = 0
  #copies = 0
  #superseded = 0

  constructor(ledger: { readonly copied: (copy: number, of: number) => void }) {
    this.#ledger = ledger
  }

  /** Copies that were placed. */
  get copies(): number {
    return this.#copies
  }

  /** Copies, or what they copied, that succeeded too late. */
  get superseded(): number {
    return this.#superseded
  }

  /** Tokens of attempts whose task has ended. */
  lingering(): number[] {
    return [...this.#live]
      .filter(([task]) => this.#succeeded.has(task))
      .flatMap(([, live]) => live.map(({ token }) => token))
  }

  /** Entries come several times, once a node and life; the first to apply one speaks for all. */
  applied(index: number, events: readonly SchedulerEvent[]): void {
    if (index <= this.#lastIndex) return
    this.#lastIndex = index
    for (const event of events) {
      if (event.type === 'task-placed') this.#placed(event.task, event.placement)
      else if (event.type === 'task-stopping') this.#told.add(event.placement.token)
      else if (event.type === 'attempt-ended') this.#ended(event.task.id, event.placement.token, event.end)
      else if (event.type === 'task-ended') this.#taskEnded(event.row.id, event.row.status)
    }
  }

  #placed({ id, spec }: Task, { token, node, isCopy }: Placement): void {
    const live = this.#live.get(id) ?? []
    const [first, ...more] = live
    if (isCopy) {
      this.#copies += 1
      if (first === undefined || more.length > 0)
        this.violations.push(`task ${id}: token ${token} is a copy beside ${live.length} attempts`)
      else this.#ledger.copied(token, first.token)
      if (first?.node === node) this.violations.push(`task ${id}: token ${token} is a copy on the same node`)
      if (!spec.idempotent || spec.delivery === 'at-most-once')
        this.violations.push(`task ${id}: token ${token} is a copy of what may not be copied`)
    } else if (first !== undefined) {
      this.violations.push(`task ${id}: token ${token} was placed while ${first.token} lives`)
    }
    this.#live.set(id, [...live, { token, node }])
  }

  #ended(task: number, token: number, end: string): void {
    const left = (this.#live.get(task) ?? []).filter((attempt) => attempt.token !== token)
    if (left.length === 0) this.#live.delete(task)
    else this.#live.set(task, left)
    if (end === 'superseded') this.#superseded += 1
    if (end !== 'succeeded') return
    if (this.#succeeded.has(task)) this.violations.push(`task ${task}: two attempts took effect`)
    this.#succeeded.add(task)
  }

  #taskEnded(task: number, status: string): void {
    for (const { token } of this.#live.get(task) ?? []) {
      if (status !== 'succeeded') this.violations.push(`task ${task} is ${status} while token ${token} lives`)
      if (!this.#told.has(token))
        this.violations.push(`task ${task} left token ${token} behind and did not tell it`)
    }
  }
}
