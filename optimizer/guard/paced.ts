/** A policy of a replay that lets whoever paces the replay in between its decisions. It decides as it did. */
import type { TaskId } from '../../base/ids.ts'
import type { TimestampMs } from '../../base/units.ts'
import type {
  AttemptFeedback,
  ClusterView,
  PlacementChoice,
  Policy,
  TaskView
} from '../../scheduler/policy.ts'

/** Called between two pieces of work that are short: it may take its time, or throw to end the work. */
export type Pace = () => void

export function paced(policy: Policy, pace: Pace): Policy {
  return new PacedPolicy(policy, pace)
}

class PacedPolicy implements Policy {
  readonly name: string
  readonly #policy: Policy
  readonly #pace: Pace

  constructor(policy: Policy, pace: Pace) {
    this.name = policy.name
    this.#policy = policy
    this.#pace = pace
  }

  reset(view: ClusterView): void {
    this.#pace()
    this.#policy.reset(view)
  }

  onReady(task: TaskView, view: ClusterView): void {
    this.#pace()
    this.#policy.onReady(task, view)
  }

  onGone(taskId: TaskId, view: ClusterView): void {
    this.#policy.onGone(taskId, view)
  }

  onEnded(feedback: AttemptFeedback, view: ClusterView): void {
    this.#pace()
    this.#policy.onEnded?.(feedback, view)
  }

  onFinished(taskId: TaskId, view: ClusterView): void {
    this.#policy.onFinished?.(taskId, view)
  }

  onNotCopied(taskId: TaskId, view: ClusterView): void {
    this.#policy.onNotCopied?.(taskId, view)
  }

  onNodesChanged(view: ClusterView): void {
    this.#policy.onNodesChanged?.(view)
  }

  next(view: ClusterView): PlacementChoice | undefined {
    this.#pace()
    return this.#policy.next(view)
  }

  wakeAt(view: ClusterView): TimestampMs | undefined {
    return this.#policy.wakeAt?.(view)
  }
}
