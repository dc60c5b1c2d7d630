/**
 * The ready tasks of DAGs and whose turn it is: larger `priority`, then least work left of its group, then the longest way to its end.
 *
 * 1. Tasks that no node could run stand apart until nodes change: they take no turn. Each shape (`class-queues.ts`) is asked about once until
 *    then.
 * 2. Whether some node has room for a shape now is asked once a decision.
 */
import type { TaskId } from '../../../base/ids.ts'
import type { ClusterView, TaskView } from '../../../scheduler/policy.ts'
import { shapeKey } from '../class-queues.ts'
import { isPlaceable, takes } from '../node-rules.ts'

/** Tasks that fit the same nodes. Forgotten with the last of them. */
interface Shape {
  readonly key: string
  waiting: number
  placeable: boolean
  /** Whether no node has room, as of this decision. */
  shut: boolean
  decision: number
}

export interface Waiting {
  readonly id: TaskId
  readonly group: TaskId
  readonly priority: number
  readonly shape: Shape
  /** In its group's plan. */
  place: number
  /** Predicted work left of its group; 0 for one that is owed its turn. */
  groupMs: number
  /** Upward rank, in milliseconds. */
  rank: number
}

export class DagQueue {
  readonly #byId = new Map<TaskId, Waiting>()
  readonly #shapes = new Map<string, Shape>()
  #inTurn: Waiting[] = []
  /** Rule 1. */
  #apart: Waiting[] = []
  #decision = 0

  /** Tasks that some node could run. */
  get size(): number {
    return this.#inTurn.length
  }

  /** Those by turn, as of the last `sort`. */
  get inTurn(): readonly Waiting[] {
    return this.#inTurn
  }

  /** Every task that waits, those that take turns first. */
  *all(): Iterable<Waiting> {
    yield* this.#inTurn
    yield* this.#apart
  }

  clear(): void {
    this.#byId.clear()
    this.#shapes.clear()
    this.#inTurn = []
    this.#apart = []
  }

  add(task: TaskView, turn: Pick<Waiting, 'place' | 'groupMs' | 'rank'>, view: ClusterView): void {
    if (this.#byId.has(task.id)) return
    const shape = this.#shapeOf(task, view)
    shape.waiting++
    const { id, group, priority } = task
    const waiting = { id, group, priority, shape, ...turn }
    this.#byId.set(id, waiting)
    if (shape.placeable) this.#inTurn.splice(turnOf(waiting, this.#inTurn), 0, waiting)
    else this.#apart.push(waiting)
  }

  /** Whether it was here. */
  remove(id: TaskId): boolean {
    const waiting = this.#byId.get(id)
    if (waiting === undefined) return false
    this.#byId.delete(id)
    const { shape } = waiting
    if (--shape.waiting === 0) this.#shapes.delete(shape.key)
    const list = shape.placeable ? this.#inTurn : this.#apart
    list.splice(list.indexOf(waiting), 1)
    return true
  }

  /** Asks about shapes again. Returns whether there are tasks now that must be put in order (`sort`). */
  nodesChanged(view: ClusterView): boolean {
    if (this.#byId.size === 0) return false
    const apart = this.#apart
    const asked = new Set<Shape>()
    for (const { id, shape } of this.#byId.values()) {
      if (asked.has(shape)) continue
      asked.add(shape)
      const task = view.task(id)
      shape.placeable = task === undefined || isPlaceable(task, view)
    }
    const freed = apart.filter(isPlaced)
    this.#apart = [...apart, ...this.#inTurn].filter((waiting) => !isPlaced(waiting))
    this.#inTurn = [...this.#inTurn.filter(isPlaced), ...freed]
    return freed.length > 0
  }

  sort(): void {
    this.#inTurn.sort(byTurn)
  }

  /** A decision begins. */
  decide(): void {
    this.#decision++
  }

  /** Whether no node has room for the task in this decision. */
  isShut({ id, shape }: Waiting, view: ClusterView): boolean {
    if (shape.decision !== this.#decision) {
      const task = view.task(id)
      shape.decision = this.#decision
      shape.shut = task !== undefined && !view.nodes().some((node) => takes(task, node, view))
    }
    return shape.shut
  }

  #shapeOf(task: TaskView, view: ClusterView): Shape {
    const key = shapeKey(task)
    let shape = this.#shapes.get(key)
    if (shape === undefined) {
      shape = { key, waiting: 0, placeable: isPlaceable(task, view), shut: false, decision: -1 }
      this.#shapes.set(key, shape)
    }
    return shape
  }
}

function isPlaced({ shape }: Waiting): boolean {
  return shape.placeable
}

/** The order of turns; that of arrival among equals. */
function byTurn(a: Waiting, b: Waiting): number {
  return b.priority - a.priority || a.groupMs - b.groupMs || b.rank - a.rank || a.id - b.id
}

/** The index at which it takes its turn among those that are in order. */
function turnOf(waiting: Waiting, inOrder: readonly Waiting[]): number {
  let low = 0
  let high = inOrder.length
  while (low < high) {
    const middle = (low + high) >> 1
    const other = inOrder[middle]
    if (other !== undefined && byTurn(other, waiting) <= 0) low = middle + 1
    else high = middle
  }
  return low
}
