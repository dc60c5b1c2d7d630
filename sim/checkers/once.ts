/**
 * Exactly-once submission (T1): a submission enters the log at most once, however often it was sent and whoever led; all
 * submissions under one idempotency key are one; what was refused for good never happened. Tasks carry the name of their
 * submission.
 */
import type { SchedulerEvent } from '../../scheduler/events.ts'

/** Reasons for which a valid submission may be turned away. */
const REASONS: ReadonlySet<string> = new Set(['NO_LEADER', 'NOT_LEADER', 'OVERLOADED', 'STORAGE_FULL'])

export class OnceChecker {
  readonly violations: string[] = []
  readonly #groups = new Map<string, number>()
  readonly #answers = new Map<string, number>()
  readonly #refused = new Set<string>()

  /** A client was told that its submission stands from `firstId` on. */
  acknowledged(name: string, firstId: number): void {
    const known = this.#answers.get(name)
    if (known !== undefined && known !== firstId)
      this.violations.push(`${name}: acknowledged as task ${known} and as task ${firstId}`)
    this.#answers.set(name, firstId)
    const group = this.#groups.get(name)
    if (group !== firstId)
      this.violations.push(`${name}: acknowledged as task ${firstId}, the log has ${group ?? 'nothing'}`)
  }

  /** A client was told that its submission did not happen. With a key it may try again. */
  refused(name: string, code: string, keyed: boolean): void {
    if (!REASONS.has(code)) this.violations.push(`${name}: refused for no reason of its own: ${code}`)
    if (keyed) return
    this.#refused.add(name)
    if (this.#groups.has(name)) this.violations.push(`${name}: refused (${code}) though it is in the log`)
  }

  applied(events: readonly SchedulerEvent[]): void {
    for (const event of events) {
      if (event.type !== 'task-submitted') continue
      const { group, spec } = event.task
      const known = this.#groups.get(spec.name)
      if (known === undefined) this.#groups.set(spec.name, group)
      else if (known !== group)
        this.violations.push(`${spec.name}: in the log as task ${known} and as task ${group}`)
      if (this.#refused.has(spec.name)) this.violations.push(`${spec.name}: in the log though it was refused`)
    }
  }
}
