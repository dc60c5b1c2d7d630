/** Whoever waits for a task to end: each hears of the end once, or that its time is over. */
import type { TaskId } from '../../base/ids.ts'
import type { SchedulerEvent } from '../../scheduler/events.ts'
import type { Timers } from '../ports/timers.ts'

export class TaskWaiters {
  readonly #timers: Timers
  readonly #waiting = new Map<TaskId, Set<() => void>>()

  constructor(timers: Timers) {
    this.#timers = timers
  }

  /** Resolves when the task has ended, the time is over or the signal is aborted. The caller looks for itself. */
  wait(id: TaskId, timeoutMs: number, signal: AbortSignal | undefined): Promise<void> {
    if (signal?.aborted === true || timeoutMs <= 0) return Promise.resolve()
    return new Promise((resolve) => {
      const waiting = this.#waiting.get(id) ?? new Set()
      this.#waiting.set(id, waiting)
      const done = (): void => {
        cancel()
        signal?.removeEventListener('abort', done)
        waiting.delete(done)
        if (waiting.size === 0 && this.#waiting.get(id) === waiting) this.#waiting.delete(id)
        resolve()
      }
      const cancel = this.#timers.after(timeoutMs, done)
      signal?.addEventListener('abort', done)
      waiting.add(done)
    })
  }

  observe(events: readonly SchedulerEvent[]): void {
    if (this.#waiting.size === 0) return
    for (const event of events) {
      if (event.type === 'task-ended') this.#release(event.row.id)
      else if (event.type === 'task-retired') this.#release(event.taskId)
    }
  }

  /** The state was replaced: everybody looks again. */
  releaseAll(): void {
    for (const id of [...this.#waiting.keys()]) this.#release(id)
  }

  #release(id: TaskId): void {
    for (const done of [...(this.#waiting.get(id) ?? [])]) done()
  }
}
