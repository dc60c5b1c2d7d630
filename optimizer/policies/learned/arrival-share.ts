/**
 * The guard against starvation: a small share of what is placed goes in order of arrival, whatever predictions say. It is also
 * the insurance against their errors: a short task that was taken for long waits for a bounded time instead of for ever.
 *
 * The earliest task of the highest priority that has waited beyond a bound is *owed* while there is credit; tasks that no node could
 * run are passed over until nodes change, since who waits behind them would be owed nothing for ever. Every placement
 * earns credit in proportion to its predicted area; a task placed because it was owed spends its own. An owed task that
 * fits nowhere has room held for it (`held-room.ts`): others may pass it where they are expected to be over by then, or do not need what it
 * will.
 *
 * 1. Bounds and credit scale with the tasks at hand (their decayed mean run time and area), so that neither is tied to tasks of
 *    hours or of milliseconds.
 * 2. The guard costs its share as far as predicted areas are right: an owed task that runs longer than predicted is not charged for the rest
 *    (charging it made slowdowns worse and nothing better).
 * 3. Memory is bounded by what waits.
 */
import type { TaskId } from '../../../base/ids.ts'
import type { ClusterView, TaskView } from '../../../scheduler/policy.ts'
import { HeldRoom } from './held-room.ts'
import type { ExpectedEnds } from './reservation.ts'

/** Part of all placed area that is served in order of arrival. */
const SHARE = 0.01
/** A task is owed once it has waited for this many mean run times. */
const PATIENCE = 1
const DECAY = 0.999

/** Waiting tasks of one priority by arrival, among others that wait no more. */
interface Line {
  ids: TaskId[]
  /** Index of the first that waits. */
  head: number
  /** Index of the first that waits and that some node could run, or before it; those from `head` to here are passed over. */
  placeable: number
  waiting: number
}

/** So many that wait no more may stand in a line beside as many as wait. */
const SLACK = 1024

export interface ArrivalShareOptions {
  /** In [0, 1]; 0 switches the guard off. Default 0.01. */
  readonly share?: number
  /** In mean run times, ≥ 0. Default 1. */
  readonly patience?: number
}

export class ArrivalShare {
  readonly #share: number
  readonly #patience: number
  /** Waiting tasks in order of arrival, by priority. */
  readonly #lines = new Map<number, Line>()
  readonly #waiting = new Map<TaskId, number>()
  /** For the owed task that fits nowhere. */
  readonly room: HeldRoom
  /** The task that `owed` has named last. */
  #owedId: TaskId | undefined
  #runSum = 0
  #weight = 0

  constructor(ends: ExpectedEnds, { share = SHARE, patience = PATIENCE }: ArrivalShareOptions = {}) {
    this.#share = share
    this.#patience = patience
    this.room = new HeldRoom(ends, share)
  }

  clear(): void {
    this.#lines.clear()
    this.#waiting.clear()
    this.room.clear()
  }

  /** Places in line, also of tasks that wait no more: what memory grows with (rule 3). */
  get places(): number {
    let count = 0
    for (const { ids } of this.#lines.values()) count += ids.length
    return count
  }

  ready(task: TaskView): void {
    if (this.#share === 0 || this.#waiting.has(task.id)) return
    this.#waiting.set(task.id, task.priority)
    let line = this.#lines.get(task.priority)
    if (line === undefined) {
      line = { ids: [], head: 0, placeable: 0, waiting: 0 }
      this.#lines.set(task.priority, line)
    }
    line.ids.push(task.id)
    line.waiting++
  }

  /** Tasks that no node could run may have one now. */
  nodesChanged(): void {
    for (const line of this.#lines.values()) line.placeable = line.head
    this.room.nodesChanged()
  }

  gone(id: TaskId): void {
    const priority = this.#waiting.get(id)
    if (priority === undefined) return
    this.#waiting.delete(id)
    const line = this.#lines.get(priority)
    if (line === undefined) return
    if (--line.waiting === 0) this.#lines.delete(priority)
    else {
      while (!this.#waits(line.ids[line.head])) line.head++
      line.placeable = Math.max(line.placeable, line.head)
      if (line.ids.length > 2 * line.waiting + SLACK) this.#trim(line)
    }
    this.room.gone(id)
  }

  /** An attempt began that is expected to run for `meanMs` and to take `area` (slot-milliseconds). */
  started(id: TaskId, meanMs: number, area: number): void {
    if (this.#share === 0) return
    const isOwed = this.room.heldFor === id || this.#owedId === id
    this.gone(id)
    if (!Number.isFinite(meanMs)) return
    this.#runSum = this.#runSum * DECAY + meanMs
    this.#weight = this.#weight * DECAY + 1
    this.room.earn(area)
    if (isOwed) this.room.spend(area)
  }

  /** The task that is owed a place now; undefined when none is. What `placeable` says (some node could run it) holds until nodes change. */
  owed(view: ClusterView, placeable: (id: TaskId) => boolean = always): TaskView | undefined {
    this.#owedId = undefined
    this.room.pay(view.now)
    if (this.room.credit <= 0) return undefined
    let id: TaskId | undefined
    let highest = -Infinity
    for (const [priority, line] of this.#lines) {
      if (priority <= highest) continue
      const first = this.#firstOf(line, placeable)
      if (first === undefined) continue
      highest = priority
      id = first
    }
    const task = id === undefined ? undefined : view.task(id)
    if (task === undefined || view.now - task.readyAt < (this.#patience * this.#runSum) / this.#weight)
      return undefined
    this.#owedId = task.id
    return task
  }

  #waits(id: TaskId | undefined): boolean {
    return id !== undefined && this.#waiting.has(id)
  }

  #firstOf(line: Line, placeable: (id: TaskId) => boolean): TaskId | undefined {
    for (; line.placeable < line.ids.length; line.placeable++) {
      const id = line.ids[line.placeable]
      if (id !== undefined && this.#waiting.has(id) && placeable(id)) return id
    }
    return undefined
  }

  /** Drops those that wait no more; a task that waited before has its first place. */
  #trim(line: Line): void {
    line.ids = [...new Set(line.ids.slice(line.head).filter((id) => this.#waiting.has(id)))]
    line.head = 0
    line.placeable = 0
  }
}

function always(): boolean {
  return true
}
