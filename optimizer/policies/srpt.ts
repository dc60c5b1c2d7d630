/**
 * Shortest remaining processing time over groups, without preemption of tasks: the group with the least predicted work
 * left goes first (Schrage, 1968), optionally with at most `cap` tasks of one group running at a time. The cap matters
 * more than the order when tasks slow each other down (Mao et al., "Decima", SIGCOMM 2019, §7).
 *
 * 1. A node goes on with the stage that it is at (tasks of one name in one group) while that has ready tasks: a group
 *    is overtaken between stages, not between tasks, since each move costs time.
 * 2. Otherwise nodes that ran the group last are preferred, then nodes that no unfinished group was on.
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
import { Locality } from './locality.ts'
import { takes } from './node-rules.ts'

export interface SrptOptions {
  readonly name: string
  readonly estimator: Estimator
  /** Most tasks of a group at a time. Default: no limit. */
  readonly cap?: number
  /** Whether a node goes on with its stage (rule 1). Default true. */
  readonly sticky?: boolean
}

/** Ready tasks of one name, first in first out. */
interface Stage {
  readonly ids: TaskId[]
  head: number
}

/** SRPT over groups. */
export function srpt(options: SrptOptions): Policy {
  return new Srpt(options)
}

class Srpt implements Policy {
  readonly name: string
  readonly #estimator: Estimator
  readonly #cap: number
  readonly #sticky: boolean
  readonly #work: GroupWork
  readonly #locality: Locality
  /** By group; a group at its cap is blocked. */
  #queues: ClassQueues
  /** Ready tasks by group and name, for nodes that go on. Those that `#queues` no longer has are skipped. */
  readonly #stages = new Map<TaskId, Map<string, Stage>>()
  #freed: NodeId[] = []

  constructor(options: SrptOptions) {
    this.name = options.name
    this.#estimator = options.estimator
    this.#cap = options.cap ?? Infinity
    this.#sticky = options.sticky ?? true
    this.#work = new GroupWork(options.estimator)
    this.#locality = new Locality(this.#work)
    this.#queues = this.#emptyQueues()
  }

  reset(view: ClusterView): void {
    this.#work.clear()
    this.#stages.clear()
    this.#freed = []
    this.#queues = this.#emptyQueues()
    for (const task of view.ready()) this.onReady(task, view)
  }

  onReady(task: TaskView, view: ClusterView): void {
    const found = this.#work.discover(task, view)
    this.#queues.add(task, task.group)
    // Another root brings its own part of the DAG.
    if (found > 0) this.#queues.rescore(task.group)
    let stages = this.#stages.get(task.group)
    if (stages === undefined) {
      stages = new Map()
      this.#stages.set(task.group, stages)
    }
    const stage = stages.get(task.name)
    if (stage === undefined) stages.set(task.name, { ids: [task.id], head: 0 })
    else stage.ids.push(task.id)
  }

  onGone(taskId: TaskId, view: ClusterView): void {
    this.#queues.remove(taskId)
    const task = view.task(taskId)
    if (task === undefined) return
    this.#work.started(task)
    if (this.#work.running(task.group) >= this.#cap) this.#queues.block(task.group, true)
  }

  onEnded(feedback: AttemptFeedback): void {
    this.#estimator.observe(feedback)
    const { task, node } = feedback
    this.#locality.ranOn(node, task)
    this.#work.ended(task)
    if (this.#work.running(task.group) < this.#cap) this.#queues.block(task.group, false)
    this.#freed.push(node)
  }

  onFinished(taskId: TaskId): void {
    const group = this.#work.groupOf(taskId)
    if (group === undefined) return
    if (this.#work.finished(taskId)) this.#stages.delete(group)
    else this.#queues.rescore(group)
  }

  onNodesChanged(): void {
    this.#freed = []
    for (const shape of this.#queues.shapes()) shape.triedUpTo = -1
  }

  next(view: ClusterView): PlacementChoice | undefined {
    return (this.#sticky ? this.#goOn(view) : undefined) ?? this.#best(view)
  }

  #goOn(view: ClusterView): PlacementChoice | undefined {
    while (this.#freed.length > 0) {
      const node = view.node(this.#freed.at(-1) ?? (0 as NodeId))
      const group = node === undefined ? undefined : this.#locality.lastOn(node.id)
      if (node !== undefined && group !== undefined && this.#work.running(group) < this.#cap) {
        const task = this.#nextOfStage(group, this.#locality.lastNameOn(node.id) ?? '', view)
        if (task !== undefined && takes(task, node, view)) return { taskId: task.id, node: node.id }
      }
      this.#freed.pop()
    }
    return undefined
  }

  #nextOfStage(group: TaskId, name: string, view: ClusterView): TaskView | undefined {
    const stage = this.#stages.get(group)?.get(name)
    if (stage === undefined) return undefined
    for (; stage.head < stage.ids.length; stage.head++) {
      const id = stage.ids[stage.head]
      if (id !== undefined && this.#queues.has(id)) return view.task(id)
    }
    return undefined
  }

  #best(view: ClusterView): PlacementChoice | undefined {
    for (const shape of this.#queues.shapes()) shape.triedUpTo = -1
    for (;;) {
      const head = this.#queues.best((shape) => shape.triedUpTo < 0)
      const task = head === undefined ? undefined : view.task(head.taskId)
      if (head === undefined || task === undefined) return undefined
      const node = this.#locality.rule(task, view.nodes(), view)
      if (node !== undefined) return { taskId: task.id, node: node.id }
      head.shape.triedUpTo = 0
    }
  }

  #emptyQueues(): ClassQueues {
    return new ClassQueues((key) => this.#work.remainingMs(key as TaskId))
  }
}
