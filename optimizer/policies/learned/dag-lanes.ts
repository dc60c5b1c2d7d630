/** When each slot of each node is predicted to be free, in arrays that serve one decision after another. */
import type { NodeId } from '../../../base/ids.ts'
import type { NodeView } from '../../../scheduler/policy.ts'

export class Lanes {
  /** By index of node. */
  readonly #lanes: number[][] = []
  readonly #ofNode = new Map<NodeId, number[]>()

  /** To be called when there are other nodes than before. */
  clear(): void {
    this.#lanes.length = 0
    this.#ofNode.clear()
  }

  /** A decision begins: what is free is free now. */
  begin(nodes: readonly NodeView[], now: number): void {
    if (this.#lanes.length !== nodes.length) this.#lay(nodes)
    nodes.forEach((node, index) => {
      const lanes = this.#lanes[index]
      if (lanes === undefined) return
      lanes.length = 0
      for (let slot = 0; slot < node.freeSlots; slot++) lanes.push(now)
    })
  }

  /** A slot of the node is taken until `endsAt`. */
  add(node: NodeId, endsAt: number): void {
    this.#ofNode.get(node)?.push(endsAt)
  }

  /** All lanes by index of node, the earliest of each node first. They may be changed until the next decision. */
  sorted(): readonly number[][] {
    for (const lanes of this.#lanes) if (lanes.length > 1) lanes.sort(rising)
    return this.#lanes
  }

  #lay(nodes: readonly NodeView[]): void {
    this.clear()
    for (const { id } of nodes) {
      const lanes: number[] = []
      this.#lanes.push(lanes)
      this.#ofNode.set(id, lanes)
    }
  }
}

/** One of a node's lanes is taken until `endsAt`, which is later; they stay in order. */
export function occupy(lanes: number[], lane: number, endsAt: number): void {
  let at = lane
  for (; at + 1 < lanes.length && (lanes[at + 1] ?? Infinity) < endsAt; at++)
    lanes[at] = lanes[at + 1] ?? endsAt
  lanes[at] = endsAt
}

function rising(a: number, b: number): number {
  return a - b
}
