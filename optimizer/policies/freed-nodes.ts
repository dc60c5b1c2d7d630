/** Where a shape that fitted nowhere is worth another try: nodes that were freed since, in order of their numbers. */
import type { NodeId } from '../../base/ids.ts'
import type { ClusterView, NodeView } from '../../scheduler/policy.ts'

/**
 * The nodes that `freed` names from `tried` on; all nodes when those are more than half of them, or `tried` is negative. Names of nodes that
 * are gone are passed over.
 */
export function freedSince(freed: readonly NodeId[], tried: number, view: ClusterView): readonly NodeView[] {
  const all = view.nodes()
  if (tried < 0) return all
  // What most questions are about: one node was freed since.
  if (tried === freed.length - 1 && all.length > 1) {
    const node = view.node(freed[tried] as NodeId)
    return node === undefined ? [] : [node]
  }
  const since = new Set<NodeId>()
  for (let at = tried; at < freed.length; at++) {
    since.add(freed[at] as NodeId)
    if (since.size * 2 > all.length) return all
  }
  const nodes: NodeView[] = []
  for (const id of since) {
    const node = view.node(id)
    if (node !== undefined) nodes.push(node)
  }
  return nodes.sort((a, b) => a.id - b.id)
}
