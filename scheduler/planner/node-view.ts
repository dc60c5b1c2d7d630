/** A node as policies see it: what state says, corrected by what this leader has in flight. */
import type { NodeId } from '../../base/ids.ts'
import type { NodeView } from '../policy.ts'
import type { ClusterNode, Labels, Resources } from '../types.ts'

export class PlannedNode implements NodeView {
  readonly node: ClusterNode
  /** Attempts in flight onto the node, less those whose completion is in flight. */
  private slotsInFlight = 0
  private readonly resourcesInFlight: Record<string, number> = {}

  constructor(node: ClusterNode) {
    this.node = node
  }

  get id(): NodeId {
    return this.node.id
  }
  get labels(): Labels {
    return this.node.offer.labels
  }
  get zone(): string {
    return this.node.offer.zone
  }
  /** Until nodes measure themselves: the `profile` label, else what they offer. */
  get profile(): string {
    const { labels, resources, slots } = this.node.offer
    return labels['profile'] ?? `${slots}/${resources['cpu'] ?? 0}/${resources['memory'] ?? 0}`
  }
  get slots(): number {
    return this.node.offer.slots
  }
  get freeSlots(): number {
    return Math.max(0, this.node.offer.slots - this.node.placements.size - this.slotsInFlight)
  }
  get resources(): Resources {
    return this.node.offer.resources
  }

  free(resource: string): number {
    const { resources } = this.node.offer
    if (!Object.hasOwn(resources, resource)) return Infinity
    const used = (this.node.used[resource] ?? 0) + (this.resourcesInFlight[resource] ?? 0)
    return (resources[resource] ?? 0) - used
  }

  /** Whether one more attempt with these demands has room. */
  fits(resources: Resources): boolean {
    if (this.freeSlots <= 0) return false
    for (const name in resources) if ((resources[name] ?? 0) > this.free(name)) return false
    return true
  }

  /** Counts an attempt in flight: 1 for one more, -1 for one less. */
  shift(resources: Resources, by: 1 | -1): void {
    this.slotsInFlight += by
    for (const name in resources) {
      this.resourcesInFlight[name] = (this.resourcesInFlight[name] ?? 0) + by * (resources[name] ?? 0)
    }
  }
}
