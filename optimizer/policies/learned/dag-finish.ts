/**
 * DAGs on nodes that differ: the task with the longest predicted way to the end of its DAG goes where it is predicted to *finish*
 * first, busy nodes included; when that node is busy the task waits for it, and the next task is looked at (HEFT's rules, decided
 * anew each time: Topcuoglu, Hariri & Wu, IEEE TPDS 2002, §4).
 *
 * 1. Larger `priority` first, then the group with the least predicted work left, then the upward rank.
 * 2. What is left of a running attempt is predicted from how long it has run, so one that outlives its prediction does not keep
 *    others waiting for a node that will be free any moment now, for ever.
 * 3. Ranks are worked out again as completions move predictions: after an eighth of the tasks, at least five.
 *
 * A decision costs O(running + tasks looked at × nodes); at most `LOOKED_AT` tasks are.
 */
import type { NodeId, TaskId } from '../../../base/ids.ts'
import type { AttemptFeedback, ClusterView, NodeView, TaskView } from '../../../scheduler/policy.ts'
import type { ClassKey, Estimator } from '../../estimate.ts'
import { dagFrom, upwardRanks } from '../dag.ts'
import type { Dag } from '../dag.ts'
import { GroupWork } from '../group-work.ts'
import { takes } from '../node-rules.ts'
import type { GroupQueue } from './group-queue.ts'
import type { Candidate } from './independent-queue.ts'

const LEAST_NEWS = 5
const NEWS_SHARE = 1 / 8
const LOOKED_AT = 256

interface Waiting {
  readonly id: TaskId
  readonly group: TaskId
  readonly priority: number
  groupMs: number
  rank: number
}

interface Running {
  readonly node: NodeId
  readonly at: number
}

export class FinishFirst implements GroupQueue {
  readonly #estimator: Estimator
  readonly #work: GroupWork
  readonly #ranks = new Map<TaskId, number>()
  readonly #running = new Map<TaskId, Running>()
  /** Predicted work left by group, as of the last ranking: one value for all tasks of a group. */
  readonly #groupMs = new Map<TaskId, number>()
  /** Ready tasks by rule 1. */
  #waiting: Waiting[] = []
  readonly #expected = new Map<ClassKey, Map<string, number>>()
  /** Completions since ranks were worked out, and of how many tasks. */
  #news = 0
  #ranked = 0
  /** Ready tasks whose ranks are not known. */
  #fresh: TaskId[] = []
  #quiet = false

  constructor(estimator: Estimator) {
    this.#estimator = estimator
    this.#work = new GroupWork(estimator)
  }

  get waiting(): number {
    return this.#waiting.length
  }

  reset(): void {
    this.#work.clear()
    this.#ranks.clear()
    this.#groupMs.clear()
    this.#running.clear()
    this.#waiting = []
    this.#fresh = []
    this.#quiet = false
  }

  resume(task: TaskView, node: NodeId, placedAt: number, view: ClusterView): void {
    this.#work.discover(task, view)
    this.#running.set(task.id, { node, at: placedAt })
  }

  add(task: TaskView, view: ClusterView): void {
    this.#work.discover(task, view)
    if (!this.#ranks.has(task.id) || !this.#groupMs.has(task.group)) this.#fresh.push(task.id)
    const waiting = {
      id: task.id,
      group: task.group,
      priority: task.priority,
      groupMs: this.#groupMs.get(task.group) ?? 0,
      rank: this.#ranks.get(task.id) ?? 0
    }
    this.#waiting.splice(this.#positionOf(waiting), 0, waiting)
    this.#quiet = false
  }

  gone(id: TaskId, node: NodeId | undefined, view: ClusterView): void {
    const at = this.#waiting.findIndex((waiting) => waiting.id === id)
    if (at < 0) return
    this.#waiting.splice(at, 1)
    if (node !== undefined) this.#running.set(id, { node, at: view.now })
  }

  ended({ task, node }: AttemptFeedback): void {
    this.#quiet = false
    if (this.#running.get(task.id)?.node !== node) return
    this.#running.delete(task.id)
    this.#news++
  }

  finished(id: TaskId): void {
    const group = this.#work.groupOf(id)
    if (group !== undefined && this.#work.finished(id)) this.#groupMs.delete(group)
    this.#ranks.delete(id)
    this.#running.delete(id)
  }

  nodesChanged(): void {
    this.#quiet = false
  }

  peek(view: ClusterView): Candidate | undefined {
    if (this.#quiet || this.#waiting.length === 0) return undefined
    const news = Math.max(LEAST_NEWS, this.#ranked * NEWS_SHARE)
    if (this.#news >= news) this.#rankAll(view)
    else if (this.#fresh.length > 0) this.#rank(this.#fresh, view)
    this.#fresh = []
    const candidate = this.#choose(view)
    this.#quiet = candidate === undefined
    return candidate
  }

  #choose(view: ClusterView): Candidate | undefined {
    const nodes = view.nodes()
    let open = 0
    for (const node of nodes) if (node.freeSlots > 0) open++
    if (open === 0) return undefined
    const freeAt = this.#freeAt(nodes, view)
    this.#expected.clear()
    let looked = 0
    for (const waiting of this.#waiting) {
      if (open === 0 || looked++ >= LOOKED_AT) return undefined
      const task = view.task(waiting.id)
      const choice = task === undefined ? undefined : this.#earliest(task, nodes, freeAt, view)
      if (task === undefined || choice === undefined) continue
      const { node, lanes, endsAt } = choice
      const opens = (lanes[0] ?? Infinity) <= view.now
      if (opens && takes(task, node, view)) {
        return { taskId: task.id, node: node.id, priority: waiting.priority, areaMs: waiting.groupMs }
      }
      // It waits for that node, so others may not count on it.
      lanes[0] = endsAt
      lanes.sort((a, b) => a - b)
      if (opens && lanes[0] > view.now) open--
    }
    return undefined
  }

  #earliest(
    task: TaskView,
    nodes: readonly NodeView[],
    freeAt: readonly number[][],
    view: ClusterView
  ): { node: NodeView; lanes: number[]; endsAt: number } | undefined {
    let best: { node: NodeView; lanes: number[]; endsAt: number } | undefined
    const expected = this.#expectedOf(task)
    for (let index = 0; index < nodes.length; index++) {
      const node = nodes[index]
      const lanes = freeAt[index]
      if (node === undefined || lanes?.[0] === undefined || !view.eligible(task, node)) continue
      if (node.id === task.lastFailedOn && nodes.length > 1) continue
      let ms = expected.get(node.profile)
      if (ms === undefined) {
        ms = this.#estimator.predict(task, node).meanMs
        expected.set(node.profile, ms)
      }
      const endsAt = Math.max(lanes[0], view.now) + ms
      if (best === undefined || endsAt < best.endsAt) best = { node, lanes, endsAt }
    }
    return best
  }

  /** Predicted run times of the task's class by hardware class, as far as this decision has asked. */
  #expectedOf(task: TaskView): Map<string, number> {
    const key = this.#estimator.classOf(task)
    let expected = this.#expected.get(key)
    if (expected === undefined) {
      expected = new Map()
      this.#expected.set(key, expected)
    }
    return expected
  }

  /** When each slot of each node is predicted to be free, earliest first. */
  #freeAt(nodes: readonly NodeView[], view: ClusterView): number[][] {
    const ends = new Map<NodeId, number[]>()
    for (const [id, { node, at }] of this.#running) {
      const task = view.task(id)
      const host = view.node(node)
      if (task === undefined || host === undefined) continue
      const leftMs = this.#estimator.predict(task, host).remainingMs(view.now - at)
      const list = ends.get(node)
      // One that outlives its prediction may end at any moment, but not now.
      const end = view.now + Math.max(1, leftMs)
      if (list === undefined) ends.set(node, [end])
      else list.push(end)
    }
    return nodes.map((node) => {
      const lanes = [...new Array<number>(node.freeSlots).fill(view.now), ...(ends.get(node.id) ?? [])]
      return lanes.sort((a, b) => a - b)
    })
  }

  #rankAll(view: ClusterView): void {
    this.#news = 0
    this.#groupMs.clear()
    this.#ranked = this.#rank([...this.#waiting.map(({ id }) => id), ...this.#running.keys()], view)
  }

  /** Ranks these tasks and all that depends on them; how many that is. */
  #rank(ids: readonly TaskId[], view: ClusterView): number {
    const roots = ids.map((id) => view.task(id)).filter((task) => task !== undefined)
    const dag = dagFrom(roots, view)
    const ranks = upwardRanks(dag, this.#costs(dag, view))
    dag.ids.forEach((id, index) => this.#ranks.set(id, ranks[index] ?? 0))
    for (const { group } of roots) {
      if (!this.#groupMs.has(group)) this.#groupMs.set(group, this.#work.remainingMs(group, view))
    }
    for (const waiting of this.#waiting) {
      waiting.groupMs = this.#groupMs.get(waiting.group) ?? 0
      waiting.rank = this.#ranks.get(waiting.id) ?? 0
    }
    this.#waiting.sort(compare)
    return dag.ids.length
  }

  /** Predicted run time of each task on a typical node; each class is asked about once. */
  #costs(dag: Dag, view: ClusterView): Float64Array {
    const byClass = new Map<ClassKey, number>()
    return Float64Array.from(dag.ids, (id) => {
      const task = view.task(id)
      if (task === undefined) return 0
      const key = this.#estimator.classOf(task)
      const ms = byClass.get(key) ?? this.#estimator.predict(task).meanMs
      byClass.set(key, ms)
      return ms
    })
  }

  #positionOf(waiting: Waiting): number {
    let low = 0
    let high = this.#waiting.length
    while (low < high) {
      const middle = (low + high) >> 1
      const other = this.#waiting[middle]
      if (other !== undefined && compare(other, waiting) <= 0) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** Rule 1; the order of arrival among equals. */
function compare(a: Waiting, b: Waiting): number {
  return b.priority - a.priority || a.groupMs - b.groupMs || b.rank - a.rank || a.id - b.id
}
