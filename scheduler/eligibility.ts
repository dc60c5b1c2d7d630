/**
 * Whether a node may run a task at all, and whether it has room now. One rule for `apply`, the planner and `explain`.
 */
import type { ClusterNode, Labels, NodeOffer, Resources } from './types.ts'

/** What of a task decides where it may run. */
export interface Demands {
  readonly executor: string
  readonly handler: string
  readonly nodeSelector: Labels
}

/** Why a node may never run a task as it stands. */
export type Obstacle = 'executor' | 'handler' | 'labels'

/** The first thing that keeps a task off a node, or undefined. Ignores load. */
export function obstacle(task: Demands, offer: NodeOffer): Obstacle | undefined {
  if (!offer.executors.includes(task.executor)) return 'executor'
  if (task.handler !== '' && !Object.hasOwn(offer.handlers, task.handler)) return 'handler'
  for (const name in task.nodeSelector) {
    if (!Object.hasOwn(offer.labels, name) || offer.labels[name] !== task.nodeSelector[name]) return 'labels'
  }
  return undefined
}

/** Whether the resources fit into what a node offers and has not given away. Names that it does not offer are not limited. */
export function hasResources(resources: Resources, offered: Resources, used: Resources): boolean {
  for (const name in resources) {
    if (!Object.hasOwn(offered, name)) continue
    if ((used[name] ?? 0) + (resources[name] ?? 0) > (offered[name] ?? 0)) return false
  }
  return true
}

/** Whether a node has a slot and the resources for one more attempt. */
export function hasRoom(resources: Resources, node: ClusterNode): boolean {
  return node.placements.size < node.offer.slots && hasResources(resources, node.offer.resources, node.used)
}

/** Whether `apply` accepts placements on a node. */
export function acceptsPlacements(node: ClusterNode): boolean {
  return node.open && node.status === 'active'
}
