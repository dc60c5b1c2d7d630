/**
 * Predicted run times by class and node, kept until completions move them, so that a decision asks the estimator for little.
 *
 * 1. A class is asked about again when one of its attempts ended, and when a quarter more attempts of any class have ended; how nodes
 *    differ for it, only in the latter case, or when 256 more have.
 * 2. One decision asks again about `MOST_ASKED` classes and `MOST_COMPARED` nodes at most; the others keep what they have until later. A
 *    class that is new is asked about at once, but nodes differ for it as they do for others until its turn comes.
 * 3. What a class takes on each node is kept by class, in one row, however many of its tasks wait and decisions are made.
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
/** In milliseconds, and in relation to a typical node: an estimator gone wrong may say Infinity, and no choice is sooner than never. */
const LONGEST_MS = 1e15
const SLOWEST = 1e6
/** Classes that are kept. */
const MOST_CLASSES = 4096

/** Predictions of one class. */
interface Times {
  /** Ended attempts when it was asked for; −1 when it is to be asked for again. */
  askedAt: number
  /** The mean run time on a typical node; 0 before it was asked for. */
  typicalMs: number
  /** What each node takes in relation to a typical one, by its index. */
  readonly factors: Float64Array
  /** Ended attempts when that was asked for; −1 where it is as for other classes. */
  readonly comparedAt: Float64Array
  /** When more attempts have ended, some of that is old. */
  freshUntil: number
  /** The smallest factor. */
  least: number
  /** The decision in which factors were looked at last. */
  decision: number
}

/** What a class takes: on a typical node, and by how much each node multiplies that. Others may be there after the next question. */
export type Row = Pick<Times, 'typicalMs' | 'factors' | 'least'>

/** An attempt, and when it is expected to end. */
export interface Running {
  readonly id: TaskId
  readonly node: NodeId
  readonly at: number
  readonly isCopy: boolean
  readonly isIdempotent: boolean
  endsAt: number
  /** When it ends if it turns out long; 0 when that is to be worked out. */
  lateAt: number
  /** When to predict its end again. */
  lookAt: number
  /** It runs no more. */
  isOver: boolean
}

export class DagTimes {
  readonly #estimator: Estimator
  readonly #times = new Map<ClassKey, Times>()
  /** The same by task that is not over, as far as it was asked for. */
  readonly #byTask = new Map<TaskId, Times>()
  readonly #indexes = new Map<NodeId, number>()
  /** The latest factors of any class, by index of node; NaN where there are none. */
  #usual = new Float64Array(0)
  #ended = 0
  #decision = 0
  /** Rule 2: what is left for this decision. */
  #asks = MOST_ASKED
  #comparisons = MOST_COMPARED

  constructor(estimator: Estimator) {
    this.#estimator = estimator
  }

  /** Tasks whose class is kept with them. */
  get remembered(): number {
    return this.#byTask.size
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
    if (this.#times.size > MOST_CLASSES) this.anew()
  }

  /** All predictions have moved: what is known of classes is asked for anew. */
  anew(): void {
    this.#byTask.clear()
    this.#times.clear()
  }

  nodesChanged(nodes: readonly NodeView[]): void {
    this.anew()
    this.#indexes.clear()
    nodes.forEach(({ id }, index) => this.#indexes.set(id, index))
    this.#usual = new Float64Array(nodes.length).fill(NaN)
  }

  ended(task: TaskView): void {
    this.#ended++
    const times = this.#times.get(this.#estimator.classOf(task))
    if (times !== undefined) times.askedAt = -1
  }

  /** What the task takes on each of these nodes. */
  row(task: TaskView, nodes: readonly NodeView[]): Row {
    const times = this.#of(task)
    this.#askAgain(times, task)
    // Where nothing may be asked for any more, what is there does.
    const mayAsk = this.#comparisons > 0 || times.least === Infinity
    if (mayAsk && this.#ended > times.freshUntil && times.decision !== this.#decision)
      this.#compareAll(times, task, nodes)
    return times
  }

  /** The mean run time on the node, in milliseconds. */
  onNode(task: TaskView, node: NodeView): number {
    const index = this.#indexes.get(node.id) ?? -1
    const times = this.#of(task)
    const typicalMs = this.#askAgain(times, task)
    if (index < 0) return this.#predict(task, node).meanMs
    let factor = times.factors[index] ?? NaN
    if (Number.isNaN(factor)) factor = this.#usual[index] ?? NaN
    if (Number.isNaN(factor)) factor = this.#compare(times, task, node, index, this.#predict(task).meanMs)
    return typicalMs * factor
  }

  /** Rule 2: as much as this decision may; the rest is as it was, or as for other classes. */
  #compareAll(times: Times, task: TaskView, nodes: readonly NodeView[]): void {
    const { factors, comparedAt } = times
    times.decision = this.#decision
    times.freshUntil = Infinity
    times.least = Infinity
    let referenceMs = 0
    for (let index = 0; index < nodes.length; index++) {
      const node = nodes[index]
      const at = comparedAt[index] ?? -1
      if (node !== undefined && this.#ended > expiryOf(at)) {
        const usual = this.#usual[index] ?? NaN
        const isUnknown = at < 0 && Number.isNaN(usual)
        if (this.#comparisons > 0 || isUnknown) {
          if (referenceMs === 0) referenceMs = this.#predict(task).meanMs
          this.#compare(times, task, node, index, referenceMs)
          this.#comparisons = Math.max(0, this.#comparisons - 1)
        } else if (at < 0) factors[index] = usual
      }
      times.freshUntil = Math.min(times.freshUntil, expiryOf(comparedAt[index] ?? -1))
      times.least = Math.min(times.least, factors[index] ?? Infinity)
    }
  }

  #compare(times: Times, task: TaskView, node: NodeView, index: number, referenceMs: number): number {
    const factor = Math.min(SLOWEST, this.#predict(task, node).meanMs / referenceMs)
    times.factors[index] = factor
    times.comparedAt[index] = this.#ended
    this.#usual[index] = factor
    return factor
  }

  /** The mean run time on a typical node, in milliseconds. */
  typical(task: TaskView): number {
    return this.#askAgain(this.#ofClass(task), task)
  }

  /** An attempt that began at `at`. */
  begin(
    task: TaskView,
    { node, id, at, isCopy }: { node: NodeView | undefined; id: NodeId; at: number; isCopy: boolean }
  ): Running {
    const ms = node === undefined ? this.typical(task) : this.onNode(task, node)
    return {
      id: task.id,
      node: id,
      at,
      isCopy,
      isIdempotent: task.idempotent,
      endsAt: at + ms,
      lateAt: 0,
      lookAt: at + ms / 2,
      isOver: false
    }
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

  #askAgain(times: Times, task: TaskView): number {
    const isNew = times.typicalMs === 0
    if (!isNew && (this.#asks === 0 || this.#ended <= staleAfter(times.askedAt, Infinity)))
      return times.typicalMs
    if (!isNew) this.#asks--
    times.askedAt = this.#ended
    times.typicalMs = Math.min(LONGEST_MS, this.#predict(task).meanMs)
    return times.typicalMs
  }

  #of(task: TaskView): Times {
    const known = this.#byTask.get(task.id)
    if (known !== undefined) return known
    const times = this.#ofClass(task)
    this.#byTask.set(task.id, times)
    return times
  }

  #ofClass(task: TaskView): Times {
    const key = this.#estimator.classOf(task)
    let times = this.#times.get(key)
    if (times === undefined) {
      const nodes = this.#usual.length
      times = {
        ...{ askedAt: -1, typicalMs: 0, freshUntil: -1, least: Infinity, decision: -1 },
        factors: new Float64Array(nodes).fill(NaN),
        comparedAt: new Float64Array(nodes).fill(-1)
      }
      this.#times.set(key, times)
    }
    return times
  }
}

/** Rule 1: how many attempts may have ended until what was asked for at `since` of them is old, `most` more than then. */
function staleAfter(since: number, most: number): number {
  return since < 0 ? -1 : since + Math.min(most, since * NEWS)
}

function expiryOf(comparedAt: number): number {
  return staleAfter(comparedAt, MOST_NEWS_OF_NODES)
}
