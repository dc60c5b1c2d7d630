/**
 * The guard against starvation: a small share of what is placed goes in order of arrival, whatever predictions say. It is also
 * the insurance against their errors: a short task that was taken for long waits for a bounded time instead of for ever.
 *
 * The earliest task of the highest priority that has waited beyond a bound is *owed* while there is credit; tasks that no node could
 * run are passed over until nodes change, since who waits behind them would be owed nothing for ever. Every placement
 * earns credit in proportion to its predicted area; a task placed because it was owed spends its own. An owed task that
 * fits nowhere gets a reservation as in EASY backfilling (Mu'alem & Feitelson, IEEE TPDS 2001) on predicted ends: others
 * may pass it where they are expected to be over by then, or do not need what it will.
 *
 * 1. Bounds and credit scale with the tasks at hand (their decayed mean run time and area), so that neither is tied to tasks of
 *    hours or of milliseconds.
 * 2. A reservation is worked out again when the running have changed by an eighth, or when its time has come: O(log n) an event.
 * 3. What stands idle for a reservation is paid for with credit too, and without credit there is none. A task that used it up in vain has
 *    room held for it again only when what was earned since lasts until the reservation's time, or is worth another try (`NEXT_TRY`): else
 *    every bit of credit would go the same way, the more surely the more often the policy is asked. Credit is counted in predicted areas,
 *    so the guard costs its share as far as these are right: an owed task that runs longer than predicted is not charged for the rest
 *    (charging it made slowdowns worse and nothing better).
 * 4. Memory is bounded by what waits.
 */
import type { NodeId, TaskId } from '../../../base/ids.ts'
import type { ClusterView, NodeView, TaskView } from '../../../scheduler/policy.ts'
import type { Resources } from '../../../scheduler/types.ts'

/** Part of all placed area that is served in order of arrival. */
const SHARE = 0.01
/** A task is owed once it has waited for this many mean run times. */
const PATIENCE = 1
/** Credit is kept for at most this many mean tasks. */
const MOST_CREDIT = 50
/**
 * Mean tasks that credit is to be worth before room is held again for a task that has used it up in vain. Reservations are mostly due sooner
 * than predicted: never to try made METACENTRUM's mean slowdown a tenth worse.
 */
const NEXT_TRY = 0.25
const DECAY = 0.999
/** Changes of the running, relative to their number, before a reservation is worked out again. */
const STALE_AFTER = 1 / 8
/** An attempt that has outlived its expected end is taken to go on for this part of its age. */
const OUTLIVED = 0.5

interface Running {
  readonly node: NodeId
  readonly resources: Resources
  readonly since: number
  readonly endsAt: number
}

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

/** Where and when the owed task will have room, and what is to spare there then. */
export interface Reservation {
  readonly taskId: TaskId
  readonly node: NodeId
  readonly at: number
  readonly spare: Resources
  readonly spareSlots: number
}

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
  readonly #running = new Map<TaskId, Running>()
  #reservation: Reservation | undefined
  /** The task for which `#reservation` was looked for last, found or not. */
  #reservedFor: TaskId | undefined
  /** The task that `owed` has named last. */
  #owedId: TaskId | undefined
  /** What stands idle for a reservation, in slots, since when. */
  #idle: { readonly since: number; readonly width: number } | undefined
  /** The task for which credit was used up in vain, last (rule 3). */
  #brokeFor: TaskId | undefined
  #changes = 0
  #credit = 0
  #areaSum = 0
  #runSum = 0
  #weight = 0

  constructor({ share = SHARE, patience = PATIENCE }: ArrivalShareOptions = {}) {
    this.#share = share
    this.#patience = patience
  }

  clear(): void {
    this.#lines.clear()
    this.#waiting.clear()
    this.#running.clear()
    this.#reservation = undefined
    this.#reservedFor = undefined
    this.#idle = undefined
    this.#brokeFor = undefined
  }

  /** Places in line, also of tasks that wait no more: what memory grows with (rule 4). */
  get places(): number {
    let count = 0
    for (const { ids } of this.#lines.values()) count += ids.length
    return count
  }

  ready(task: TaskView): void {
    if (this.#share === 0) return
    this.#running.delete(task.id)
    if (this.#waiting.has(task.id)) return
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
    if (this.#reservedFor !== id) return
    this.#reservation = undefined
    this.#reservedFor = undefined
  }

  /** An attempt began that is expected to run for `meanMs` and to take `area` (slot-milliseconds). */
  started(task: TaskView, node: NodeId, now: number, meanMs: number, area: number): void {
    if (this.#share === 0) return
    const owed = this.#reservation?.taskId === task.id || this.#owedId === task.id
    this.gone(task.id)
    this.#running.set(task.id, { node, resources: task.resources, since: now, endsAt: now + meanMs })
    this.#changes++
    this.#areaSum = this.#areaSum * DECAY + area
    this.#runSum = this.#runSum * DECAY + meanMs
    this.#weight = this.#weight * DECAY + 1
    const most = (MOST_CREDIT * this.#areaSum) / this.#weight
    this.#credit = Math.min(most, this.#credit + this.#share * area) - (owed ? area : 0)
  }

  /** Of a running attempt, `since` some time ago, heard of after a change of leader. */
  resumed(task: TaskView, node: NodeId, since: number, meanMs: number): void {
    if (this.#share > 0)
      this.#running.set(task.id, { node, resources: task.resources, since, endsAt: since + meanMs })
  }

  ended(id: TaskId): void {
    if (this.#running.delete(id)) this.#changes++
  }

  /** The task that is owed a place now; undefined when none is. What `placeable` says (some node could run it) holds until nodes change. */
  owed(view: ClusterView, placeable: (id: TaskId) => boolean = always): TaskView | undefined {
    this.#owedId = undefined
    this.#payForIdle(view.now)
    if (this.#credit <= 0) return undefined
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

  /** Something is refused the node for the reservation's sake: what is free there stands idle, and is paid for until `owed` is asked again. */
  refused(node: NodeView, now: number): void {
    this.#idle = { since: now, width: idleOn(node) }
  }

  /** Whether room is to be held for the reservation (rule 3). */
  affords({ taskId, node, at }: Reservation, view: ClusterView): boolean {
    if (taskId !== this.#brokeFor || this.#credit >= (NEXT_TRY * this.#areaSum) / this.#weight) return true
    const host = view.node(node)
    return host !== undefined && idleOn(host) * (at - view.now) <= this.#credit
  }

  /**
   * When time alone lets go of what stands idle, if nothing else happens: the reservation's time has come, or the credit is gone. Infinity
   * while nothing does. It lies after the moment when `owed` was asked last, so that asking again makes a difference.
   */
  get idleUntil(): number {
    if (this.#idle === undefined) return Infinity
    const { since, width } = this.#idle
    // In whole milliseconds, at the end of which no credit is left whatever was rounded.
    const paidUntil = width > 0 ? Math.floor(since + this.#credit / width) + 1 : Infinity
    const { at = Infinity } = this.#reservation ?? {}
    // What could be had now and is not taken is reserved anew with every question: only the credit's end changes anything.
    return at > since ? Math.min(at, paidUntil) : paidUntil
  }

  #payForIdle(now: number): void {
    if (this.#idle === undefined) return
    this.#credit -= this.#idle.width * Math.max(0, now - this.#idle.since)
    this.#idle = undefined
    if (this.#credit <= 0) this.#brokeFor = this.#reservedFor
  }

  /** Whether a task that is expected to run until `endsAt` may have the node in spite of the reservation, if there is one. */
  allows(reservation: Reservation | undefined, task: TaskView, node: NodeView, endsAt: number): boolean {
    if (reservation === undefined || reservation.node !== node.id || endsAt <= reservation.at) return true
    return reservation.spareSlots >= 1 && covers(reservation.spare, task.resources)
  }

  /** The reservation of the owed task, which fits nowhere now; undefined when it never will as things run. */
  reservationFor(task: TaskView, view: ClusterView): Reservation | undefined {
    const held = this.#reservation
    const fresh = this.#changes <= STALE_AFTER * this.#running.size
    if (this.#reservedFor === task.id && fresh && view.now < (held?.at ?? Infinity)) return held
    this.#changes = 0
    this.#reservedFor = task.id
    this.#reservation = this.#reserve(task, view)
    return this.#reservation
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

  #reserve(task: TaskView, view: ClusterView): Reservation | undefined {
    const byNode = new Map<NodeId, Running[]>()
    for (const running of this.#running.values()) {
      const list = byNode.get(running.node)
      if (list === undefined) byNode.set(running.node, [running])
      else list.push(running)
    }
    let best: Reservation | undefined
    for (const node of view.nodes()) {
      if (!covers(node.resources, task.resources) || !view.eligible(task, node)) continue
      const found = reserveOn(task, node, byNode.get(node.id) ?? [], view.now)
      if (found !== undefined && (best === undefined || found.at < best.at)) best = found
    }
    return best
  }
}

function reserveOn(
  task: TaskView,
  node: NodeView,
  running: readonly Running[],
  now: number
): Reservation | undefined {
  const left: Record<string, number> = {}
  for (const name in node.resources) left[name] = node.free(name)
  let slots = node.freeSlots
  let at = now
  const ends = running.map((attempt) => ({ attempt, endsAt: expectedEnd(attempt, now) }))
  ends.sort((a, b) => a.endsAt - b.endsAt)
  for (const { attempt, endsAt } of ends) {
    if (slots >= 1 && covers(left, task.resources)) break
    at = endsAt
    slots++
    add(left, attempt.resources, 1)
  }
  if (slots < 1 || !covers(left, task.resources)) return undefined
  add(left, task.resources, -1)
  return { taskId: task.id, node: node.id, at, spare: left, spareSlots: slots - 1 }
}

/** What is free on the node, in slots. */
function idleOn(node: NodeView): number {
  let share = node.freeSlots / node.slots
  for (const name in node.resources) {
    const capacity = node.resources[name] ?? 0
    if (capacity > 0) share = Math.min(share, node.free(name) / capacity)
  }
  return share * node.slots
}

function expectedEnd({ since, endsAt }: Running, now: number): number {
  return endsAt > now ? endsAt : now + Math.max(1, OUTLIVED * (now - since))
}

function always(): boolean {
  return true
}

function covers(left: Resources, need: Resources): boolean {
  for (const name in need) if ((left[name] ?? Infinity) < (need[name] ?? 0)) return false
  return true
}

function add(left: Record<string, number>, amounts: Resources, sign: 1 | -1): void {
  for (const name in amounts) {
    const before = left[name]
    if (before !== undefined) left[name] = before + sign * (amounts[name] ?? 0)
  }
}
