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
  /** Completions of the class when it began. */
  readonly completions: number
  over: boolean
}

/** How much older an attempt must be to be heard again. */
const GROWTH = 1.5
const SOONEST_MS = 1000
/** Siblings that count per class: the oldest say most. */
export const MOST_COUNTED = 12
const NONE: readonly SiblingGroup[] = []
/** Attempts that are over may be kept by time beside those that are not: so many, and as many again. */
const SLACK = 1024

/** Completions since a group began, per attempt in it, up to which its evidence counts in full; beyond, in inverse proportion. */
const FULL_UP_TO = 10

/** Attempts whose ages lie in one bin: they began together and say the same. */
export interface SiblingGroup {
  /** Age of the oldest. */
  readonly ageMs: number
  readonly bin: number
  readonly count: number
  /**
   * What they count for, from 0 to `count`: those of the class that have ended since the oldest began were at risk as well, and say that
   * the class goes on as before.
   */
  readonly weight: number
}

export class RunningSiblings {
  readonly #byTask = new Map<TaskId, Attempt>()
  /** Sets keep the order of insertion: the oldest first. */
  readonly #byClass = new Map<number, Set<Attempt>>()
  readonly #due = new EventHeap<Attempt>()
  /** The last answer of `groups`, which is mostly asked for again at once; void as soon as an attempt begins or ends. */
  #known: Known | undefined

  /** Attempts that run. */
  get size(): number {
    return this.#byTask.size
  }

  /** Attempts that are kept by time, also such as are over: what memory grows with. */
  get kept(): number {
    return this.#due.size
  }

  has(taskId: TaskId): boolean {
    return this.#byTask.has(taskId)
  }

  /**
   * An attempt of the class began; its class's median run time says when it is worth looking at, and `completions` how often the class
   * had been completed by then.
   */
  begin(taskId: TaskId, classKey: number, now: number, medianMs: number, completions: number): void {
    // A second copy of a task says nothing that the first does not.
    if (this.#byTask.has(taskId)) return
    const attempt: Attempt = { taskId, classKey, since: now, completions, over: false }
    this.#known = undefined
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
    this.#known = undefined
    this.#byTask.delete(taskId)
    attempt.over = true
    const siblings = this.#byClass.get(attempt.classKey)
    siblings?.delete(attempt)
    if (siblings?.size === 0) this.#byClass.delete(attempt.classKey)
    if (this.#due.size > 2 * this.#byTask.size + SLACK) this.#due.retain(({ over }) => !over)
  }

  /**
   * The class's oldest attempts, at most `MOST_COUNTED`, by how long they have run at `now`; the oldest first. By now the class has been
   * completed `completions` times.
   */
  groups(classKey: number, now: number, completions: number): readonly SiblingGroup[] {
    const siblings = this.#byClass.get(classKey)
    if (siblings === undefined) return NONE
    const known = this.#known
    if (known?.classKey === classKey && known.now === now && known.completions === completions)
      return known.groups
    const groups: Group[] = []
    let counted = 0
    for (const { since, completions: before } of siblings) {
      const ageMs = now - since
      const bin = binOf(ageMs)
      const last = groups.at(-1)
      if (last?.bin === bin) last.count++
      else groups.push({ ageMs, bin, count: 1, weight: 0, ended: Math.max(0, completions - before) })
      if (++counted === MOST_COUNTED) break
    }
    for (const group of groups) group.weight = weightOf(group, group.count)
    // Those that were not counted are younger than all others: they can only belong with the last.
    const last = groups.at(-1)
    if (last !== undefined) last.weight = weightOf(last, last.count + siblings.size - counted)
    this.#known = { classKey, now, completions, groups }
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

/** What was asked, and the answer. */
interface Known {
  readonly classKey: number
  readonly now: number
  readonly completions: number
  readonly groups: readonly SiblingGroup[]
}

interface Group {
  readonly ageMs: number
  readonly bin: number
  count: number
  weight: number
  /** Completions of the class since the oldest began. */
  readonly ended: number
}

/** What the group counts for when `alike` attempts run that began together. */
function weightOf({ count, ended }: Group, alike: number): number {
  return ended === 0 ? count : count * Math.min(1, (FULL_UP_TO * alike) / ended)
}
