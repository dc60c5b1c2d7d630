/**
 * Predicted run times by class and node, kept until completions move them, so that a decision asks the estimator for little.
 *
 * 1. A class is asked about again when one of its attempts ended, and when a quarter more attempts of any class have ended; how nodes
 *    differ for it, only in the latter case, or when 256 more have.
 * 2. One decision asks again about `MOST_ASKED` classes and `MOST_COMPARED` nodes at most; the others keep what they have until later. A
 *    class that is new is asked about at once, but nodes differ for it as they do for others until its turn comes.
 * 3. What a decision needs of a class on a node is worked out once, however many tasks of the class wait.
 * 4. An attempt that runs is looked at again when it is half through, and each time that it is half as old again.
 */
import type { NodeId, TaskId } from '../../../base/ids.ts'
import type { ClusterView, NodeView, TaskView } from '../../../scheduler/policy.ts'
import type { ClassKey, Estimator, Prediction } from '../../estimate.ts'
import { levelOf } from './speculation.ts'

/** Of attempts that have run as long, the share that ends before one that "turns out long". */
const LATE = 0.96
/** The share of attempts that must have ended since an answer to ask again, and their number that is enough to compare nodes. */
const NEWS = 1 / 4
const MOST_NEWS_OF_NODES = 256
/** An answer takes the estimator 20 µs or so, one for a further node 3 µs. */
const MOST_ASKED = 6
const MOST_COMPARED = 24
/** Classes that are kept. */
const MOST_CLASSES = 4096

/** What a class takes on a node, in relation to a typical one, and ended attempts when that was asked for. */
interface Factor {
  readonly value: number
  readonly at: number
}

/** Predictions of one class. */
interface Times {
  readonly factors: Map<NodeId, Factor>
  /** Ended attempts when it was asked for; −1 when it is to be asked for again. */
  askedAt: number
  /** 0 before it was asked for. */
  typicalMs: number
  /** The decision that `row` and `referenceMs` belong to. */
  decision: number
  /** Mean run times by index of node; NaN where none was needed yet. */
  row: Float64Array
  /** What nodes are compared with; 0 before it was asked for. */
  referenceMs: number
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
  /** The same by task that is not over, as far as it was asked for. */
  readonly #byTask = new Map<TaskId, Times>()
  /** The latest factors of any class. */
  readonly #usual = new Map<NodeId, number>()
  #ended = 0
  #decision = 0
  /** Rule 2: what is left for this decision. */
  #asks = MOST_ASKED
  #comparisons = MOST_COMPARED

  constructor(estimator: Estimator) {
    this.#estimator = estimator
  }

  /** A decision begins. */
  decide(): void {
    this.#decision++
    this.#asks = MOST_ASKED
    this.#comparisons = MOST_COMPARED
  }

  /** The task will not be asked about again. */
  over(id: TaskId): void {
    this.#byTask.delete(id)
  }

  /** Forgets all when there are too many classes. */
  limit(): void {
    if (this.#times.size <= MOST_CLASSES) return
    this.#times.clear()
    this.#byTask.clear()
  }

  /** All predictions have moved: what is known of classes is asked for anew. */
  anew(): void {
    this.#byTask.clear()
    this.#times.clear()
  }

  nodesChanged(): void {
    this.#byTask.clear()
    this.#times.clear()
    this.#usual.clear()
  }

  ended(task: TaskView): void {
    this.#ended++
    const times = this.#times.get(this.#estimator.classOf(task))
    if (times !== undefined) times.askedAt = -1
  }

  /** Mean run times on nodes by their index, as far as this decision has asked for them (`fill` asks); NaN elsewhere. */
  row(task: TaskView, nodes: number): Float64Array {
    const times = this.#current(this.#of(task))
    if (times.row.length !== nodes) times.row = new Float64Array(nodes).fill(NaN)
    return times.row
  }

  /** Works out an entry of the task's row. */
  fill(row: Float64Array, index: number, task: TaskView, node: NodeView): number {
    const ms = this.onNode(task, node)
    row[index] = ms
    return ms
  }

  /** Rule 3: what belongs to an earlier decision is dropped. */
  #current(times: Times): Times {
    if (times.decision === this.#decision) return times
    times.decision = this.#decision
    times.row.fill(NaN)
    times.referenceMs = 0
    return times
  }

  /** The mean run time on the node, in milliseconds. */
  onNode(task: TaskView, node: NodeView): number {
    const times = this.#of(task)
    const typicalMs = this.#typicalOf(times, task)
    const known = times.factors.get(node.id)
    if (known !== undefined && (this.#comparisons === 0 || !this.#isOld(known.at, MOST_NEWS_OF_NODES)))
      return typicalMs * known.value
    const usual = this.#comparisons > 0 ? undefined : this.#usual.get(node.id)
    if (usual !== undefined) return typicalMs * usual
    return typicalMs * this.#compare(task, node, times)
  }

  #compare(task: TaskView, node: NodeView, times: Times): number {
    if (this.#comparisons > 0) this.#comparisons--
    const current = this.#current(times)
    if (current.referenceMs === 0) current.referenceMs = this.#predict(task).meanMs
    const value = this.#predict(task, node).meanMs / current.referenceMs
    times.factors.set(node.id, { value, at: this.#ended })
    this.#usual.set(node.id, value)
    return value
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
    const leftMs = Math.max(1, this.#predict(task, view.node(running.node)).remainingMs(ageMs))
    running.endsAt = view.now + leftMs
    running.lookAt = Math.min(running.endsAt, view.now + Math.max(leftMs, ageMs) / 2)
    running.lateAt = 0
    return running.endsAt
  }

  /** When the attempt ends if it turns out long: `LATE` of those that have run as long end sooner. */
  lateEndOf(task: TaskView, running: Running, view: ClusterView): number {
    const endsAt = this.endOf(task, running, view)
    if (running.lateAt > 0) return running.lateAt
    const prediction = this.#predict(task, view.node(running.node))
    const level = levelOf(prediction, view.now - running.at)
    running.lateAt = Math.max(endsAt, running.at + prediction.quantileMs(level + (1 - level) * LATE))
    return running.lateAt
  }

  /**
   * By class alone: ends are expected values, and a mean is moved far by the little weight that a mixture gives to what is unlike the class,
   * a tenant's other tasks, which may be a thousand times as long.
   */
  #predict(task: TaskView, node?: NodeView): Prediction {
    const estimator = this.#estimator
    return estimator.predictByClass?.(task, node) ?? estimator.predict(task, node)
  }

  #typicalOf(times: Times, task: TaskView): number {
    const isNew = times.typicalMs === 0
    if (!isNew && (this.#asks === 0 || !this.#isOld(times.askedAt, Infinity))) return times.typicalMs
    if (!isNew) this.#asks--
    times.askedAt = this.#ended
    times.typicalMs = this.#predict(task).meanMs
    return times.typicalMs
  }

  /** Rule 1. */
  #isOld(since: number, most: number): boolean {
    return since < 0 || this.#ended > since + Math.min(most, since * NEWS)
  }

  #of(task: TaskView): Times {
    const known = this.#byTask.get(task.id)
    if (known !== undefined) return known
    const key = this.#estimator.classOf(task)
    let times = this.#times.get(key)
    if (times === undefined) {
      times = {
        factors: new Map(),
        askedAt: -1,
        typicalMs: 0,
        decision: -1,
        row: new Float64Array(0),
        referenceMs: 0
      }
      this.#times.set(key, times)
    }
    this.#byTask.set(task.id, times)
    return times
  }
}
