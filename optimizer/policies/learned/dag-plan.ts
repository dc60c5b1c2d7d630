/**
 * One DAG as arrays: its tasks by class, and the longest predicted way from each to the end (the upward rank of Topcuoglu, Hariri & Wu,
 * IEEE TPDS 2002, §4), which is worked out again in one pass whenever predictions have moved.
 *
 * Tasks that share one list of dependents (a stage of tasks that all lead to the next) share its edges, so n × m edges between two
 * stages cost n + m.
 */
import type { TaskId } from '../../../base/ids.ts'
import type { ClusterView, TaskView } from '../../../scheduler/policy.ts'
import type { ClassKey, Estimator } from '../../estimate.ts'

const NONE = -1

interface ClassCount {
  /** A task that stands for the class in predictions. */
  readonly sample: TaskId
  /** Tasks that are not finished. */
  left: number
}

export class DagPlan {
  readonly #indexOf = new Map<TaskId, number>()
  readonly #classes: ClassCount[] = []
  /** By task. */
  readonly #classOf: Int32Array
  readonly #listOf: Int32Array
  readonly #ranks: Float64Array
  /** By list of dependents. */
  readonly #lists: (readonly number[])[]
  readonly #listRanks: Float64Array
  /** Indexes of tasks, dependents before what they depend on. */
  readonly #order: readonly number[]
  /** Tasks that are not finished. */
  left: number
  /** Predicted run time of all of them, as of the last ranking. */
  remainingMs = 0
  /** Completions since ranks were worked out. */
  news = Infinity

  /** Everything that can be reached from these tasks. */
  constructor(roots: readonly TaskView[], view: ClusterView, estimator: Estimator) {
    const tasks = reachable(roots, view)
    tasks.forEach((task, index) => this.#indexOf.set(task.id, index))
    this.left = tasks.length
    this.#classOf = new Int32Array(tasks.length)
    this.#listOf = new Int32Array(tasks.length).fill(NONE)
    this.#ranks = new Float64Array(tasks.length)
    const classIndexes = new Map<ClassKey, number>()
    const listIndexes = new Map<readonly TaskId[], number>()
    this.#lists = []
    tasks.forEach((task, index) => {
      const key = estimator.classOf(task)
      let at = classIndexes.get(key)
      if (at === undefined) {
        at = this.#classes.push({ sample: task.id, left: 0 }) - 1
        classIndexes.set(key, at)
      }
      this.#classOf[index] = at
      const own = this.#classes[at]
      if (own !== undefined) own.left++
      if (task.dependents.length === 0) return
      let list = listIndexes.get(task.dependents)
      if (list === undefined) {
        list = this.#lists.push(this.#indexesOf(task.dependents)) - 1
        listIndexes.set(task.dependents, list)
      }
      this.#listOf[index] = list
    })
    this.#listRanks = new Float64Array(this.#lists.length)
    this.#order = this.#dependentsFirst(tasks.length)
  }

  has(id: TaskId): boolean {
    return this.#indexOf.has(id)
  }

  /** The longest predicted way to the end from the task on, itself included, in milliseconds; 0 for a stranger. */
  rankOf(id: TaskId): number {
    return this.#ranks[this.#indexOf.get(id) ?? NONE] ?? 0
  }

  /** The same without the task itself. */
  belowOf(id: TaskId): number {
    const index = this.#indexOf.get(id)
    return index === undefined ? 0 : (this.#listRanks[this.#listOf[index] ?? NONE] ?? 0)
  }

  /** The task will not run again. */
  finished(id: TaskId): void {
    const index = this.#indexOf.get(id)
    const own = index === undefined ? undefined : this.#classes[this.#classOf[index] ?? NONE]
    if (own === undefined) return
    own.left--
    this.left--
    this.news++
  }

  /** Works out ranks and what is left, each class at `msOf` one of its tasks. */
  rank(view: ClusterView, msOf: (task: TaskView) => number): void {
    this.news = 0
    this.remainingMs = 0
    const costs = this.#classes.map(({ sample, left }) => {
      const task = left === 0 ? undefined : view.task(sample)
      if (task === undefined) return 0
      const ms = msOf(task)
      this.remainingMs += left * ms
      return ms
    })
    this.#listRanks.fill(NONE)
    for (const index of this.#order) {
      const list = this.#listOf[index] ?? NONE
      this.#ranks[index] =
        (costs[this.#classOf[index] ?? NONE] ?? 0) + (list === NONE ? 0 : this.#longest(list))
    }
  }

  #longest(list: number): number {
    const known = this.#listRanks[list] ?? NONE
    if (known !== NONE) return known
    let longest = 0
    for (const child of this.#lists[list] ?? []) longest = Math.max(longest, this.#ranks[child] ?? 0)
    this.#listRanks[list] = longest
    return longest
  }

  #indexesOf(ids: readonly TaskId[]): number[] {
    const indexes: number[] = []
    for (const id of ids) {
      const index = this.#indexOf.get(id)
      if (index !== undefined) indexes.push(index)
    }
    return indexes
  }

  /** Each list is opened once, without recursion: a DAG may be as deep as it is long. */
  #dependentsFirst(count: number): number[] {
    const order: number[] = []
    const placed = new Uint8Array(count)
    const opened = new Uint8Array(this.#lists.length)
    for (let start = 0; start < count; start++) {
      const stack = [start]
      for (let index = stack.at(-1); index !== undefined; index = stack.at(-1)) {
        const list = this.#listOf[index] ?? NONE
        if (placed[index] === 0 && list !== NONE && opened[list] === 0) {
          opened[list] = 1
          for (const child of this.#lists[list] ?? []) if (placed[child] === 0) stack.push(child)
          continue
        }
        stack.pop()
        if (placed[index] === 1) continue
        placed[index] = 1
        order.push(index)
      }
    }
    return order
  }
}

function reachable(roots: readonly TaskView[], view: ClusterView): TaskView[] {
  const found: TaskView[] = []
  const seen = new Set<TaskId>()
  const walked = new Set<readonly TaskId[]>()
  const visit = (task: TaskView): void => {
    if (seen.has(task.id)) return
    seen.add(task.id)
    found.push(task)
  }
  roots.forEach(visit)
  for (const task of found) {
    if (walked.has(task.dependents)) continue
    walked.add(task.dependents)
    for (const id of task.dependents) {
      const dependent = seen.has(id) ? undefined : view.task(id)
      if (dependent !== undefined) visit(dependent)
    }
  }
  return found
}
