/**
 * The waiting tasks of a policy, held by shape and class so that a decision costs O(shapes) and a new score O(log classes).
 *
 * A *shape* is what decides whether a task fits: resources, selector, executor, handler. A *class* is what decides its
 * order: tasks of one class share a score and leave first in, first out. Per shape there is a heap of classes.
 *
 * 1. Lower scores first; among equal scores the task that was added first.
 * 2. Only ids are kept: a `TaskView` is valid for one call.
 * 3. A blocked class keeps its tasks but is offered to nobody.
 * 4. Memory is bounded by what waits, also behind a task that waits for ever. One that left and comes again while its old place is kept has that.
 */
import type { TaskId } from '../../base/ids.ts'
import type { TaskView } from '../../scheduler/policy.ts'
import type { ClassKey } from '../estimate.ts'

/** The tasks of one class and one shape. */
interface Group {
  readonly key: ClassKey
  readonly shape: Shape
  /** In the order in which they came, among others that are here no more. */
  ids: TaskId[]
  sequences: number[]
  /** Index of the first task that is still here. */
  head: number
  /** Tasks that are still here. */
  waiting: number
  score: number
  /** Position in the shape's heap; −1 while empty or blocked. */
  position: number
}

/** Tasks that fit the same nodes. Forgotten with its last task. */
export interface Shape {
  readonly key: string
  readonly heap: Group[]
  /** Its tasks here, blocked ones too. */
  waiting: number
  /** How much of the log of freed nodes this shape has tried in vain; −1 before it was refused at all. */
  triedUpTo: number
  /** Whether some node could run its tasks, as far as whoever owns the queues keeps account of that; undefined before it is known. */
  placeable: boolean | undefined
}

/** The class that is next within its shape. */
export interface Head {
  readonly shape: Shape
  readonly taskId: TaskId
  readonly score: number
  readonly sequence: number
}

/** So many that are here no more may stand in a group beside as many as are. */
const SLACK = 1024

export class ClassQueues {
  readonly #score: (key: ClassKey, head: TaskId) => number
  readonly #shapes = new Map<string, Shape>()
  readonly #groups = new Map<ClassKey, Map<Shape, Group>>()
  readonly #homes = new Map<TaskId, Group>()
  readonly #blocked = new Set<ClassKey>()
  #sequence = 0

  /** `score` is asked for a class when it gets its first task, and at `rescore`. */
  constructor(score: (key: ClassKey, head: TaskId) => number) {
    this.#score = score
  }

  get size(): number {
    return this.#homes.size
  }

  /** Places in line, also of tasks that are here no more: what memory grows with (rule 4). */
  get places(): number {
    let count = 0
    for (const perShape of this.#groups.values()) for (const { ids } of perShape.values()) count += ids.length
    return count
  }

  shapes(): Iterable<Shape> {
    return this.#shapes.values()
  }

  /** Returns the task's shape. */
  add(task: TaskView, key: ClassKey): Shape {
    const shape = this.#shape(task)
    const group = this.#group(key, shape)
    if (!this.#homes.has(task.id)) {
      shape.waiting++
      group.waiting++
    }
    this.#homes.set(task.id, group)
    group.ids.push(task.id)
    group.sequences.push(this.#sequence++)
    if (group.ids.length - group.head > 1) return shape
    group.score = this.#score(key, task.id)
    if (!this.#blocked.has(key)) insert(group)
    return shape
  }

  remove(id: TaskId): void {
    const group = this.#homes.get(id)
    if (group === undefined) return
    this.#homes.delete(id)
    if (--group.shape.waiting === 0) this.#shapes.delete(group.shape.key)
    if (--group.waiting === 0) {
      this.#drop(group)
      return
    }
    const wasFirst = group.ids[group.head] === id
    while (!this.#here(group, group.head)) group.head++
    if (group.ids.length > 2 * group.waiting + SLACK) this.#compact(group)
    if (wasFirst && group.position >= 0) down(group.shape.heap, group.position)
  }

  /** Whether the task waits here. */
  has(id: TaskId): boolean {
    return this.#homes.has(id)
  }

  /** The shape of a task that waits here. */
  shapeOf(id: TaskId): Shape | undefined {
    return this.#homes.get(id)?.shape
  }

  /** Asks for the class's score again. */
  rescore(key: ClassKey): void {
    for (const group of this.#groups.get(key)?.values() ?? []) {
      const head = group.ids[group.head]
      if (head === undefined) continue
      const score = this.#score(key, head)
      if (score === group.score) continue
      group.score = score
      if (group.position >= 0) settle(group)
    }
  }

  /** Every class that has a task here. */
  keys(): Iterable<ClassKey> {
    return this.#groups.keys()
  }

  block(key: ClassKey, blocked: boolean): void {
    if (this.#blocked.has(key) === blocked) return
    if (blocked) this.#blocked.add(key)
    else this.#blocked.delete(key)
    for (const group of this.#groups.get(key)?.values() ?? []) {
      if (blocked) withdraw(group)
      else if (group.position < 0 && group.head < group.ids.length) insert(group)
    }
  }

  /** The shape's next task; undefined when it has none to offer. */
  head(shape: Shape): Head | undefined {
    const group = shape.heap[0]
    if (group === undefined) return undefined
    return {
      shape,
      taskId: group.ids[group.head] ?? (0 as TaskId),
      score: group.score,
      sequence: group.sequences[group.head] ?? 0
    }
  }

  /** The next task of all shapes that `open` lets through. */
  best(open: (shape: Shape) => boolean): Head | undefined {
    const shape = this.#first(open)
    return shape === undefined ? undefined : this.head(shape)
  }

  /**
   * Offers the next tasks of shapes that `open` lets through, in order, until `accept` answers. Where it does not it has closed the shape, or
   * removed the task. Costs O(shapes), and O(shapes × log shapes) when the first is not accepted.
   */
  offer<T>(open: (shape: Shape) => boolean, accept: (head: Head) => T | undefined): T | undefined {
    let turns: Shape[] | undefined
    let at = 0
    for (let shape = this.#first(open); shape !== undefined; shape = turns[at++]) {
      const head = this.head(shape)
      const answer = head === undefined ? undefined : accept(head)
      if (answer !== undefined) return answer
      if (turns !== undefined && !open(shape)) continue
      // Most first offers are accepted: only now whose turn is next is worth knowing.
      turns = this.#inTurn(open)
      at = 0
    }
    return undefined
  }

  #first(open: (shape: Shape) => boolean): Shape | undefined {
    let best: Group | undefined
    for (const shape of this.#shapes.values()) {
      const group = shape.heap[0]
      if (group === undefined || !open(shape)) continue
      if (best === undefined || before(group, best)) best = group
    }
    return best?.shape
  }

  #inTurn(open: (shape: Shape) => boolean): Shape[] {
    const heads: Group[] = []
    for (const shape of this.#shapes.values()) {
      const group = shape.heap[0]
      if (group !== undefined && open(shape)) heads.push(group)
    }
    return heads.sort((a, b) => (before(a, b) ? -1 : 1)).map(({ shape }) => shape)
  }

  /** The earliest task of one class that `accepts` takes; one task of each shape is asked about. */
  firstOf<T>(key: ClassKey, accepts: (id: TaskId) => T | undefined): T | undefined {
    const groups = [...(this.#groups.get(key)?.values() ?? [])].filter(
      (group) => group.head < group.ids.length
    )
    if (groups.length > 1) groups.sort((a, b) => headSequence(a) - headSequence(b))
    for (const group of groups) {
      const id = group.ids[group.head]
      const accepted = id === undefined ? undefined : accepts(id)
      if (accepted !== undefined) return accepted
    }
    return undefined
  }

  #here(group: Group, index: number): boolean {
    const id = group.ids[index]
    return id !== undefined && this.#homes.get(id) === group
  }

  /** Drops those that are here no more. */
  #compact(group: Group): void {
    const kept = new Map<TaskId, number>()
    for (let index = group.head; index < group.ids.length; index++) {
      const id = group.ids[index] as TaskId
      if (this.#here(group, index) && !kept.has(id)) kept.set(id, group.sequences[index] ?? 0)
    }
    group.ids = [...kept.keys()]
    group.sequences = [...kept.values()]
    group.head = 0
  }

  #drop(group: Group): void {
    withdraw(group)
    group.ids = []
    group.sequences = []
    group.head = 0
    const perShape = this.#groups.get(group.key)
    perShape?.delete(group.shape)
    if (perShape?.size === 0) this.#groups.delete(group.key)
  }

  #shape(task: TaskView): Shape {
    const key = shapeKey(task)
    let shape = this.#shapes.get(key)
    if (shape === undefined) {
      shape = { key, heap: [], waiting: 0, triedUpTo: -1, placeable: undefined }
      this.#shapes.set(key, shape)
    }
    return shape
  }

  #group(key: ClassKey, shape: Shape): Group {
    let perShape = this.#groups.get(key)
    if (perShape === undefined) {
      perShape = new Map()
      this.#groups.set(key, perShape)
    }
    let group = perShape.get(shape)
    if (group === undefined) {
      group = { key, shape, ids: [], sequences: [], head: 0, waiting: 0, score: 0, position: -1 }
      perShape.set(shape, group)
    }
    return group
  }
}

/** Equal for tasks of one shape. */
export function shapeKey(task: TaskView): string {
  let key = `${task.executor}|${task.handler}`
  for (const name in task.resources) key += `|${name}=${task.resources[name] ?? 0}`
  for (const label in task.nodeSelector) key += `|${label}:${task.nodeSelector[label] ?? ''}`
  return key
}

function headSequence(group: Group): number {
  return group.sequences[group.head] ?? 0
}

function before(a: Group, b: Group): boolean {
  return a.score < b.score || (a.score === b.score && headSequence(a) < headSequence(b))
}

function insert(group: Group): void {
  const heap = group.shape.heap
  group.position = heap.length
  heap.push(group)
  up(heap, group.position)
}

function withdraw(group: Group): void {
  if (group.position < 0) return
  const heap = group.shape.heap
  const last = heap.pop()
  if (last !== undefined && last !== group) {
    heap[group.position] = last
    last.position = group.position
    settle(last)
  }
  group.position = -1
}

function settle(group: Group): void {
  up(group.shape.heap, group.position)
  down(group.shape.heap, group.position)
}

function up(heap: Group[], from: number): void {
  const group = heap[from]
  if (group === undefined) return
  let index = from
  while (index > 0) {
    const above = (index - 1) >> 1
    const parent = heap[above]
    if (parent === undefined || !before(group, parent)) break
    heap[index] = parent
    parent.position = index
    index = above
  }
  heap[index] = group
  group.position = index
}

function down(heap: Group[], from: number): void {
  const group = heap[from]
  if (group === undefined) return
  let index = from
  for (;;) {
    let next = 2 * index + 1
    let child = heap[next]
    if (child === undefined) break
    const right = heap[next + 1]
    if (right !== undefined && before(right, child)) {
      child = right
      next++
    }
    if (!before(child, group)) break
    heap[index] = child
    child.position = index
    index = next
  }
  heap[index] = group
  group.position = index
}
