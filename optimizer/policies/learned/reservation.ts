/**
 * When running attempts are expected to end, and with it where and when a task that fits nowhere now will have room, as in EASY backfilling
 * (Mu'alem & Feitelson, IEEE TPDS 2001), on predicted ends.
 */
import type { NodeId, TaskId } from '../../../base/ids.ts'
import type { ClusterView, NodeView, TaskView } from '../../../scheduler/policy.ts'
import type { Resources } from '../../../scheduler/types.ts'
import { add, covers } from '../amounts.ts'

/** An attempt that has outlived its expected end is taken to go on for this part of its age. */
const OUTLIVED = 0.5

interface Running {
  readonly node: NodeId
  readonly resources: Resources
  readonly since: number
  readonly endsAt: number
}

/** Where and when a task will have room, and what is to spare there then. */
export interface Reservation {
  readonly taskId: TaskId
  readonly node: NodeId
  readonly at: number
  readonly spare: Resources
  readonly spareSlots: number
}

/** Looks for room; says the same however often it is asked within one decision. */
export type Reserve = () => Reservation | undefined

/** The attempts that run, by when they are expected to end. */
export class ExpectedEnds {
  readonly #running = new Map<TaskId, Running>()
  #changes = 0

  get size(): number {
    return this.#running.size
  }

  /** Grows by one with every attempt that begins or ends. */
  get changes(): number {
    return this.#changes
  }

  clear(): void {
    this.#running.clear()
  }

  /** An attempt began `since`, and is expected to run for `meanMs`. */
  began({ id, resources }: TaskView, node: NodeId, since: number, meanMs: number): void {
    this.#running.set(id, { node, resources, since, endsAt: since + meanMs })
    this.#changes++
  }

  ended(id: TaskId): void {
    if (this.#running.delete(id)) this.#changes++
  }

  /** The earliest room that the task will have as things run; undefined for none. */
  reserve(task: TaskView, view: ClusterView): Reservation | undefined {
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

/** Whether a task that is expected to run until `endsAt` may have the node in spite of the reservation. */
export function allows(reservation: Reservation, task: TaskView, node: NodeView, endsAt: number): boolean {
  if (reservation.node !== node.id || endsAt <= reservation.at) return true
  return reservation.spareSlots >= 1 && covers(reservation.spare, task.resources)
}

/** The reservation, when something else takes part of what is to spare. */
export function without(reservation: Reservation, resources: Resources): Reservation {
  const spare = { ...reservation.spare }
  add(spare, resources, -1)
  return { ...reservation, spare, spareSlots: reservation.spareSlots - 1 }
}

/** No room is held. */
export const none: Reserve = () => undefined

/** Makes it when it is first asked for. */
export function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined
  return () => (made ??= { value: make() }).value
}

/** What is free on the node, in slots. */
export function idleOn(node: NodeView): number {
  let share = node.freeSlots / node.slots
  for (const name in node.resources) {
    const capacity = node.resources[name] ?? 0
    if (capacity > 0) share = Math.min(share, node.free(name) / capacity)
  }
  return share * node.slots
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

function expectedEnd({ since, endsAt }: Running, now: number): number {
  return endsAt > now ? endsAt : now + Math.max(1, OUTLIVED * (now - since))
}
