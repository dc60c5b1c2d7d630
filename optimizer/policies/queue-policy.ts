/**
 * A policy made of two rules: which waiting task is next (`Order`), and on which node it goes (`NodeRule`). Most
 * baselines are such pairs; this file holds what they share and none of their rules.
 *
 * 1. A task that fits nowhere does not hold up others, unless the policy is `strict`.
 * 2. A shape that fitted nowhere is tried again only on nodes that were freed or changed since.
 */
import type { NodeId, TaskId } from '../../base/ids.ts'
import type {
  AttemptFeedback,
  ClusterView,
  NodeView,
  PlacementChoice,
  Policy,
  TaskView
} from '../../scheduler/policy.ts'
import type { ClassKey } from '../estimate.ts'
import { ClassQueues } from './class-queues.ts'
import type { Head, Shape } from './class-queues.ts'
import { freedSince } from './freed-nodes.ts'

/** Which task is next. */
export interface Order {
  /** Tasks of one class share a score and are first in, first out. */
  classOf(task: TaskView): ClassKey
  /** The class's score, given its first task; the lowest runs first. */
  score(key: ClassKey, head: TaskView, view: ClusterView): number
  /** Hears of changes, and re-scores or blocks classes through `queues`. */
  onReady?(task: TaskView, queues: ClassQueues, view: ClusterView): void
  onPlaced?(task: TaskView, queues: ClassQueues, view: ClusterView): void
  onEnded?(feedback: AttemptFeedback, queues: ClassQueues, view: ClusterView): void
  onFinished?(taskId: TaskId, queues: ClassQueues, view: ClusterView): void
  reset?(view: ClusterView): void
}

/** Which node: one of `candidates` that is eligible and fits, or undefined. */
export type NodeRule = (
  task: TaskView,
  candidates: readonly NodeView[],
  view: ClusterView
) => NodeView | undefined

export interface QueuePolicyOptions {
  readonly name: string
  readonly order: Order
  readonly node: NodeRule
  /** Whether the first task in order must be placed before any other. Default false. */
  readonly strict?: boolean
}

/** The policy of these rules. */
export function queuePolicy(options: QueuePolicyOptions): Policy {
  return new QueuePolicy(options)
}

class QueuePolicy implements Policy {
  readonly name: string
  readonly #order: Order
  readonly #node: NodeRule
  readonly #strict: boolean
  #queues: ClassQueues
  #view: ClusterView | undefined
  /** Nodes that were freed, in order; shapes remember how far they have tried. */
  #freed: NodeId[] = []
  readonly #isOpen = (shape: Shape): boolean => shape.triedUpTo < this.#freed.length

  constructor(options: QueuePolicyOptions) {
    this.name = options.name
    this.#order = options.order
    this.#node = options.node
    this.#strict = options.strict ?? false
    this.#queues = this.#emptyQueues()
  }

  reset(view: ClusterView): void {
    this.#queues = this.#emptyQueues()
    this.#freed = []
    this.#order.reset?.(view)
    for (const task of view.ready()) this.onReady(task, view)
  }

  onReady(task: TaskView, view: ClusterView): void {
    this.#view = view
    this.#queues.add(task, this.#order.classOf(task))
    this.#order.onReady?.(task, this.#queues, view)
  }

  onGone(taskId: TaskId, view: ClusterView): void {
    this.#view = view
    this.#queues.remove(taskId)
    const task = view.task(taskId)
    if (task !== undefined) this.#order.onPlaced?.(task, this.#queues, view)
  }

  onEnded(feedback: AttemptFeedback, view: ClusterView): void {
    this.#view = view
    this.#freed.push(feedback.node)
    this.#order.onEnded?.(feedback, this.#queues, view)
  }

  onFinished(taskId: TaskId, view: ClusterView): void {
    this.#order.onFinished?.(taskId, this.#queues, view)
  }

  onNodesChanged(): void {
    this.#freed = []
    for (const shape of this.#queues.shapes()) shape.triedUpTo = -1
  }

  next(view: ClusterView): PlacementChoice | undefined {
    this.#view = view
    if (this.#freed.length > 4096) this.onNodesChanged()
    if (!this.#strict) return this.#queues.offer(this.#isOpen, (head) => this.#placed(head, view))
    for (;;) {
      const head = this.#queues.best(always)
      if (head === undefined) return undefined
      const choice = this.#placed(head, view)
      // One that is gone is in nobody's way.
      if (choice !== undefined || this.#queues.has(head.taskId)) return choice
    }
  }

  /** Where the head of a shape goes now; the shape is closed where it goes nowhere, and a task that is gone is removed. */
  #placed({ shape, taskId }: Head, view: ClusterView): PlacementChoice | undefined {
    const task = view.task(taskId)
    if (task === undefined) {
      this.#queues.remove(taskId)
      return undefined
    }
    const node = this.#node(task, freedSince(this.#freed, shape.triedUpTo, view), view)
    if (node !== undefined) return { taskId, node: node.id }
    shape.triedUpTo = this.#freed.length
    return undefined
  }

  #emptyQueues(): ClassQueues {
    return new ClassQueues((key, head) => {
      const view = this.#view
      const task = view?.task(head)
      return view === undefined || task === undefined ? 0 : this.#order.score(key, task, view)
    })
  }
}

function always(): boolean {
  return true
}
