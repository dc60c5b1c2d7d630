/**
 * The contract between the planner and placement policies. The leader's planner and the discrete-event simulator
 * (`optimizer/sim/`) both implement `ClusterView`, so the very same `Policy` objects run in production and in the lab.
 *
 * 1. A policy proposes; `apply` decides. A placement that no longer holds is refused there and costs a slot's moment.
 * 2. A policy is incremental: it hears every change through `on…` and keeps its own queues; `next` must not scan all
 *    tasks. After `reset` it has heard of everything that the view shows.
 * 3. The planner applies each returned placement to the view (slots, resources, `task-placed`) before it calls `next`
 *    again, so a policy never plans the same task or slot twice.
 * 4. A policy draws chance only from the `Rng` that it was made with, and time only from `view.now`.
 */
import type { NodeId, TaskId } from '../base/ids.ts'
import type { Rng } from '../base/prng.ts'
import type { TimestampMs } from '../base/units.ts'
import type { AttemptEnd } from './events.ts'
import type { Labels, Resources } from './types.ts'

/** A task as policies see it. Valid for the duration of one call. */
export interface TaskView {
  readonly id: TaskId
  /** The class: tasks of one name are expected to behave alike. */
  readonly name: string
  readonly tenant: string
  readonly executor: string
  readonly handler: string
  readonly priority: number
  readonly resources: Resources
  readonly nodeSelector: Labels
  /** Encoded size of its input. */
  readonly inputBytes: number
  /** What the user says an attempt takes at most, in milliseconds; 0 when unsaid. */
  readonly limitMs: number
  readonly submittedAt: TimestampMs
  readonly readyAt: TimestampMs
  /** Attempts begun so far. */
  readonly attempts: number
  /** Whether it may be copied while it runs: declared so, and not at-most-once. */
  readonly idempotent: boolean
  /** When its user wants it to have ended, in state time; 0 for no such wish. */
  readonly deadlineAt: TimestampMs
  /** The node of the last failed attempt, and why it failed: `NODE_LOST` and the like blame the node, others the task. */
  readonly lastFailedOn: NodeId | undefined
  readonly lastErrorCode: string | undefined
  readonly needs: readonly TaskId[]
  readonly dependents: readonly TaskId[]
  /** Tasks submitted together form a group (a DAG, an array); the id of its first task. */
  readonly group: TaskId
}

/** A live attempt as policies see it. A task that was copied has two. */
export interface RunningView {
  readonly taskId: TaskId
  readonly node: NodeId
  readonly placedAt: TimestampMs
}

/** A node that may be given work, with what the plan has already spent of it. */
export interface NodeView {
  readonly id: NodeId
  readonly labels: Labels
  readonly zone: string
  /** Hardware class, for estimators: nodes of one profile are expected to run alike. */
  readonly profile: string
  readonly slots: number
  readonly freeSlots: number
  /** Capacity by resource name. A resource that is absent is not limited. */
  readonly resources: Resources
  /** What is left of a resource; Infinity when it is not limited. */
  free(resource: string): number
}

export interface ClusterView {
  /** State time, in milliseconds. */
  readonly now: TimestampMs
  /** Nodes that accept placements now, by rising id. The array is reused: do not keep it. */
  nodes(): readonly NodeView[]
  node(id: NodeId): NodeView | undefined
  task(id: TaskId): TaskView | undefined
  /** Live attempts that were not told to stop, in no promised order. */
  running(): Iterable<RunningView>
  /** Ready tasks by rising id: for `reset` and rare scans, not for every decision. */
  ready(): Iterable<TaskView>
  /** Their ids in no promised order, at no cost for those that are not asked for. A walk may go on in later calls, as tasks come and go. */
  readyIds(): Iterable<TaskId>
  /** Whether the node may ever run the task: executor, handler, selector. Ignores load. */
  eligible(task: TaskView, node: NodeView): boolean
  /** Whether the node has a slot and the resources for the task now. */
  fits(task: TaskView, node: NodeView): boolean
}

/**
 * Where a ready task is to run, or where an idempotent running one is to be copied: a second attempt on another node, of
 * which the first success counts. A task has at most one copy at a time.
 */
export interface PlacementChoice {
  readonly taskId: TaskId
  readonly node: NodeId
}

/** What a policy hears when an attempt is over: its only source of durations (feedback comes at completion). */
export interface AttemptFeedback {
  readonly task: TaskView
  readonly node: NodeId
  readonly end: AttemptEnd
  /** Run time in milliseconds; 0 when unknown. */
  readonly runMs: number
  readonly peakMemoryBytes: number
}

/** Chooses the next placement. Made by a `PolicyFactory`; one object serves one leader's reign. */
export interface Policy {
  readonly name: string
  /** Forget everything and read the view: a reign begins, or the policy was switched to. */
  reset(view: ClusterView): void
  /** A task became ready (again). */
  onReady(task: TaskView, view: ClusterView): void
  /** A task is no longer ready because it was placed (by this policy) or withdrawn. */
  onGone(taskId: TaskId, view: ClusterView): void
  /** An attempt is over; its slot is free in the view. Of one that lost against its sibling it may come after `onFinished`. */
  onEnded?(feedback: AttemptFeedback, view: ClusterView): void
  /** A task will not run again. */
  onFinished?(taskId: TaskId, view: ClusterView): void
  /** The copy that was chosen is not made, and another may be: it came before its attempt was placed, or was refused. */
  onNotCopied?(taskId: TaskId, view: ClusterView): void
  /** A node appeared, vanished or changed what it offers. */
  onNodesChanged?(view: ClusterView): void
  /** The next placement, or undefined when nothing can or should be placed now. */
  next(view: ClusterView): PlacementChoice | undefined
  /** When to ask again even if nothing changes, in state time; undefined for never. */
  wakeAt?(view: ClusterView): TimestampMs | undefined
}

/** Makes a policy for one reign. `Rng` is its only source of chance. */
export type PolicyFactory = (rng: Rng) => Policy
