/**
 * When each slot of each node is predicted to be free, kept up from decision to decision: what a decision costs depends on the nodes on which
 * something changed, not on all that runs.
 *
 * 1. A lane is a slot: 0 when it is free now, else when what runs on it is predicted to end. Each node's are in order, the earliest first.
 * 2. What a decision adds (`occupy`) holds until the next one begins.
 * 3. When an attempt's end is predicted to be another, whoever changes it says so (`moved`).
 */
import type { NodeId } from '../../../base/ids.ts'
import type { NodeView } from '../../../scheduler/policy.ts'
import type { Running } from './dag-times.ts'

/** Who waits for a node looks elsewhere when what runs there has taken so many times what was expected of it. */
const OUTLIVED = 1.5

interface Host {
  readonly attempts: Set<Running>
  lanes: number[]
  freeSlots: number
  /** Whether the lanes are others than what runs there makes them. */
  stale: boolean
  /** When the first of its attempts that are no copies will have run for surprisingly long. */
  surprisedAt: number
}

export class Lanes {
  #hosts: Host[] = []
  readonly #indexes = new Map<NodeId, number>()
  /** By index of node: when its first slot is free, not before now; Infinity for one without slots. */
  firstAt = new Float64Array(0)
  #now = 0

  /** There are these nodes now; what runs is to be told again. */
  lay(nodes: readonly NodeView[]): void {
    this.#indexes.clear()
    nodes.forEach(({ id }, index) => this.#indexes.set(id, index))
    this.#hosts = nodes.map(() => ({
      attempts: new Set(),
      lanes: [],
      freeSlots: 0,
      stale: true,
      surprisedAt: Infinity
    }))
    this.firstAt = new Float64Array(nodes.length)
  }

  indexOf(node: NodeId): number | undefined {
    return this.#indexes.get(node)
  }

  add(attempt: Running): void {
    const host = this.#hostOf(attempt.node)
    if (host === undefined) return
    host.attempts.add(attempt)
    host.stale = true
  }

  remove(attempt: Running): void {
    const host = this.#hostOf(attempt.node)
    if (host?.attempts.delete(attempt) === true) host.stale = true
  }

  moved({ node }: Running): void {
    const host = this.#hostOf(node)
    if (host !== undefined) host.stale = true
  }

  /** A decision begins. */
  begin(nodes: readonly NodeView[], now: number): void {
    this.#now = now
    for (let index = 0; index < nodes.length; index++) {
      const host = this.#hosts[index]
      const freeSlots = nodes[index]?.freeSlots ?? 0
      if (host === undefined) continue
      if (host.stale || host.freeSlots !== freeSlots) layOut(host, freeSlots)
      this.firstAt[index] = Math.max(host.lanes[0] ?? Infinity, now)
    }
  }

  /** The node's lanes, in order. */
  of(index: number): readonly number[] {
    return this.#hosts[index]?.lanes ?? []
  }

  /** In this decision the lane is taken until `endsAt`, which is later than what it was. Returns whether the node has a free lane left. */
  occupy(index: number, lane: number, endsAt: number): boolean {
    const host = this.#hosts[index]
    if (host === undefined) return false
    const { lanes } = host
    host.stale = true
    let at = lane
    for (; at + 1 < lanes.length && (lanes[at + 1] ?? Infinity) < endsAt; at++)
      lanes[at] = lanes[at + 1] ?? endsAt
    lanes[at] = endsAt
    const first = lanes[0] ?? Infinity
    this.firstAt[index] = Math.max(first, this.#now)
    return first <= this.#now
  }

  /** When the first attempt will have run for surprisingly long. */
  get surprisedAt(): number {
    let first = Infinity
    for (const { surprisedAt } of this.#hosts) if (surprisedAt < first) first = surprisedAt
    return first
  }

  #hostOf(node: NodeId): Host | undefined {
    const index = this.#indexes.get(node)
    return index === undefined ? undefined : this.#hosts[index]
  }
}

function layOut(host: Host, freeSlots: number): void {
  const { lanes } = host
  lanes.length = 0
  host.freeSlots = freeSlots
  host.stale = false
  host.surprisedAt = Infinity
  for (let slot = 0; slot < freeSlots; slot++) lanes.push(0)
  for (const { at, endsAt, isCopy } of host.attempts) {
    lanes.push(endsAt)
    const due = at + OUTLIVED * (endsAt - at)
    // A prediction that is no number is no reason to be woken.
    if (!isCopy && due < host.surprisedAt) host.surprisedAt = due
  }
  if (lanes.length > 1) lanes.sort(rising)
}

function rising(a: number, b: number): number {
  return a - b
}
