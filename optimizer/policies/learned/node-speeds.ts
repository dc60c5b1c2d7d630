/**
 * How fast nodes are, as far as a choice among them goes by it.
 *
 * 1. Nodes of one hardware class count as equally fast until one is *convincingly* slower than the fastest of them: by `LEAST_SLOWER`, and
 *    beyond what is uncertain of both. A smaller difference is no reason to leave a node idle. It may be noise; or it is the load that the
 *    node had, since attempts that share a machine slow each other down by as much, and so would move on with the load that follows it.
 * 2. Hardware classes differ for good, and not for all tasks alike, so they are compared by what is predicted of the task, one prediction
 *    a class. Whatever else a decision needs of a node is a look-up.
 */
import type { NodeView, TaskView } from '../../../scheduler/policy.ts'
import type { Estimator } from '../../estimate.ts'

/** About what machines of one class differ by anyway, two standard deviations of `node-factors.ts`' prior. */
const LEAST_SLOWER_LN = Math.log(1.25)
/** Standard deviations that either node is given the benefit of: 2.1 of the difference where both are known as well. */
const BENEFIT = 1.5
/** Classes this much slower, relatively, than the fastest with room still count as equally fast. */
const SAME_SPEED = 0.05

/** Those that no other of their hardware class is convincingly faster than (rule 1). At least one of each class. */
export function quickOf(nodes: readonly NodeView[], estimator: Estimator): readonly NodeView[] {
  if (nodes.length < 2 || estimator.lnNodeFactor === undefined) return nodes
  const limits = new Map<string, number>()
  const worstLn = new Float64Array(nodes.length)
  for (let index = 0; index < nodes.length; index++) {
    const node = nodes[index] as NodeView
    const ln = estimator.lnNodeFactor(node, BENEFIT)
    worstLn[index] = ln
    if (ln + LEAST_SLOWER_LN < (limits.get(node.profile) ?? Infinity))
      limits.set(node.profile, ln + LEAST_SLOWER_LN)
  }
  const quick = nodes.filter((node, index) => {
    const limit = limits.get(node.profile) ?? Infinity
    // Most are quick even at their worst.
    return (worstLn[index] ?? 0) <= limit || (estimator.lnNodeFactor?.(node, -BENEFIT) ?? 0) <= limit
  })
  return comparable(quick, nodes)
}

/** Those that are expected to be as fast for the task as any. */
export function fastestOf(
  task: TaskView,
  nodes: readonly NodeView[],
  estimator: Estimator
): readonly NodeView[] {
  const quick = quickOf(nodes, estimator)
  const profile = quick[0]?.profile
  if (quick.every((node) => node.profile === profile)) return quick
  const expectedMs = new Map<string, number>()
  let shortest = Infinity
  for (const node of quick) {
    if (expectedMs.has(node.profile)) continue
    // Of the class, not of whichever of its nodes comes first.
    const ms = estimator.predict(task, node).medianMs / Math.exp(estimator.lnNodeFactor?.(node, 0) ?? 0)
    expectedMs.set(node.profile, ms)
    shortest = Math.min(shortest, ms)
  }
  const fastest = quick.filter(
    (node) => (expectedMs.get(node.profile) ?? Infinity) <= shortest * (1 + SAME_SPEED)
  )
  return comparable(fastest, quick)
}

/** None is faster than another where predictions are no numbers: that is no reason to leave them all idle. */
function comparable(faster: readonly NodeView[], nodes: readonly NodeView[]): readonly NodeView[] {
  return faster.length > 0 ? faster : nodes
}

/** How many times as long the task takes on the node as on a typical one. */
export function slownessOf(
  task: TaskView,
  node: NodeView | undefined,
  estimator: Estimator,
  isMixed: boolean
): number {
  if (node === undefined) return 1
  if (!isMixed) return Math.exp(estimator.lnNodeFactor?.(node, 0) ?? 0)
  const typicalMs = estimator.predict(task).medianMs
  return estimator.predict(task, node).medianMs / typicalMs
}
