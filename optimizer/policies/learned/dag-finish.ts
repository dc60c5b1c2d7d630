/**
 * DAGs on nodes that differ: the task with the longest predicted way to the end of its DAG goes where it is predicted to *finish*
 * first, busy nodes included; when that node is busy the task waits for it, and the next task is looked at (HEFT's rules, decided
 * anew each time: Topcuoglu, Hariri & Wu, IEEE TPDS 2002, §4).
 *
 * 1. Larger `priority` first, then the group with the least predicted work left, then the upward rank. A group that waited out of
 *    proportion to its work goes before groups that did not.
 * 2. What is left of a running attempt is predicted from how long it has run, so one that outlives its prediction does not keep
 *    others waiting for a node that will be free any moment now, for ever: they look again when it has taken half as long again.
 * 3. A group's ranks are worked out again as completions move predictions: after an eighth of its tasks, at least five.
 * 4. A node that nobody wants may run an idempotent task again that runs on a slower one (`copy`), when that would be through sooner if
 *    the task turned out long (`DagTimes.LATE`): whether it does is not known, and the node has nothing better to do. Copies go where they
 *    end first, busy nodes included, since a task has one only, which also bounds the extra work; the task whose DAG would wait longest
 *    comes first.
 *
 * 5. Tasks that no node could run take no turn until nodes change (`dag-waiting.ts`).
 *
 * A decision costs O(running + tasks looked at × nodes); at most `LOOKED_AT` tasks are for which some node has room, and as many others,
 * which wait for nodes that those might count on. The rest of the others are passed over.
 */
import type { NodeId, TaskId } from '../../../base/ids.ts'
import { timestampMs } from '../../../base/units.ts'
import type { TimestampMs } from '../../../base/units.ts'
import type {
  AttemptFeedback,
  ClusterView,
  NodeView,
  PlacementChoice,
  TaskView
} from '../../../scheduler/policy.ts'
import type { Estimator } from '../../estimate.ts'
import { takes } from '../node-rules.ts'
import { earliest } from './dag-choice.ts'
import type { Choice } from './dag-choice.ts'
import { Lanes, occupy } from './dag-lanes.ts'
import { DagPlan, NOWHERE } from './dag-plan.ts'
import { DagTimes } from './dag-times.ts'
import type { Running } from './dag-times.ts'
import { DagQueue } from './dag-waiting.ts'
import type { GroupQueue } from './group-queue.ts'
import type { Candidate } from './independent-queue.ts'

const LEAST_NEWS = 5
const NEWS_SHARE = 1 / 8
const LOOKED_AT = 256
/** A group that has been there so many times what it would take alone on all slots is owed its turn. */
const PATIENCE = 30
/**
 * A copy must save so much of what is left of an attempt that turns out long: while one group is there, which it alone may serve or hinder; and
 * while there are several, whose next tasks may soon want the node that it holds.
 */
const LEAST_SAVED_ALONE = 0.1
const LEAST_SAVED = 0.3
/** Who waits for a node looks elsewhere when what runs there has taken so many times what was expected of it. */
const OUTLIVED = 1.5

export class FinishFirst implements GroupQueue {
  readonly #estimator: Estimator
  readonly #times: DagTimes
  readonly #plans = new Map<TaskId, DagPlan>()
  readonly #groupOf = new Map<TaskId, TaskId>()
  /** When a group was first heard of, in state time. */
  readonly #since = new Map<TaskId, number>()
  readonly #running = new Map<TaskId, Running>()
  readonly #copies = new Map<TaskId, Running>()
  /** Ready tasks by rule 1. */
  readonly #waiting = new DagQueue()
  /** Ready or running tasks that no plan holds yet, by group. */
  readonly #strangers = new Map<TaskId, TaskId[]>()
  readonly #lanes = new Lanes()
  #stale = false
  /** Nothing can be placed before something changes, or before `#againAt`. */
  #quiet = false
  #againAt = Infinity

  constructor(estimator: Estimator) {
    this.#estimator = estimator
    this.#times = new DagTimes(estimator)
  }

  get waiting(): number {
    return this.#waiting.size
  }

  reset(): void {
    this.#plans.clear()
    this.#groupOf.clear()
    this.#since.clear()
    this.#running.clear()
    this.#copies.clear()
    this.#strangers.clear()
    this.#waiting.clear()
    this.#times.nodesChanged()
    this.#lanes.clear()
    this.#quiet = false
  }

  resume(task: TaskView, node: NodeId, placedAt: number, view: ClusterView): void {
    this.#meet(task)
    this.#running.set(task.id, this.#times.begin(task, view.node(node), node, placedAt))
  }

  add(task: TaskView, view: ClusterView): void {
    this.#meet(task)
    this.#running.delete(task.id)
    this.#copies.delete(task.id)
    const plan = this.#plans.get(task.group)
    const place = plan?.placeOf(task.id) ?? NOWHERE
    const turn = { place, groupMs: plan?.remainingMs ?? 0, rank: plan?.rankAt(place) ?? 0 }
    this.#waiting.add(task, turn, view)
    this.#quiet = false
  }

  gone(id: TaskId, node: NodeId | undefined, view: ClusterView): void {
    if (!this.#waiting.remove(id)) return
    const task = node === undefined ? undefined : view.task(id)
    if (node === undefined || task === undefined) return
    this.#running.set(id, this.#times.begin(task, view.node(node), node, view.now))
  }

  ended({ task, node }: AttemptFeedback): void {
    this.#quiet = false
    this.#times.ended(task)
    if (this.#copies.get(task.id)?.node === node) this.#copies.delete(task.id)
    else if (this.#running.get(task.id)?.node === node) this.#running.delete(task.id)
  }

  finished(id: TaskId): void {
    this.#running.delete(id)
    this.#copies.delete(id)
    this.#times.over(id)
    const group = this.#groupOf.get(id)
    const plan = group === undefined ? undefined : this.#plans.get(group)
    this.#groupOf.delete(id)
    if (group === undefined || plan === undefined) return
    plan.finished(id)
    if (plan.left === 0) this.#forget(group)
    else if (plan.news >= Math.max(LEAST_NEWS, plan.left * NEWS_SHARE)) this.#stale = true
  }

  anew(): void {
    this.#times.anew()
    this.#stale = true
    this.#quiet = false
  }

  nodesChanged(view: ClusterView): void {
    if (this.#waiting.nodesChanged(view)) this.#stale = true
    this.#times.nodesChanged()
    this.#lanes.clear()
    this.#quiet = false
  }

  peek(view: ClusterView): Candidate | undefined {
    if (this.#waiting.size === 0 || (this.#quiet && view.now < this.#againAt)) return undefined
    this.#times.decide()
    if (this.#strangers.size > 0) this.#plan(view)
    if (this.#stale) this.#rank(view)
    const candidate = this.#choose(view)
    this.#quiet = candidate === undefined
    if (this.#quiet) this.#againAt = this.#surprisedAt(view)
    return candidate
  }

  /** While tasks wait for busy nodes beside idle ones: when an attempt will have run for surprisingly long. */
  wakeAt(view: ClusterView): TimestampMs | undefined {
    if (!this.#quiet || this.#waiting.size === 0 || this.#againAt === Infinity) return undefined
    if (!view.nodes().some(({ freeSlots }) => freeSlots > 0)) return undefined
    return timestampMs(Math.ceil(Math.max(this.#againAt, view.now)))
  }

  #surprisedAt(view: ClusterView): number {
    let first = Infinity
    for (const { at, endsAt } of this.#running.values()) {
      const due = at + OUTLIVED * (Math.max(endsAt, view.now) - at)
      // A prediction that is no number is no reason to be woken.
      if (due < first) first = due
    }
    return Math.max(first, view.now + 1)
  }

  /** Rule 4. To be asked only when nothing can be placed. */
  copy(view: ClusterView): PlacementChoice | undefined {
    const nodes = view.nodes()
    let open = 0
    for (const node of nodes) if (node.freeSlots > 0) open++
    if (open === 0) return undefined
    if (this.#waiting.size === 0) this.#times.decide()
    const freeAt = this.#freeAt(nodes, view)
    for (const { task, running } of this.#latest(view)) {
      if (open === 0) return undefined
      const choice = this.#sooner(task, running, freeAt, view)
      if (choice === undefined) continue
      const { node, lanes, lane, endsAt } = choice
      const opens = (lanes[lane] ?? Infinity) <= view.now
      if (opens && takes(task, node, view)) {
        this.#copies.set(task.id, this.#times.begin(task, node, node.id, view.now))
        return { taskId: task.id, node: node.id }
      }
      occupy(lanes, lane, endsAt)
      if (opens && (lanes[0] ?? Infinity) > view.now) open--
    }
    return undefined
  }

  copied({ taskId, node }: PlacementChoice, view: ClusterView): void {
    const task = view.task(taskId)
    if (task === undefined || !this.#running.has(taskId)) return
    this.#copies.set(taskId, this.#times.begin(task, view.node(node), node, view.now))
  }

  notCopied(id: TaskId): void {
    this.#copies.delete(id)
  }

  /** Attempts that may be copied; the one whose DAG may have to wait longest for it comes first. */
  #latest(view: ClusterView): { readonly task: TaskView; readonly running: Running }[] {
    const late: { readonly task: TaskView; readonly running: Running; readonly doneAt: number }[] = []
    for (const [id, running] of this.#running) {
      const task = this.#copies.has(id) ? undefined : view.task(id)
      if (task?.idempotent !== true) continue
      const lateAt = this.#times.lateEndOf(task, running, view)
      late.push({ task, running, doneAt: lateAt + (this.#plans.get(task.group)?.belowOf(id) ?? 0) })
    }
    return late.sort((a, b) => b.doneAt - a.doneAt)
  }

  /** Where a copy would end first, if that is soon enough. */
  #sooner(
    task: TaskView,
    running: Running,
    freeAt: readonly number[][],
    view: ClusterView
  ): Choice | undefined {
    const host = view.node(running.node)
    if (host === undefined) return undefined
    const leftMs = running.lateAt - view.now
    // It is the same work on both nodes: how long it has run for says as much of one as of the other.
    const wholeMs = view.now - running.at + leftMs
    const perMs = wholeMs / this.#times.onNode(task, host)
    const leastSaved = this.#plans.size > 1 ? LEAST_SAVED : LEAST_SAVED_ALONE
    const before = view.now + leftMs * (1 - leastSaved)
    return earliest(task, freeAt, this.#times, view, { perMs, before, besides: running.node })
  }

  #choose(view: ClusterView): Candidate | undefined {
    const nodes = view.nodes()
    let open = 0
    for (const node of nodes) if (node.freeSlots > 0) open++
    if (open === 0) return undefined
    const freeAt = this.#freeAt(nodes, view)
    this.#waiting.decide()
    let looked = 0
    let others = 0
    for (const waiting of this.#waiting.inTurn) {
      if (open === 0 || looked >= LOOKED_AT) return undefined
      if (!this.#waiting.isShut(waiting, view)) looked++
      else if (others++ >= LOOKED_AT) continue
      const task = view.task(waiting.id)
      const choice = task === undefined ? undefined : earliest(task, freeAt, this.#times, view)
      if (task === undefined || choice === undefined) continue
      const { node, lanes, lane, endsAt } = choice
      const opens = (lanes[lane] ?? Infinity) <= view.now
      if (opens && takes(task, node, view)) {
        return { taskId: task.id, node: node.id, priority: waiting.priority, areaMs: waiting.groupMs }
      }
      // It waits for that node, so others may not count on it.
      occupy(lanes, lane, endsAt)
      if (opens && (lanes[0] ?? Infinity) > view.now) open--
    }
    return undefined
  }

  /** When each slot of each node is predicted to be free, earliest first. */
  #freeAt(nodes: readonly NodeView[], view: ClusterView): readonly number[][] {
    this.#lanes.begin(nodes, view.now)
    for (const attempts of [this.#running, this.#copies]) {
      for (const [id, attempt] of attempts) {
        // Most are not due to be looked at: their task is not needed.
        const endsAt = view.now < attempt.lookAt ? attempt.endsAt : this.#endOf(id, attempt, view)
        if (endsAt !== undefined) this.#lanes.add(attempt.node, endsAt)
      }
    }
    return this.#lanes.sorted()
  }

  #endOf(id: TaskId, attempt: Running, view: ClusterView): number | undefined {
    const task = view.task(id)
    return task === undefined ? undefined : this.#times.endOf(task, attempt, view)
  }

  #meet(task: TaskView): void {
    this.#groupOf.set(task.id, task.group)
    if (this.#plans.get(task.group)?.has(task.id) === true) return
    const strangers = this.#strangers.get(task.group)
    if (strangers === undefined) this.#strangers.set(task.group, [task.id])
    else strangers.push(task.id)
  }

  /** Plans the groups of which something new is ready; what was known of one and runs or waits is part of its new plan. */
  #plan(view: ClusterView): void {
    for (const [group, strangers] of this.#strangers) {
      const known = this.#plans.has(group) ? this.#current() : []
      const roots = [...strangers, ...known].flatMap((id) => {
        const task = view.task(id)
        return task?.group === group ? [task] : []
      })
      if (!this.#since.has(group)) this.#since.set(group, view.now)
      if (roots.length === 0) {
        this.#forget(group)
        continue
      }
      const plan = new DagPlan(roots, view, this.#estimator)
      this.#plans.set(group, plan)
      for (const waiting of this.#waiting.all())
        if (waiting.group === group) waiting.place = plan.placeOf(waiting.id)
    }
    this.#strangers.clear()
    this.#stale = true
  }

  #forget(group: TaskId): void {
    this.#plans.delete(group)
    this.#since.delete(group)
  }

  #current(): TaskId[] {
    const waiting = Array.from(this.#waiting.all(), ({ id }) => id)
    return [...waiting, ...this.#running.keys(), ...this.#copies.keys()]
  }

  /** Rule 3. */
  #rank(view: ClusterView): void {
    this.#stale = false
    this.#times.limit()
    for (const plan of this.#plans.values()) {
      if (plan.news >= Math.max(LEAST_NEWS, plan.left * NEWS_SHARE)) {
        plan.rank((task) => this.#times.typical(task))
      }
    }
    const slots = view.nodes().reduce((sum, node) => sum + node.slots, 0)
    for (const waiting of this.#waiting.all()) {
      const plan = this.#plans.get(waiting.group)
      const remainingMs = plan?.remainingMs ?? 0
      const ageMs = view.now - (this.#since.get(waiting.group) ?? view.now)
      waiting.groupMs = ageMs > (PATIENCE * remainingMs) / slots ? 0 : remainingMs
      waiting.rank = plan?.rankAt(waiting.place) ?? 0
    }
    this.#waiting.sort()
  }
}
