/**
 * One DAG as arrays: its tasks by place, and the longest predicted way from each to the end (the upward rank of Topcuoglu, Hariri & Wu,
 * IEEE TPDS 2002, §4), which is worked out again in one pass whenever predictions have moved.
 *
 * Tasks of one class that lead to the same tasks have one place, and with it one rank: a stage of a thousand tasks costs what one costs
 * (lists of dependents are compared by what is in them, once each). Edges are kept by list, so n × m of them between two stages
 * cost n + m after that.
 */
import type { TaskId } from '../../../base/ids.ts'
import type { ClusterView, TaskView } from '../../../scheduler/policy.ts'
import type { ClassKey, Estimator } from '../../estimate.ts'
import { sampleOf } from '../sample.ts'

export const NOWHERE = -1

interface ClassCount {
  /** Stands for the class in predictions. */
  readonly sample: TaskView
  /** Tasks that are not finished. */
  left: number
}

export class DagPlan {
  readonly #placeOf = new Map<TaskId, number>()
  readonly #classes: ClassCount[] = []
  /** By place. */
  readonly #classOf: number[] = []
  readonly #listOf: number[] = []
  readonly #ranks: Float64Array
  /** Places of dependents, by list of dependents. */
  readonly #lists: (readonly number[])[]
  readonly #listRanks: Float64Array
  /** Places, dependents before what they depend on. */
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
    this.left = tasks.length
    const classIndexes = new Map<ClassKey, number>()
    const lists = new DependentLists()
    /** By class: places by list. */
    const places: Map<number, number>[] = []
    for (const task of tasks) {
      const key = estimator.classOf(task)
      let at = classIndexes.get(key)
      if (at === undefined) {
        at = this.#classes.push({ sample: sampleOf(task), left: 0 }) - 1
        classIndexes.set(key, at)
        places.push(new Map())
      }
      const own = this.#classes[at]
      if (own !== undefined) own.left++
      const list = lists.numberOf(task.dependents)
      let place = places[at]?.get(list)
      if (place === undefined) {
        place = this.#classOf.push(at) - 1
        this.#listOf.push(list)
        places[at]?.set(list, place)
      }
      this.#placeOf.set(task.id, place)
    }
    this.#lists = lists.all.map((ids) => this.#placesOf(ids))
    this.#ranks = new Float64Array(this.#classOf.length)
    this.#listRanks = new Float64Array(this.#lists.length)
    this.#order = this.#dependentsFirst(this.#classOf.length)
  }

  get ids(): Iterable<TaskId> {
    return this.#placeOf.keys()
  }

  has(id: TaskId): boolean {
    return this.#placeOf.has(id)
  }

  /** Where the task stands in the plan; `NOWHERE` for a stranger. */
  placeOf(id: TaskId): number {
    return this.#placeOf.get(id) ?? NOWHERE
  }

  /** The longest predicted way to the end from a task of this place on, itself included, in milliseconds; 0 for nowhere. */
  rankAt(place: number): number {
    return this.#ranks[place] ?? 0
  }

  /** The same without the task itself. */
  belowOf(id: TaskId): number {
    return this.#listRanks[this.#listOf[this.placeOf(id)] ?? NOWHERE] ?? 0
  }

  /** The task will not run again. */
  finished(id: TaskId): void {
    const own = this.#classes[this.#classOf[this.placeOf(id)] ?? NOWHERE]
    if (own === undefined) return
    own.left--
    this.left--
    this.news++
  }

  /** Works out ranks and what is left, each class at `msOf` one of its tasks. */
  rank(msOf: (task: TaskView) => number): void {
    this.news = 0
    this.remainingMs = 0
    const costs = this.#classes.map(({ sample, left }) => {
      if (left === 0) return 0
      const ms = msOf(sample)
      this.remainingMs += left * ms
      return ms
    })
    this.#listRanks.fill(NOWHERE)
    for (const place of this.#order) {
      const list = this.#listOf[place] ?? NOWHERE
      this.#ranks[place] =
        (costs[this.#classOf[place] ?? NOWHERE] ?? 0) + (list === NOWHERE ? 0 : this.#longest(list))
    }
  }

  #longest(list: number): number {
    const known = this.#listRanks[list] ?? NOWHERE
    if (known !== NOWHERE) return known
    let longest = 0
    for (const child of this.#lists[list] ?? []) longest = Math.max(longest, this.#ranks[child] ?? 0)
    this.#listRanks[list] = longest
    return longest
  }

  #placesOf(ids: readonly TaskId[]): number[] {
    const places = new Set<number>()
    for (const id of ids) {
      const place = this.#placeOf.get(id)
      if (place !== undefined) places.add(place)
    }
    return [...places]
  }

  /** Each list is opened once, without recursion: a DAG may be as deep as it is long. */
  #dependentsFirst(count: number): number[] {
    const order: number[] = []
    const placed = new Uint8Array(count)
    const opened = new Uint8Array(this.#lists.length)
    for (let start = 0; start < count; start++) {
      const stack = [start]
      for (let place = stack.at(-1); place !== undefined; place = stack.at(-1)) {
        const list = this.#listOf[place] ?? NOWHERE
        if (placed[place] === 0 && list !== NOWHERE && opened[list] === 0) {
          opened[list] = 1
          for (const child of this.#lists[list] ?? []) if (placed[child] === 0) stack.push(child)
          continue
        }
        stack.pop()
        if (placed[place] === 1) continue
        placed[place] = 1
        order.push(place)
      }
    }
    return order
  }
}

/** Lists of dependents, each kept once: tasks of a stage have equal ones, and where they come from a log no two are one array. */
class DependentLists {
  readonly all: (readonly TaskId[])[] = []
  /** Numbers by a hash of what is in the list. */
  readonly #byHash = new Map<number, number[]>()
  #last: readonly TaskId[] | undefined
  #lastNumber = NOWHERE

  /** The list's number, given if it has none yet; `NOWHERE` for the empty one. */
  numberOf(list: readonly TaskId[]): number {
    if (list.length === 0) return NOWHERE
    if (list !== this.#last) {
      this.#last = list
      this.#lastNumber = this.#find(list)
    }
    return this.#lastNumber
  }

  #find(list: readonly TaskId[]): number {
    const hash = hashOf(list)
    const alike = this.#byHash.get(hash)
    const known = alike?.find((number) => isEqual(this.all[number] ?? [], list))
    if (known !== undefined) return known
    const number = this.all.push(list) - 1
    if (alike === undefined) this.#byHash.set(hash, [number])
    else alike.push(number)
    return number
  }
}

/** FNV-1a over the numbers. */
function hashOf(list: readonly TaskId[]): number {
  let code = 0x811c9dc5
  for (const id of list) code = Math.imul(code ^ id, 0x01000193)
  return code ^ list.length
}

function isEqual(one: readonly TaskId[], other: readonly TaskId[]): boolean {
  return one === other || (one.length === other.length && one.every((id, at) => id === other[at]))
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
