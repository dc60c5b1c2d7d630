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
 * A decision costs O(nodes + what ended or is due + tasks looked at × nodes); at most `LOOKED_AT` tasks are for which some node has room, and as many others,
 * which wait for nodes that those might count on. The rest of the others are passed over.
 */
import type { NodeId, TaskId } from '../../../base/ids.ts'
import { timestampMs } from '../../../base/units.ts'
import type { TimestampMs } from '../../../base/units.ts'
import type { AttemptFeedback, ClusterView, PlacementChoice, TaskView } from '../../../scheduler/policy.ts'
import type { Estimator } from '../../estimate.ts'
import { EventHeap } from '../../sim/event-heap.ts'
import { takes } from '../node-rules.ts'
import { earliest } from './dag-choice.ts'
import type { Choice } from './dag-choice.ts'
import { Lanes } from './dag-lanes.ts'
import { DagPlan, NOWHERE } from './dag-plan.ts'
import { DagTimes } from './dag-times.ts'
import type { Running } from './dag-times.ts'
import { DagQueue } from './dag-waiting.ts'
import type { GroupQueue } from './group-queue.ts'
import type { Candidate } from './independent-queue.ts'

const LEAST_NEWS = 5
/** Attempts that are over may be remembered beside those that are not: so many, and as many again. */
const SLACK = 1024
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
  /** Attempts by when to predict their ends again. */
  #due = new EventHeap<Running>()
  #stale = false
  /** When the first group that waits will have waited out of proportion (rule 1). */
  #owedAt = Infinity
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

  /** Groups, tasks that are not over and attempts that run: what memory grows with. */
  get remembered(): number {
    const ofGroups = this.#plans.size + this.#since.size + this.#strangers.size
    return ofGroups + this.#groupOf.size + this.#times.remembered + this.#running.size + this.#copies.size
  }

  reset(view: ClusterView): void {
    this.#plans.clear()
    this.#groupOf.clear()
    this.#since.clear()
    this.#running.clear()
    this.#copies.clear()
    this.#strangers.clear()
    this.#waiting.clear()
    this.#lay(view)
    this.#quiet = false
  }

  resume(task: TaskView, node: NodeId, placedAt: number, view: ClusterView): void {
    this.#meet(task)
    this.#begin(this.#running, task, node, placedAt, view)
  }

  add(task: TaskView, view: ClusterView): void {
    this.#meet(task)
    this.#end(this.#running, task.id)
    this.#end(this.#copies, task.id)
    const plan = this.#plans.get(task.group)
    const place = plan?.placeOf(task.id) ?? NOWHERE
    const groupMs = this.#groupMs(task.group, plan, slotsOf(view), view)
    const turn = { place, groupMs, rank: plan?.rankAt(place) ?? 0 }
    this.#waiting.add(task, turn, view)
    this.#quiet = false
  }

  gone(id: TaskId, node: NodeId | undefined, view: ClusterView): void {
    if (!this.#waiting.remove(id)) return
    const task = node === undefined ? undefined : view.task(id)
    if (node !== undefined && task !== undefined) this.#begin(this.#running, task, node, view.now, view)
  }

  ended({ task, node }: AttemptFeedback): void {
    this.#quiet = false
    this.#times.ended(task)
    if (this.#copies.get(task.id)?.node === node) this.#end(this.#copies, task.id)
    else if (this.#running.get(task.id)?.node === node) this.#end(this.#running, task.id)
  }

  finished(id: TaskId): void {
    this.#end(this.#running, id)
    this.#end(this.#copies, id)
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
    this.#lay(view)
    this.#quiet = false
  }

  peek(view: ClusterView): Candidate | undefined {
    if (this.#waiting.size === 0) return undefined
    const isOwed = view.now >= this.#owedAt
    if (this.#quiet && !isOwed && view.now < this.#againAt) return undefined
    this.#times.decide()
    if (this.#strangers.size > 0) this.#plan(view)
    if (this.#stale || isOwed) this.#rank(view)
    const candidate = this.#choose(view)
    this.#quiet = candidate === undefined
    if (this.#quiet) this.#againAt = Math.max(this.#lanes.surprisedAt, view.now + 1)
    return candidate
  }

  /** While tasks wait for busy nodes beside idle ones: when an attempt will have run for surprisingly long, or a group is owed its turn. */
  wakeAt(view: ClusterView): TimestampMs | undefined {
    if (!this.#quiet || this.#waiting.size === 0 || this.#againAt === Infinity) return undefined
    if (!view.nodes().some(({ freeSlots }) => freeSlots > 0)) return undefined
    return timestampMs(Math.ceil(Math.max(Math.min(this.#againAt, this.#owedAt), view.now)))
  }

  /** Rule 4. To be asked only when nothing can be placed. */
  copy(view: ClusterView): PlacementChoice | undefined {
    if (this.#running.size === 0) return undefined
    let open = openNodes(view)
    if (open === 0) return undefined
    if (this.#waiting.size === 0) this.#times.decide()
    this.#freeAt(view)
    for (const { task, running } of this.#latest(view)) {
      if (open === 0) return undefined
      const choice = this.#sooner(task, running, view)
      if (choice === undefined) continue
      const { node, index, lane, opens, endsAt } = choice
      if (opens && takes(task, node, view)) {
        this.#begin(this.#copies, task, node.id, view.now, view)
        return { taskId: task.id, node: node.id }
      }
      const isLeftFree = this.#lanes.occupy(index, lane, endsAt)
      if (opens && !isLeftFree) open--
    }
    return undefined
  }

  copied({ taskId, node }: PlacementChoice, at: number, view: ClusterView): void {
    const task = view.task(taskId)
    if (task !== undefined && this.#running.has(taskId)) this.#begin(this.#copies, task, node, at, view)
  }

  notCopied(id: TaskId): void {
    this.#end(this.#copies, id)
  }

  /** Attempts that some node may be quick enough to copy; the one whose DAG may have to wait longest for it comes first. */
  #latest(view: ClusterView): { readonly task: TaskView; readonly running: Running }[] {
    const late: { readonly task: TaskView; readonly running: Running; readonly doneAt: number }[] = []
    const nodes = view.nodes()
    for (const running of this.#running.values()) {
      if (!running.isIdempotent || this.#copies.has(running.id)) continue
      const task = view.task(running.id)
      if (task === undefined) continue
      const lateAt = this.#times.lateEndOf(task, running, view)
      const { factors, least } = this.#times.row(task, nodes)
      const host = factors[this.#lanes.indexOf(running.node) ?? -1] ?? 0
      // As in `#sooner`, on a node that is free and the quickest of all.
      const soonest = view.now + (least / host) * (lateAt - running.at)
      if (soonest >= this.#copyBefore(lateAt, view)) continue
      late.push({ task, running, doneAt: lateAt + (this.#plans.get(task.group)?.belowOf(task.id) ?? 0) })
    }
    return late.sort((a, b) => b.doneAt - a.doneAt)
  }

  /** Where a copy would end first, if that is soon enough. */
  #sooner(task: TaskView, running: Running, view: ClusterView): Choice | undefined {
    const host = view.node(running.node)
    if (host === undefined) return undefined
    // It is the same work on both nodes: how long it has run for says as much of one as of the other.
    const perMs = (running.lateAt - running.at) / this.#times.onNode(task, host)
    const before = this.#copyBefore(running.lateAt, view)
    return earliest(task, this.#lanes, this.#times, view, { perMs, before, besides: running.node })
  }

  /** When a copy must have ended of what ends then if it turns out long. */
  #copyBefore(lateAt: number, { now }: ClusterView): number {
    return now + (lateAt - now) * (1 - (this.#plans.size > 1 ? LEAST_SAVED : LEAST_SAVED_ALONE))
  }

  #choose(view: ClusterView): Candidate | undefined {
    let open = openNodes(view)
    if (open === 0) return undefined
    this.#freeAt(view)
    this.#waiting.decide()
    let looked = 0
    let others = 0
    for (const waiting of this.#waiting.inTurn) {
      if (open === 0 || looked >= LOOKED_AT) return undefined
      if (!this.#waiting.isShut(waiting, view)) looked++
      else if (others++ >= LOOKED_AT) continue
      const task = view.task(waiting.id)
      const choice = task === undefined ? undefined : earliest(task, this.#lanes, this.#times, view)
      if (task === undefined || choice === undefined) continue
      const { node, index, lane, opens, endsAt } = choice
      if (opens && takes(task, node, view)) {
        return { taskId: task.id, node: node.id, priority: waiting.priority, areaMs: waiting.groupMs }
      }
      // It waits for that node, so others may not count on it.
      const isLeftFree = this.#lanes.occupy(index, lane, endsAt)
      if (opens && !isLeftFree) open--
    }
    return undefined
  }

  /** Brings the lanes up to now. */
  #freeAt(view: ClusterView): void {
    while (this.#due.nextTime <= view.now) {
      const attempt = this.#due.pop()
      const task = attempt === undefined || attempt.isOver ? undefined : view.task(attempt.id)
      if (attempt === undefined || task === undefined) continue
      this.#times.endOf(task, attempt, view)
      this.#lanes.moved(attempt)
      this.#watch(attempt)
    }
    this.#lanes.begin(view.nodes(), view.now)
  }

  #begin(into: Map<TaskId, Running>, task: TaskView, id: NodeId, at: number, view: ClusterView): void {
    this.#end(into, task.id)
    const attempt = this.#times.begin(task, { node: view.node(id), id, at, isCopy: into === this.#copies })
    into.set(task.id, attempt)
    this.#lanes.add(attempt)
    this.#watch(attempt)
  }

  #end(of: Map<TaskId, Running>, id: TaskId): void {
    const attempt = of.get(id)
    if (attempt === undefined) return
    of.delete(id)
    attempt.isOver = true
    this.#lanes.remove(attempt)
  }

  /** What is predicted to end at no time at all is never due. Attempts that ended long before they were due are dropped now and then. */
  #watch(attempt: Running): void {
    if (!Number.isNaN(attempt.lookAt)) this.#due.push(attempt.lookAt, attempt)
    const live = this.#running.size + this.#copies.size
    if (this.#due.size <= 2 * live + SLACK) return
    this.#due = new EventHeap()
    for (const attempts of [this.#running, this.#copies])
      for (const other of attempts.values())
        if (!Number.isNaN(other.lookAt)) this.#due.push(other.lookAt, other)
  }

  /** There are these nodes now. */
  #lay(view: ClusterView): void {
    const nodes = view.nodes()
    this.#times.nodesChanged(nodes)
    this.#lanes.lay(nodes)
    for (const attempts of [this.#running, this.#copies])
      for (const attempt of attempts.values()) this.#lanes.add(attempt)
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
      // Also those that may end without ever being ready.
      for (const id of plan.ids) this.#groupOf.set(id, group)
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
    this.#owedAt = Infinity
    this.#times.limit()
    for (const plan of this.#plans.values()) {
      if (plan.news >= Math.max(LEAST_NEWS, plan.left * NEWS_SHARE)) {
        plan.rank((task) => this.#times.typical(task))
      }
    }
    const slots = slotsOf(view)
    for (const waiting of this.#waiting.all()) {
      const plan = this.#plans.get(waiting.group)
      waiting.groupMs = this.#groupMs(waiting.group, plan, slots, view)
      waiting.rank = plan?.rankAt(waiting.place) ?? 0
    }
    this.#waiting.sort()
  }

  /** By what a group's turn goes (rule 1): what it has left, or nothing when it is owed its turn. */
  #groupMs(group: TaskId, plan: DagPlan | undefined, slots: number, { now }: ClusterView): number {
    const remainingMs = plan?.remainingMs ?? 0
    const owedAt = (this.#since.get(group) ?? now) + (PATIENCE * remainingMs) / slots
    if (now > owedAt) return 0
    this.#owedAt = Math.min(this.#owedAt, owedAt + 1)
    return remainingMs
  }
}

function slotsOf(view: ClusterView): number {
  return view.nodes().reduce((sum, node) => sum + node.slots, 0)
}

/** Nodes that have a free slot. */
function openNodes(view: ClusterView): number {
  let open = 0
  for (const { freeSlots } of view.nodes()) if (freeSlots > 0) open++
  return open
}
