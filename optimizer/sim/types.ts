/**
 * What the discrete-event cluster simulator takes and gives.
 *
 * A workload is a list of tasks with numbers 1…n in order of submission; a cluster is a list of nodes; a run model says
 * how long an attempt takes. All three are immutable or made afresh for each run, so one workload serves many policies
 * (common random numbers).
 *
 * A machine that runs rigid jobs over many processors (the logs of the Parallel Workloads Archive) is modelled as ONE
 * node, the pool: `slots` = processors, resource `cpu` = 1000 × processors, and a job of n processors asks for
 * `cpu: 1000 n`. The archive's logs say nothing about topology either.
 */
import type { NodeId, TaskId } from '../../base/ids.ts'
import type { AttemptEnd } from '../../scheduler/events.ts'
import type { Labels, Resources } from '../../scheduler/types.ts'

/** A task of a workload: what its user says of it, and what only the simulator knows (`workMs`, `kind`). */
export interface SimTask {
  /** Its place in the workload, from 1. */
  readonly id: TaskId
  readonly name: string
  readonly tenant: string
  readonly priority: number
  readonly resources: Resources
  readonly nodeSelector: Labels
  readonly inputBytes: number
  /** What its user says it takes at most, in milliseconds; 0 when unsaid. */
  readonly limitMs: number
  /** Milliseconds since the start of the workload. */
  readonly submittedAt: number
  readonly idempotent: boolean
  /** Tasks that must succeed first. Tasks that share the very same array share one counter: a stage's barrier. */
  readonly needs: readonly TaskId[]
  /** Bytes that it reads from each of `needs`, in their order; empty for none. */
  readonly transferBytes: readonly number[]
  readonly group: TaskId
  /** Run time on a node of speed 1 with nothing in its way. */
  readonly workMs: number
  /** What its speed depends on (`cpu`, `memory`, `disk`, …): a key of `SimNode.speeds`. */
  readonly kind: string
  /** Largest resident size; 0 when unknown. */
  readonly peakMemoryBytes: number
}

/** Tasks with their dependency structure worked out; made by `compileWorkload`. */
export interface Workload {
  readonly name: string
  readonly tasks: readonly SimTask[]
  /** Tasks that wait for this one, by task index (id − 1). Tasks with equal dependents share the array. */
  readonly dependents: readonly (readonly TaskId[])[]
  /** The barriers that each task's success lowers, by task index. */
  readonly opens: readonly (readonly number[])[]
  /** The tasks behind each barrier. */
  readonly barriers: readonly Barrier[]
  /** The barrier that each task waits behind, by task index; −1 for none. */
  readonly barrierOf: Int32Array
}

/** Tasks that wait for the same set of tasks. */
export interface Barrier {
  readonly needs: readonly TaskId[]
  readonly members: readonly TaskId[]
}

export interface SimNode {
  readonly id: NodeId
  readonly labels: Labels
  readonly zone: string
  readonly profile: string
  readonly slots: number
  /** Capacity by resource name; an absent resource is not limited. */
  readonly resources: Resources
  /** Speed by a task's `kind`; 1 for a kind that is absent. */
  readonly speeds: Readonly<Record<string, number>>
}

/** What becomes of an attempt, drawn when it starts. Filled in by a `RunModel`. */
export interface AttemptPlan {
  /** Time from placement to the start of the run, with the slot held: transfers, start-up, moving an executor. */
  setupMs: number
  runMs: number
  succeeds: boolean
}

/** How long attempts take. Made afresh for each run; may keep state of its own (what a node ran last). */
export interface RunModel {
  start(task: SimTask, node: SimNode, context: StartContext, plan: AttemptPlan): void
  /** The node has given its slot back. */
  ended?(task: SimTask, node: SimNode, now: number): void
}

export interface StartContext {
  readonly now: number
  /** From 1; speculative copies count on. */
  readonly attempt: number
  /** Where a finished task ran last; undefined before. */
  nodeOf(task: TaskId): NodeId | undefined
}

/** A node's absence. Its attempts end `lost`. */
export interface Outage {
  readonly node: NodeId
  readonly from: number
  /** End of the outage; Infinity for good. */
  readonly to: number
}

/** One attempt as it happened, for Gantt charts and utilisation. */
export interface AttemptRecord {
  readonly task: TaskId
  readonly node: NodeId
  readonly attempt: number
  readonly placedAt: number
  readonly startedAt: number
  readonly endedAt: number
  readonly end: AttemptEnd
}

export interface SimOptions {
  readonly model: RunModel
  readonly outages?: readonly Outage[]
  /** Attempts before a failing task is given up. Default 10; attempts that end `lost` do not count. */
  readonly maxAttempts?: number
  /** Wait between a failed attempt and the next. Default 1 s. */
  readonly retryDelayMs?: number
  /** Whether `attempts` is filled in. Default false. */
  readonly record?: boolean
  /** A clock in microseconds, to measure decisions; absent in pure use. */
  readonly clockUs?: () => number
  /** Told the number of finished tasks every 1,000. */
  readonly onProgress?: (finished: number, total: number) => void
}

/** What happened, by task index (id − 1). Times in milliseconds. */
export interface SimResult {
  readonly workload: Workload
  readonly policy: string
  readonly readyAt: Float64Array
  /** Start of the run of the attempt that ended it; −1 when it never ran. */
  readonly startedAt: Float64Array
  /** −1 for a task that never finished (its dependency failed for good). */
  readonly finishedAt: Float64Array
  /** The node of the attempt that ended it; 0 for none. */
  readonly node: Int32Array
  readonly succeeded: Uint8Array
  /** Attempts of all tasks. */
  readonly attemptCount: number
  /** Attempts of each task. */
  readonly attemptsOf: Int32Array
  /** Slot time of attempts that did not succeed. */
  readonly wastedMs: number
  /** Slot time of all attempts. */
  readonly busyMs: number
  /** The same, weighted by the cores that each attempt held (1 when its task does not say). */
  readonly busyCoreMs: number
  readonly endedAt: number
  /** Duration of each decision, that is each call of `next`, whether it placed something or not, in microseconds; empty without a clock. */
  readonly decisionUs: Float64Array
  /** All of the policy's time: decisions and hooks, in microseconds; 0 without a clock. */
  readonly policyUs: number
  readonly attempts: readonly AttemptRecord[]
}
