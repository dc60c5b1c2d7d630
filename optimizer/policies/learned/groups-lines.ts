/**
 * The tasks of a stage in lines, one for each shape (`class-queues.ts`), and which line is asked next.
 *
 * 1. A line is there as long as a task of it is not finished, and is asked only while something waits in it that some node could run.
 * 2. A line for which no node had room is not asked again before room may have appeared.
 * 3. At most `TRIED` lines are asked in one decision; whoever was asked in vain goes to the end, so the next decision goes on behind it.
 */
import type { TaskId } from '../../../base/ids.ts'
import type { ClusterView, TaskView } from '../../../scheduler/policy.ts'
import { shapeKey } from '../class-queues.ts'
import { isPlaceable } from '../node-rules.ts'

/** Holds a decision to a millisecond on tens of nodes, whatever the number of shapes. */
const TRIED = 100
/** An answer: no node has room for the line. */
export const NO_ROOM = Symbol('no room')

/** Tasks of one stage that fit the same nodes. */
export interface Line {
  readonly shape: string
  /** Ready tasks, by arrival. */
  readonly waiting: Set<TaskId>
  /** Whether some node could run them; undefined before that is known. */
  placeable: boolean | undefined
  /** Tasks that are not finished. */
  left: number
  running: number
  /** Sum of the times at which running tasks are expected to end. */
  endsAt: number
  /** The search that asked it last. */
  askedIn: number
  /** `Search.room` when no node had room for it. */
  shutAt: number
}

/** A walk through lines for one that can be placed. It may take several decisions. */
export interface Search {
  /** Differs between walks: each asks a line once. */
  id: number
  /** Grows when room may have appeared. */
  room: number
  /** Whether rule 3 left lines out. */
  unfinished: boolean
}

export class Lines {
  readonly #byShape = new Map<string, Line>()
  /** Lines to ask, and those of rule 2; either by when they were asked last. */
  readonly #open = new Set<Line>()
  readonly #shut = new Set<Line>()

  /** How many there are, with those in which nothing waits. */
  get size(): number {
    return this.#byShape.size
  }

  all(): Iterable<Line> {
    return this.#byShape.values()
  }

  /** The line of a task that was not known. */
  found(task: TaskView): Line {
    const shape = shapeKey(task)
    let line = this.#byShape.get(shape)
    if (line === undefined) {
      line = {
        shape,
        waiting: new Set(),
        placeable: undefined,
        left: 0,
        running: 0,
        endsAt: 0,
        askedIn: -1,
        shutAt: -1
      }
      this.#byShape.set(shape, line)
    }
    line.left++
    return line
  }

  /** One of the line's tasks will not run again. */
  finished(line: Line): void {
    if (--line.left === 0) this.#byShape.delete(line.shape)
  }

  /** A task of the line waits. Returns whether that is news. */
  add(line: Line, task: TaskView, view: ClusterView): boolean {
    if (line.waiting.has(task.id)) return false
    line.placeable ??= isPlaceable(task, view)
    line.waiting.add(task.id)
    if (line.placeable && !this.#shut.has(line)) this.#open.add(line)
    return true
  }

  /** The task waits no longer. Returns whether it did. */
  remove(line: Line, id: TaskId): boolean {
    if (!line.waiting.delete(id)) return false
    if (line.waiting.size === 0) {
      this.#open.delete(line)
      this.#shut.delete(line)
    }
    return true
  }

  /** Finds out anew which lines some node could run. */
  reach(view: ClusterView): void {
    this.#open.clear()
    this.#shut.clear()
    for (const line of this.#byShape.values()) {
      const task = firstOf(line, view)
      line.placeable = task === undefined ? undefined : isPlaceable(task, view)
      if (line.placeable === true) this.#open.add(line)
    }
  }

  /** What the first line says that has an answer. */
  ask<T>(search: Search, question: (line: Line) => T | typeof NO_ROOM | undefined): T | undefined {
    let tried = 0
    for (const lines of [this.#open, this.#shut]) {
      for (const line of lines) {
        // Those behind it were asked too, or later.
        if (lines === this.#open ? line.askedIn === search.id : line.shutAt === search.room) break
        if (tried++ === TRIED) {
          search.unfinished = true
          return undefined
        }
        line.askedIn = search.id
        const answer = question(line)
        if (answer !== NO_ROOM && answer !== undefined) return answer
        lines.delete(line)
        if (answer === NO_ROOM) line.shutAt = search.room
        const next = answer === NO_ROOM ? this.#shut : this.#open
        next.add(line)
      }
    }
    return undefined
  }

  /** Lines that `ask` might ask, at most `TRIED`. */
  *next({ room }: Search): Iterable<Line> {
    let count = 0
    for (const lines of [this.#open, this.#shut]) {
      for (const line of lines) {
        if (count++ === TRIED || (lines === this.#shut && line.shutAt === room)) return
        yield line
      }
    }
  }
}

/** The line's first task. */
export function firstOf(line: Line, view: ClusterView): TaskView | undefined {
  for (const id of line.waiting) return view.task(id)
  return undefined
}
