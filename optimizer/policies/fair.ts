/**
 * Sharing nodes among groups, as Spark's schedulers do (the baselines of Mao et al., "Decima", SIGCOMM 2019, §7.1).
 *
 * - Fair: each of n active groups may hold ⌈slots ÷ n⌉ slots.
 * - Weighted fair: shares in proportion to (a group's whole work)^α; α = 0 is fair, α < 0 favours small groups.
 * - FIFO by group: the earliest group may hold everything.
 *
 * A slot stays with its group as long as the group has a ready task for it (moving costs time); only then it goes to
 * the earliest group below its share.
 */
import type { NodeId, TaskId } from '../../base/ids.ts'
import type {
  AttemptFeedback,
  ClusterView,
  PlacementChoice,
  Policy,
  TaskView
} from '../../scheduler/policy.ts'
import type { Estimator } from '../estimate.ts'
import { ClassQueues } from './class-queues.ts'
import { GroupWork } from './group-work.ts'
import { takes } from './node-rules.ts'
import { unit } from './predictors.ts'
import { Locality } from './locality.ts'

export interface SharingOptions {
  readonly name: string
  /** Exponent of a group's whole predicted work; `fifo` gives every group all slots. */
  readonly alpha: number | 'fifo'
  /** Predicts the work; only its relation between groups counts. Default: tasks are alike. */
  readonly estimator?: Estimator
}

/** The sharing policy. */
export function sharing(options: SharingOptions): Policy {
  return new Sharing(options)
}

/** Equal shares. */
export function fair(): Policy {
  return sharing({ name: 'fair', alpha: 0 })
}

class Sharing implements Policy {
  readonly name: string
  readonly #alpha: number | 'fifo'
  readonly #estimator: Estimator
  readonly #work: GroupWork
  readonly #locality: Locality
  #queues = emptyQueues()
  /** Weight by group, in order of arrival. */
  readonly #weights = new Map<TaskId, number>()
  readonly #unweighed = new Set<TaskId>()
  #totalWeight = 0
  #slots = 0
  /** Nodes with a slot that may still find a task for the group they ran last. */
  #warm = new Set<NodeId>()

  constructor(options: SharingOptions) {
    this.name = options.name
    this.#alpha = options.alpha
    this.#estimator = options.estimator ?? unit()
    this.#work = new GroupWork(this.#estimator)
    this.#locality = new Locality(this.#work)
  }

  reset(view: ClusterView): void {
    this.#work.clear()
    this.#weights.clear()
    this.#unweighed.clear()
    this.#totalWeight = 0
    this.#queues = emptyQueues()
    this.onNodesChanged(view)
    for (const task of view.ready()) this.onReady(task, view)
  }

  onNodesChanged(view: ClusterView): void {
    this.#slots = view.nodes().reduce((sum, node) => sum + node.slots, 0)
    this.#warm = new Set(view.nodes().map((node) => node.id))
  }

  onReady(task: TaskView, view: ClusterView): void {
    this.#queues.add(task, task.group)
    // Another root brings its own part of the DAG, so the weight is worked out when it is needed.
    if (this.#work.discover(task, view) > 0) this.#unweighed.add(task.group)
    // A new ready task may be what a node that waits beside its group was waiting for.
    for (const node of view.nodes()) if (node.freeSlots > 0) this.#warm.add(node.id)
  }

  onGone(taskId: TaskId, view: ClusterView): void {
    this.#queues.remove(taskId)
    const task = view.task(taskId)
    if (task !== undefined) this.#work.started(task)
  }

  onEnded(feedback: AttemptFeedback): void {
    this.#estimator.observe(feedback)
    this.#locality.ranOn(feedback.node, feedback.task)
    this.#work.ended(feedback.task)
    this.#warm.add(feedback.node)
  }

  onFinished(taskId: TaskId): void {
    const group = this.#work.groupOf(taskId)
    if (group === undefined || !this.#work.finished(taskId)) return
    this.#totalWeight -= this.#weights.get(group) ?? 0
    this.#weights.delete(group)
  }

  next(view: ClusterView): PlacementChoice | undefined {
    for (const group of this.#unweighed) this.#weigh(group)
    this.#unweighed.clear()
    return this.#stay(view) ?? this.#move(view)
  }

  /** A group's weight is that of its whole work when it came, not of what is left. */
  #weigh(group: TaskId): void {
    const weight = this.#alpha === 'fifo' ? 1 : this.#work.remainingMs(group) ** this.#alpha
    this.#totalWeight += weight - (this.#weights.get(group) ?? 0)
    this.#weights.set(group, weight)
  }

  /** A task for a node that is warm for it. */
  #stay(view: ClusterView): PlacementChoice | undefined {
    for (const id of this.#warm) {
      const node = view.node(id)
      const group = node === undefined || node.freeSlots <= 0 ? undefined : this.#locality.lastOn(id)
      const choice =
        node === undefined || group === undefined
          ? undefined
          : this.#queues.firstOf(group, (taskId) => {
              const task = view.task(taskId)
              return task !== undefined && takes(task, node, view) ? { taskId, node: id } : undefined
            })
      if (choice !== undefined) return choice
      this.#warm.delete(id)
    }
    return undefined
  }

  /** A task of the earliest group below its share, for any node. */
  #move(view: ClusterView): PlacementChoice | undefined {
    const open = view.nodes().filter((node) => node.freeSlots > 0)
    if (open.length === 0) return undefined
    for (const [group, weight] of this.#weights) {
      const share = this.#alpha === 'fifo' ? Infinity : Math.ceil((this.#slots * weight) / this.#totalWeight)
      if (this.#work.running(group) >= share) continue
      const choice = this.#queues.firstOf(group, (taskId) => {
        const task = view.task(taskId)
        const node = task === undefined ? undefined : this.#locality.rule(task, open, view)
        return node === undefined ? undefined : { taskId, node: node.id }
      })
      if (choice !== undefined) return choice
    }
    return undefined
  }
}

function emptyQueues(): ClassQueues {
  return new ClassQueues(() => 0)
}
