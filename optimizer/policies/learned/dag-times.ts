/**
 * Predicted run times by class and node, kept until completions move them, so that a decision asks the estimator for little.
 *
 * 1. A class is asked about again when one of its attempts ended, and all are when `forget` is called; how nodes differ, when a
 *    quarter more attempts have ended, at most 256.
 * 2. An attempt that runs is looked at again when it is half through, and each time that it is half as old again.
 */
import type { NodeId, TaskId } from '../../../base/ids.ts'
import type { ClusterView, NodeView, TaskView } from '../../../scheduler/policy.ts'
import type { ClassKey, Estimator } from '../../estimate.ts'
import { levelOf } from './speculation.ts'

/** Of attempts that have run as long, the share that ends before one that "turns out long". */
const LATE = 0.96
/** How many of the ended attempts are news of how nodes differ, and at most. */
const NEWS_OF_NODES = 1 / 4
const MOST_NEWS_OF_NODES = 256

/** Predictions of one class. */
interface Times {
  /** What the class takes on a node, in relation to a typical one. */
  readonly factors: Map<NodeId, number>
  /** 0 when it is to be asked for. */
  typicalMs: number
}

/** An attempt, and when it is expected to end. */
export interface Running {
  readonly node: NodeId
  readonly at: number
  endsAt: number
  /** When it ends if it turns out long; 0 when that is to be worked out. */
  lateAt: number
  /** When to predict its end again. */
  lookAt: number
}

export class DagTimes {
  readonly #estimator: Estimator
  readonly #times = new Map<ClassKey, Times>()
  /** The same by task, as far as it was asked for since `forget`. */
  readonly #byTask = new Map<TaskId, Times>()
  #ended = 0
  /** Ended attempts at which nodes are compared anew. */
  #compareAt = 0

  constructor(estimator: Estimator) {
    this.#estimator = estimator
  }

  forget(): void {
    this.#byTask.clear()
    if (this.#ended >= this.#compareAt) {
      this.#compareAt = this.#ended + Math.min(MOST_NEWS_OF_NODES, this.#ended * NEWS_OF_NODES)
      this.#times.clear()
    } else for (const times of this.#times.values()) times.typicalMs = 0
  }

  nodesChanged(): void {
    this.#byTask.clear()
    this.#times.clear()
  }

  ended(task: TaskView): void {
    this.#ended++
    const times = this.#times.get(this.#estimator.classOf(task))
    if (times !== undefined) times.typicalMs = 0
  }

  /** The mean run time on the node, in milliseconds. */
  onNode(task: TaskView, node: NodeView): number {
    const times = this.#of(task)
    const typicalMs = this.#typicalOf(times, task)
    let factor = times.factors.get(node.id)
    if (factor === undefined) {
      factor = this.#estimator.predict(task, node).meanMs / typicalMs
      times.factors.set(node.id, factor)
    }
    return typicalMs * factor
  }

  /** The mean run time on a typical node, in milliseconds. */
  typical(task: TaskView): number {
    return this.#typicalOf(this.#of(task), task)
  }

  /** An attempt that began at `at`. */
  begin(task: TaskView, node: NodeView | undefined, id: NodeId, at: number): Running {
    const ms = node === undefined ? this.typical(task) : this.onNode(task, node)
    return { node: id, at, endsAt: at + ms, lateAt: 0, lookAt: at + ms / 2 }
  }

  /** When the attempt is expected to end. One that outlives its prediction may end at any moment, but not now. */
  endOf(task: TaskView, running: Running, view: ClusterView): number {
    if (view.now < running.lookAt) return running.endsAt
    const ageMs = view.now - running.at
    const leftMs = Math.max(1, this.#estimator.predict(task, view.node(running.node)).remainingMs(ageMs))
    running.endsAt = view.now + leftMs
    running.lookAt = Math.min(running.endsAt, view.now + Math.max(leftMs, ageMs) / 2)
    running.lateAt = 0
    return running.endsAt
  }

  /** When the attempt ends if it turns out long: `LATE` of those that have run as long end sooner. */
  lateEndOf(task: TaskView, running: Running, view: ClusterView): number {
    const endsAt = this.endOf(task, running, view)
    if (running.lateAt > 0) return running.lateAt
    const prediction = this.#estimator.predict(task, view.node(running.node))
    const level = levelOf(prediction, view.now - running.at)
    running.lateAt = Math.max(endsAt, running.at + prediction.quantileMs(level + (1 - level) * LATE))
    return running.lateAt
  }

  #typicalOf(times: Times, task: TaskView): number {
    if (times.typicalMs === 0) times.typicalMs = this.#estimator.predict(task).meanMs
    return times.typicalMs
  }

  #of(task: TaskView): Times {
    const known = this.#byTask.get(task.id)
    if (known !== undefined) return known
    const key = this.#estimator.classOf(task)
    let times = this.#times.get(key)
    if (times === undefined) {
      times = { factors: new Map(), typicalMs: 0 }
      this.#times.set(key, times)
    }
    this.#byTask.set(task.id, times)
    return times
  }
}
