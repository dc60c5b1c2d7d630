/**
 * List schedulers for DAGs: HEFT, CPoP and PEFT as static plans, and HEFT's order with its choice of node made anew at
 * each decision (dynamic). The predictions decide how much of a plan is true: tasks alike (`unit`), class means, truth.
 *
 * - Static: a node waits for the task that the plan says comes next on it. A new DAG, a failed attempt or a change of
 *   nodes makes a new plan for all that has not started.
 * - Dynamic: the ready task with the highest upward rank goes to the node where it would *finish* first, busy nodes
 *   included; when that node is busy the task waits for it, and the next task is looked at.
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
import type { Estimator } from '../estimate.ts'
import { dagFrom, meanCosts, noTransfer, nodeCosts, upwardRanks } from './dag.ts'
import type { TransferMs } from './dag.ts'
import { takes } from './node-rules.ts'
import { lanesOf, planDag } from './static-plan.ts'
import type { StaticAlgorithm } from './static-plan.ts'

export interface DagPolicyOptions {
  readonly name: string
  readonly estimator: Estimator
  readonly transferMs?: TransferMs
}

/** A static plan by one of the three algorithms. */
export function staticDag(algorithm: StaticAlgorithm, options: DagPolicyOptions): Policy {
  return new StaticDag(algorithm, options)
}

/** HEFT decided task by task. `greedy` looks at free nodes only: worse, and kept to show it. */
export function dynamicHeft(options: DagPolicyOptions & { readonly greedy?: boolean }): Policy {
  return new DynamicHeft(options)
}

/** What one slot is to run, in order, and how far it is. */
interface Lane {
  readonly node: NodeId
  readonly tasks: TaskId[]
  at: number
}

class StaticDag implements Policy {
  readonly name: string
  readonly #algorithm: StaticAlgorithm
  readonly #options: DagPolicyOptions
  readonly #ready = new Set<TaskId>()
  readonly #running = new Map<TaskId, { readonly node: NodeId; readonly endsAt: number }>()
  /** Tasks that the plan holds and that have not started. */
  readonly #planned = new Set<TaskId>()
  #lanes: Lane[] = []
  /** Whether something is ready that the plan does not hold, or the plan's nodes are not the view's. */
  #stale = true

  constructor(algorithm: StaticAlgorithm, options: DagPolicyOptions) {
    this.name = options.name
    this.#algorithm = algorithm
    this.#options = options
  }

  reset(view: ClusterView): void {
    this.#ready.clear()
    this.#running.clear()
    this.#planned.clear()
    this.#stale = true
    for (const task of view.ready()) this.onReady(task)
    for (const attempt of view.running()) {
      this.#running.set(attempt.taskId, { node: attempt.node, endsAt: attempt.placedAt })
    }
  }

  onReady(task: TaskView): void {
    this.#ready.add(task.id)
    if (!this.#planned.has(task.id)) this.#stale = true
  }

  onGone(taskId: TaskId): void {
    this.#ready.delete(taskId)
    this.#planned.delete(taskId)
  }

  onEnded(feedback: AttemptFeedback): void {
    this.#running.delete(feedback.task.id)
    this.#options.estimator.observe(feedback)
  }

  onNodesChanged(): void {
    this.#stale = true
  }

  next(view: ClusterView): PlacementChoice | undefined {
    if (this.#stale) this.#plan(view)
    for (const lane of this.#lanes) {
      const node = view.node(lane.node)
      if (node === undefined || node.freeSlots <= 0) continue
      const id = this.#nextOn(lane)
      const task = id === undefined || !this.#ready.has(id) ? undefined : view.task(id)
      if (task === undefined || !takes(task, node, view)) continue
      lane.at++
      const runMs = this.#options.estimator.predict(task, node).meanMs
      this.#running.set(task.id, { node: node.id, endsAt: view.now + runMs })
      return { taskId: task.id, node: node.id }
    }
    return undefined
  }

  /** The lane's next task that has not started. */
  #nextOn(lane: Lane): TaskId | undefined {
    for (; lane.at < lane.tasks.length; lane.at++) {
      const id = lane.tasks[lane.at]
      if (id !== undefined && this.#planned.has(id)) return id
    }
    return undefined
  }

  /**
   * Plans all that has not started: what is ready, what waits for it and what waits for running tasks. Planning only
   * the new part could put a task behind one of its own dependents.
   */
  #plan(view: ClusterView): void {
    this.#stale = false
    const nodes = [...view.nodes()]
    const { estimator, transferMs = noTransfer } = this.#options
    const dag = dagFrom(this.#roots(view), view)
    const indexes = lanesOf(nodes)
    const plan = planDag(this.#algorithm, {
      dag,
      nodes,
      costs: nodeCosts(dag, nodes, estimator, view),
      meanCosts: meanCosts(dag, estimator, view),
      transferMs,
      freeAt: this.#freeAt(nodes, indexes, view.now)
    })
    this.#lanes = indexes.map((index) => ({ node: nodes[index]?.id ?? (0 as NodeId), tasks: [], at: 0 }))
    this.#planned.clear()
    for (const { task, lane } of plan.sort((a, b) => a.startsAt - b.startsAt)) {
      const id = dag.ids[task]
      if (id === undefined) continue
      this.#lanes[lane]?.tasks.push(id)
      this.#planned.add(id)
    }
  }

  #roots(view: ClusterView): TaskView[] {
    const ids = new Set(this.#ready)
    for (const id of this.#running.keys())
      for (const dependent of view.task(id)?.dependents ?? []) ids.add(dependent)
    return [...ids].map((id) => view.task(id)).filter((task) => task !== undefined)
  }

  /** When each lane is predicted to be free. Which of a node's lanes holds which running task does not matter. */
  #freeAt(nodes: readonly NodeView[], lanes: readonly number[], now: number): Float64Array {
    const ends = new Map<NodeId, number[]>()
    for (const { node, endsAt } of this.#running.values()) {
      const list = ends.get(node)
      if (list === undefined) ends.set(node, [endsAt])
      else list.push(endsAt)
    }
    return Float64Array.from(lanes, (index) =>
      Math.max(now, ends.get(nodes[index]?.id ?? (0 as NodeId))?.pop() ?? now)
    )
  }
}

class DynamicHeft implements Policy {
  readonly name: string
  readonly #options: DagPolicyOptions & { readonly greedy?: boolean }
  readonly #ranks = new Map<TaskId, number>()
  /** Ready tasks by falling rank. */
  #queue: TaskId[] = []
  readonly #endsAt = new Map<TaskId, { readonly node: NodeId; readonly at: number }>()
  #unranked: TaskId[] = []

  constructor(options: DagPolicyOptions & { readonly greedy?: boolean }) {
    this.name = options.name
    this.#options = options
  }

  reset(view: ClusterView): void {
    this.#ranks.clear()
    this.#queue = []
    this.#endsAt.clear()
    this.#unranked = []
    for (const task of view.ready()) this.onReady(task)
    for (const attempt of view.running()) {
      const task = view.task(attempt.taskId)
      const node = view.node(attempt.node)
      if (task !== undefined && node !== undefined) this.#started(task, node, attempt.placedAt)
    }
  }

  onReady(task: TaskView): void {
    if (this.#ranks.has(task.id)) this.#enqueue(task.id)
    else this.#unranked.push(task.id)
  }

  onGone(taskId: TaskId): void {
    const at = this.#queue.indexOf(taskId)
    if (at >= 0) this.#queue.splice(at, 1)
  }

  onEnded(feedback: AttemptFeedback): void {
    this.#endsAt.delete(feedback.task.id)
    this.#options.estimator.observe(feedback)
  }

  onFinished(taskId: TaskId): void {
    this.#ranks.delete(taskId)
  }

  next(view: ClusterView): PlacementChoice | undefined {
    if (this.#unranked.length > 0) this.#rank(view)
    const nodes = view.nodes()
    const freeAt = this.#nodesFreeAt(nodes, view.now)
    let open = nodes.reduce((sum, node) => sum + (node.freeSlots > 0 ? 1 : 0), 0)
    for (const id of this.#queue) {
      if (open === 0) return undefined
      const task = view.task(id)
      if (task === undefined) continue
      const choice = this.#earliestFinish(task, nodes, freeAt, view)
      if (choice === undefined) continue
      const { node, lanes, endsAt } = choice
      if (takes(task, node, view) && (lanes[0] ?? 0) <= view.now) {
        this.#started(task, node, view.now)
        return { taskId: id, node: node.id }
      }
      const wasOpen = (lanes[0] ?? Infinity) <= view.now
      lanes[0] = endsAt
      lanes.sort((a, b) => a - b)
      if (wasOpen && Math.min(...lanes) > view.now) open--
    }
    return undefined
  }

  #earliestFinish(
    task: TaskView,
    nodes: readonly NodeView[],
    freeAt: readonly number[][],
    view: ClusterView
  ): { node: NodeView; lanes: number[]; endsAt: number } | undefined {
    let best: { node: NodeView; lanes: number[]; endsAt: number } | undefined
    nodes.forEach((node, index) => {
      const lanes = freeAt[index]
      if (lanes === undefined || !view.eligible(task, node)) return
      const startsAt = Math.max(lanes[0] ?? 0, view.now)
      if (this.#options.greedy === true && startsAt > view.now) return
      const endsAt = startsAt + this.#options.estimator.predict(task, node).meanMs
      if (best === undefined || endsAt < best.endsAt) best = { node, lanes, endsAt }
    })
    return best
  }

  /** When each slot of each node will be free, earliest first, as predicted. */
  #nodesFreeAt(nodes: readonly NodeView[], now: number): number[][] {
    const ends = new Map<NodeId, number[]>()
    for (const { node, at } of this.#endsAt.values()) {
      const list = ends.get(node)
      // One that outlives its prediction may end at any moment.
      if (list === undefined) ends.set(node, [Math.max(at, now + 1)])
      else list.push(Math.max(at, now + 1))
    }
    return nodes.map((node) => {
      const lanes = [...new Array<number>(node.freeSlots).fill(now), ...(ends.get(node.id) ?? [])]
      return lanes.sort((a, b) => a - b)
    })
  }

  #started(task: TaskView, node: NodeView, at: number): void {
    this.#endsAt.set(task.id, { node: node.id, at: at + this.#options.estimator.predict(task, node).meanMs })
  }

  #rank(view: ClusterView): void {
    const roots = this.#unranked.map((id) => view.task(id)).filter((task) => task !== undefined)
    this.#unranked = []
    const dag = dagFrom(roots, view)
    const ranks = upwardRanks(dag, meanCosts(dag, this.#options.estimator, view), this.#options.transferMs)
    dag.ids.forEach((id, index) => this.#ranks.set(id, ranks[index] ?? 0))
    for (const task of roots) this.#enqueue(task.id)
  }

  #enqueue(id: TaskId): void {
    const rank = this.#ranks.get(id) ?? 0
    let low = 0
    let high = this.#queue.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#ranks.get(this.#queue[middle] ?? (0 as TaskId)) ?? 0) >= rank) low = middle + 1
      else high = middle
    }
    this.#queue.splice(low, 0, id)
  }
}
