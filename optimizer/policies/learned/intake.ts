/**
 * Ready tasks that the policy has not looked at yet. Looking at a task of a class that nobody has asked about costs its estimator a
 * prediction, 0.1 ms or so, and a leader that begins with tens of thousands of them, or is handed thousands at once, must not be silent for
 * as long as that takes: its followers would elect another, which begins with the same.
 *
 * 1. In one moment of state time so many tasks are looked at as `AT_ONCE` pays for; what comes beyond that waits here for later moments, larger
 *    `priority` first, then in the order in which it came. What becomes ready in a moment that has room does not wait behind those.
 * 2. Moments come by themselves while events do; the policy asks for one (`wakeAt`) while tasks wait here.
 */
import type { TaskId } from '../../../base/ids.ts'
import type { TaskView } from '../../../scheduler/policy.ts'
import type { ClassKey } from '../../estimate.ts'

/** What is paid for in one moment: 10 ms or so. */
const AT_ONCE = 1000
/** What a task costs, and one of a class that was not met before. */
const KNOWN = 1
const NEW = 10
/** Classes that are remembered as met; estimators forget as well. */
const MOST_CLASSES = 4096

export class Intake {
  /** By priority; none is empty. */
  readonly #waiting = new Map<number, Set<TaskId>>()
  readonly #priorityOf = new Map<TaskId, number>()
  readonly #met = new Set<ClassKey>()
  #moment = -Infinity
  #left = 0

  get size(): number {
    return this.#priorityOf.size
  }

  /** The largest priority that waits here; −Infinity for none. */
  get topPriority(): number {
    let top = -Infinity
    for (const priority of this.#waiting.keys()) top = Math.max(top, priority)
    return top
  }

  clear(): void {
    this.#waiting.clear()
    this.#priorityOf.clear()
    this.#met.clear()
  }

  /** The task is to be looked at in some later moment. */
  put({ id, priority }: Pick<TaskView, 'id' | 'priority'>): void {
    if (this.#priorityOf.has(id)) return
    this.#priorityOf.set(id, priority)
    const alike = this.#waiting.get(priority)
    if (alike === undefined) this.#waiting.set(priority, new Set([id]))
    else alike.add(id)
  }

  /** Whether one more task may be looked at in this moment. */
  isOpen(now: number): boolean {
    if (now !== this.#moment) {
      this.#moment = now
      this.#left = AT_ONCE
    }
    return this.#left > 0
  }

  /** A task of this class is looked at in this moment. */
  pay(classKey: ClassKey): void {
    if (this.#met.has(classKey)) {
      this.#left -= KNOWN
      return
    }
    if (this.#met.size >= MOST_CLASSES) this.#met.clear()
    this.#met.add(classKey)
    this.#left -= NEW
  }

  /** The next task that may be looked at in this moment; undefined where none waits, or none may be. */
  take(now: number): TaskId | undefined {
    if (this.size === 0 || !this.isOpen(now)) return undefined
    for (const id of this.#waiting.get(this.topPriority) ?? []) {
      this.gone(id)
      return id
    }
    return undefined
  }

  /** The task is not ready any more. Returns whether it waited here. */
  gone(id: TaskId): boolean {
    const priority = this.#priorityOf.get(id)
    if (priority === undefined) return false
    this.#priorityOf.delete(id)
    const alike = this.#waiting.get(priority)
    if (alike?.delete(id) === true && alike.size === 0) this.#waiting.delete(priority)
    return true
  }
}
