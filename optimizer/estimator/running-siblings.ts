/**
 * The attempts that run now, by class, as evidence of how long the class takes; and when that evidence next counts.
 *
 * An attempt makes itself heard when it outlives its class's median, and again each time its age has grown by half.
 */
import type { TaskId } from '../../base/ids.ts'
import { EventHeap } from '../sim/event-heap.ts'
import { binOf } from './bins.ts'

interface Attempt {
  readonly taskId: TaskId
  readonly classKey: number
  readonly since: number
  over: boolean
}

/** How much older an attempt must be to be heard again. */
const GROWTH = 1.5
const SOONEST_MS = 1000
/** Siblings that count per class: the oldest say most. */
export const MOST_COUNTED = 12
const NONE: readonly SiblingGroup[] = []

/** Attempts whose ages lie in one bin: they began together and say the same. */
export interface SiblingGroup {
  /** Age of the oldest. */
  readonly ageMs: number
  readonly bin: number
  readonly count: number
}

export class RunningSiblings {
  readonly #byTask = new Map<TaskId, Attempt>()
  /** Sets keep the order of insertion: the oldest first. */
  readonly #byClass = new Map<number, Set<Attempt>>()
  readonly #due = new EventHeap<Attempt>()

  /** Attempts that run. */
  get size(): number {
    return this.#byTask.size
  }

  has(taskId: TaskId): boolean {
    return this.#byTask.has(taskId)
  }

  /** An attempt of the class began; its class's median run time says when it is worth looking at. */
  begin(taskId: TaskId, classKey: number, now: number, medianMs: number): void {
    // A second copy of a task says nothing that the first does not.
    if (this.#byTask.has(taskId)) return
    const attempt: Attempt = { taskId, classKey, since: now, over: false }
    this.#byTask.set(taskId, attempt)
    const siblings = this.#byClass.get(classKey)
    if (siblings === undefined) this.#byClass.set(classKey, new Set([attempt]))
    else siblings.add(attempt)
    this.#due.push(now + Math.max(SOONEST_MS, medianMs), attempt)
  }

  /** The task's attempt is over. */
  end(taskId: TaskId): void {
    const attempt = this.#byTask.get(taskId)
    if (attempt === undefined) return
    this.#byTask.delete(taskId)
    attempt.over = true
    const siblings = this.#byClass.get(attempt.classKey)
    siblings?.delete(attempt)
    if (siblings?.size === 0) this.#byClass.delete(attempt.classKey)
  }

  /** The class's oldest attempts, at most `MOST_COUNTED`, by how long they have run at `now`; the oldest first. */
  groups(classKey: number, now: number): readonly SiblingGroup[] {
    const siblings = this.#byClass.get(classKey)
    if (siblings === undefined) return NONE
    const groups: { readonly ageMs: number; readonly bin: number; count: number }[] = []
    let counted = 0
    for (const { since } of siblings) {
      const ageMs = now - since
      const bin = binOf(ageMs)
      const last = groups.at(-1)
      if (last?.bin === bin) last.count++
      else groups.push({ ageMs, bin, count: 1 })
      if (++counted === MOST_COUNTED) break
    }
    return groups
  }

  count(classKey: number): number {
    return this.#byClass.get(classKey)?.size ?? 0
  }

  /** Calls `heard` for each class in which an attempt has become worth looking at by `now`. */
  advance(now: number, heard: (classKey: number) => void): void {
    while (this.#due.nextTime <= now) {
      const attempt = this.#due.pop()
      if (attempt === undefined || attempt.over) continue
      heard(attempt.classKey)
      this.#due.push(attempt.since + (now - attempt.since) * GROWTH + 1, attempt)
    }
  }
}
