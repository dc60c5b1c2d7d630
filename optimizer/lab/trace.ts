/**
 * What every trace format becomes before it is simulated: for each seed an instance, that is a workload, the cluster it
 * runs on, and how long attempts take there.
 */
import type { TaskId } from '../../base/ids.ts'
import type { NodeSpeed } from '../policies/predictors.ts'
import type { Outage, RunModel, SimNode, Workload } from '../sim/types.ts'

export type Family = 'independent' | 'dags' | 'one-dag' | 'packing'

/**
 * Which units are judged: single tasks, groups (a job of many tasks counts once, from first submission to last end), or `dag`: groups
 * whose tasks need one another, and all other tasks by themselves.
 */
export type Unit = 'task' | 'group' | 'dag'

/** One simulation's input. Everything in it is shared by all policies (common random numbers). */
export interface Instance {
  readonly workload: Workload
  readonly cluster: readonly SimNode[]
  readonly outages: readonly Outage[]
  /** A fresh run model for one run. */
  readonly model: () => RunModel
  /** A task's run time on a typical node, for clairvoyant policies only. */
  readonly truthMs: (task: TaskId) => number
  /** The mean run time of the task's class, for policies that are told class means in advance. */
  readonly classMeanMs: (task: TaskId) => number
  /** How fast a node runs a task, relative to a typical one; known to all who ask for a prediction on a node. */
  readonly speedOf: NodeSpeed
  /**
   * What each unit would take from its submission with nothing in its way, at the index of its (first) task, in milliseconds; see
   * `ideal.ts`. Of an SWF job that is its run time.
   */
  readonly idealMs: Float64Array
  /** No schedule ends earlier: max(critical path, work ÷ speed), in milliseconds after the first submission. */
  readonly makespanBoundMs: number
  /** Work ÷ (capacity × span of submissions). */
  readonly load: number
  /** What this is a sample of, the same for all seeds: a window of a log, a workflow. Absent where the seed alone makes the instance. */
  readonly sample?: string
  /** What whoever reads its figures must know. */
  readonly notes?: readonly string[]
}

/** What a trace does not contain of its source. */
export interface LeftOut {
  readonly tasks: number
  /** How many there were. */
  readonly of: number
  /** Share of the recorded run time, in [0, 1]. */
  readonly workShare: number
  readonly why: string
}

/** A trace, ready to be made into instances. */
export interface Trace {
  readonly name: string
  readonly family: Family
  /** What is judged. Default: groups in the families of DAGs, tasks elsewhere. */
  readonly unit?: Unit
  /** Below this run time a bounded slowdown does not count less, in milliseconds. */
  readonly slowdownBoundMs: number
  /** The load of `instance` when none is asked for; undefined when the trace's own capacity is used. */
  readonly defaultLoad: number | undefined
  /** Whether a load can be asked for. */
  readonly loadIsUsed: boolean
  readonly defaultSeeds: number
  /**
   * Whether the instances of a seed follow each other on one cluster, so that what was learned in one is known in the next. The first
   * tenth of them is the cold start.
   */
  readonly sequential?: boolean
  /** How many neighbouring samples have tasks in common, a sample itself included. Default 1: none have. */
  readonly overlap?: number
  /** What of the source is not in any instance; absent when all of it is. */
  readonly leftOut?: LeftOut
  /** What whoever reads the figures must know. */
  readonly notes?: readonly string[]
  /** The instances of this seed (0, 1, …), mostly one; `load` sets the capacity (or the arrival rate) if given. */
  instances(seed: number, load: number | undefined): Iterable<Instance>
}
