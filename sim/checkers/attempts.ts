/**
 * What really ran against what the log says of it. The log is judged when the first node applies an entry, so its word
 * counts from the earliest moment anyone could rely on it.
 *
 * 1. When the log ends an attempt, nothing of it runs; and nothing of it starts afterwards, on whatever node.
 * 2. An attempt of which its node reported an end has run; one that it calls not started has not.
 * 3. A task that is to run at most once is started at most once.
 * 4. A machine never runs more attempts than its node has slots.
 */
import type { AttemptStart } from '../../runtime/ports/attempt-host.ts'
import type { SchedulerEvent } from '../../scheduler/events.ts'

export class AttemptChecker {
  readonly violations: string[] = []
  readonly #started = new Set<number>()
  readonly #running = new Map<number, string>()
  readonly #ended = new Set<number>()
  readonly #atMostOnce = new Set<number>()
  readonly #startsByTask = new Map<number, number>()
  readonly #slots: number

  /** `slots` of each node. */
  constructor(slots: number) {
    this.#slots = slots
  }

  started({ taskId, token }: AttemptStart, machine: string): void {
    if (this.#ended.has(token))
      this.violations.push(`task ${taskId}: token ${token} started on ${machine} after its end`)
    this.#started.add(token)
    this.#running.set(token, machine)
    const load = [...this.#running.values()].filter((other) => other === machine).length
    if (load > this.#slots) this.violations.push(`${machine} runs ${load} attempts on ${this.#slots} slots`)
    const starts = (this.#startsByTask.get(taskId) ?? 0) + 1
    this.#startsByTask.set(taskId, starts)
    if (starts > 1 && this.#atMostOnce.has(taskId))
      this.violations.push(`task ${taskId} is at-most-once and was started ${starts} times`)
  }

  ended({ token }: AttemptStart): void {
    this.#running.delete(token)
  }

  /** Starts of tasks that are to run at most once. */
  get atMostOnceStarts(): number {
    let starts = 0
    for (const task of this.#atMostOnce) starts += this.#startsByTask.get(task) ?? 0
    return starts
  }

  applied(events: readonly SchedulerEvent[]): void {
    for (const event of events) {
      if (event.type === 'task-submitted') {
        if (event.task.spec.delivery === 'at-most-once') this.#atMostOnce.add(event.task.id)
      } else if (event.type === 'attempt-ended') {
        this.#judge(event.task.id, event.placement.token, event.end)
      }
    }
  }

  #judge(task: number, token: number, end: string): void {
    if (this.#ended.has(token)) return
    this.#ended.add(token)
    const machine = this.#running.get(token)
    if (machine !== undefined)
      this.violations.push(`task ${task}: token ${token} ended (${end}) while it runs on ${machine}`)
    const mayHaveRun = end !== 'not-started'
    const mustHaveRun = mayHaveRun && end !== 'lost'
    const ran = this.#started.has(token)
    if (ran ? !mayHaveRun : mustHaveRun)
      this.violations.push(
        `task ${task}: token ${token} ended (${end}) though it ${ran ? 'ran' : 'never ran'}`
      )
  }
}
