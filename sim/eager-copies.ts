/**
 * A policy that copies whatever may be copied as soon as a slot is free: far more than any policy would, so that copies
 * meet every fault. Places like `least-loaded` otherwise.
 */
import type { NodeId, TaskId } from '../base/ids.ts'
import { timestampMs } from '../base/units.ts'
import type { ClusterView, PlacementChoice, Policy, PolicyFactory } from '../scheduler/policy.ts'
import { policyFactory } from '../scheduler/policies/index.ts'

/** Time between two looks at what runs, when nothing else asks. */
const LOOK_EVERY_MS = 50

export const EAGER_COPIES = 'eager-copies'

export const eagerCopies: PolicyFactory = (rng) => {
  const inner = policyFactory('least-loaded')(rng)
  const policy: Policy = {
    ...inner,
    name: EAGER_COPIES,
    next: (view) => inner.next(view) ?? copyOf(view),
    wakeAt: (view) => timestampMs(view.now + LOOK_EVERY_MS)
  }
  return policy
}

/** The first running task that has one attempt and fits on another node. */
function copyOf(view: ClusterView): PlacementChoice | undefined {
  const nodes = new Map<TaskId, NodeId[]>()
  for (const { taskId, node } of view.running()) nodes.set(taskId, [...(nodes.get(taskId) ?? []), node])
  for (const [taskId, [home, ...others]] of nodes) {
    const task = view.task(taskId)
    if (task?.idempotent !== true || others.length > 0) continue
    const node = view
      .nodes()
      .find((one) => one.id !== home && view.eligible(task, one) && view.fits(task, one))
    if (node !== undefined) return { taskId, node: node.id }
  }
  return undefined
}
