/** What the composite policy asks of whoever orders tasks that belong together (DAGs). Two answers: `groups.ts` and `dag-finish.ts`. */
import type { NodeId, TaskId } from '../../../base/ids.ts'
import type { TimestampMs } from '../../../base/units.ts'
import type { AttemptFeedback, ClusterView, PlacementChoice, TaskView } from '../../../scheduler/policy.ts'
import type { Candidate } from './independent-queue.ts'

export interface GroupQueue {
  /** Tasks that wait and that some node could run. */
  readonly waiting: number
  /** Forgets all tasks. The caller then tells of those that run (`resume`) and wait (`add`). */
  reset(view: ClusterView): void
  /** An attempt runs already. */
  resume(task: TaskView, node: NodeId, placedAt: number, view: ClusterView): void
  add(task: TaskView, view: ClusterView): void
  /** The task waits no longer: `node` took it, or without one it was withdrawn. */
  gone(id: TaskId, node: NodeId | undefined, view: ClusterView): void
  /** An attempt of any task is over: its node has room. The estimator has heard of it. */
  ended(feedback: AttemptFeedback, view: ClusterView): void
  /** A task will not run again. */
  finished(id: TaskId, view: ClusterView): void
  nodesChanged(view: ClusterView): void
  /** All predictions have moved at once: the estimator's word of before is void. */
  anew(): void
  /** The best task that should be placed now, and where; `areaMs` is what its group has left. */
  peek(view: ClusterView): Candidate | undefined
  /** When time alone is a reason to ask again while tasks wait; undefined for when something changes. */
  wakeAt?(view: ClusterView): TimestampMs | undefined
  /** A task that runs and had better run on another node too. */
  copy?(view: ClusterView): PlacementChoice | undefined
  /** Somebody else had the task copied onto the node, at this time. */
  copied?(copy: PlacementChoice, at: number, view: ClusterView): void
  /** No copy of the task was made after all. */
  notCopied?(id: TaskId): void
}
