/**
 * Static list scheduling: a plan for a whole DAG, made when it arrives, with a lane for each slot of each node.
 *
 * HEFT and CPoP: Topcuoglu, Hariri & Wu, IEEE TPDS 2002. PEFT: Arabnejad & Barbosa, IEEE TPDS 2014. All insert a task
 * into the earliest gap of a lane that is long enough for it. Plans know slots and eligibility, not other resources.
 */
import type { NodeView } from '../../scheduler/policy.ts'
import { downwardRanks, noTransfer, optimisticCosts, upwardRanks } from './dag.ts'
import type { Dag, TransferMs } from './dag.ts'

export type StaticAlgorithm = 'heft' | 'cpop' | 'peft'

export interface PlanInput {
  readonly dag: Dag
  readonly nodes: readonly NodeView[]
  /** Predicted run time by task and node. */
  readonly costs: readonly Float64Array[]
  /** Predicted run time by task on a typical node. */
  readonly meanCosts: Float64Array
  readonly transferMs?: TransferMs
  /** When each lane is free, by lane; see `lanesOf`. */
  readonly freeAt: Float64Array
}

export interface PlannedTask {
  /** Index in the DAG. */
  readonly task: number
  readonly lane: number
  readonly startsAt: number
  readonly endsAt: number
}

/** The node index of each lane: one lane a slot. */
export function lanesOf(nodes: readonly NodeView[]): number[] {
  return nodes.flatMap((node, index) => new Array<number>(node.slots).fill(index))
}

/** Plans every task, in the order in which they were chosen. */
export function planDag(algorithm: StaticAlgorithm, input: PlanInput): PlannedTask[] {
  const plan = new Plan(input)
  const transferMs = input.transferMs ?? noTransfer
  const { dag, costs, meanCosts } = input
  if (algorithm === 'peft') {
    const table = optimisticCosts(dag, costs, input.nodes.length, transferMs)
    const ranks = Float64Array.from(
      table,
      (row) => row.reduce((sum, ms) => sum + ms, 0) / Math.max(1, row.length)
    )
    return plan.byPriority(ranks, (task, node) => table[task]?.[node] ?? 0)
  }
  const up = upwardRanks(dag, meanCosts, transferMs)
  if (algorithm === 'heft') return plan.byPriority(up)
  const down = downwardRanks(dag, meanCosts, transferMs)
  const priority = up.map((rank, index) => rank + (down[index] ?? 0))
  return plan.byPriority(priority, undefined, criticalNode(input, priority))
}

/** CPoP: the tasks on the critical path, all bound to the one node that runs them fastest in sum. */
function criticalNode(input: PlanInput, priority: Float64Array): ReadonlyMap<number, number> {
  const { dag, costs, nodes } = input
  let length = 0
  for (const index of dag.order)
    if ((dag.parents[index]?.length ?? 0) === 0) length = Math.max(length, priority[index] ?? 0)
  const onPath = (index: number): boolean => (priority[index] ?? 0) >= length * (1 - 1e-9)
  const path: number[] = []
  let at = dag.order.find((index) => (dag.parents[index]?.length ?? 0) === 0 && onPath(index))
  while (at !== undefined) {
    path.push(at)
    at = dag.children[at]?.find(onPath)
  }
  const sums = nodes.map((_, node) => path.reduce((sum, task) => sum + (costs[task]?.[node] ?? 0), 0))
  const best = sums.indexOf(Math.min(...sums))
  return new Map(path.map((task) => [task, best]))
}

class Plan {
  readonly #input: PlanInput
  readonly #lanes: readonly number[]
  /** Planned work by lane, by start. */
  readonly #busy: PlannedTask[][]
  readonly #done: (PlannedTask | undefined)[]

  constructor(input: PlanInput) {
    this.#input = input
    this.#lanes = lanesOf(input.nodes)
    this.#busy = this.#lanes.map(() => [])
    this.#done = new Array<PlannedTask | undefined>(input.dag.ids.length).fill(undefined)
  }

  /** Chooses tasks whose parents are planned by falling priority, and for each the lane with the least finish + bias. */
  byPriority(
    priority: Float64Array,
    bias: (task: number, node: number) => number = () => 0,
    bound: ReadonlyMap<number, number> = new Map()
  ): PlannedTask[] {
    const { dag } = this.#input
    const waiting = dag.parents.map((parents) => parents.length)
    const ready = dag.order.filter((index) => waiting[index] === 0)
    const before = (a: number, b: number): boolean =>
      (priority[a] ?? 0) > (priority[b] ?? 0) || (priority[a] === priority[b] && a < b)
    const result: PlannedTask[] = []
    const heap = new IndexHeap(before)
    ready.forEach((index) => {
      heap.push(index)
    })
    for (let task = heap.pop(); task !== undefined; task = heap.pop()) {
      const planned = this.#place(task, bias, bound.get(task))
      this.#done[task] = planned
      result.push(planned)
      for (const child of dag.children[task] ?? []) {
        const left = (waiting[child] ?? 0) - 1
        waiting[child] = left
        if (left === 0) heap.push(child)
      }
    }
    return result
  }

  #place(task: number, bias: (task: number, node: number) => number, bound: number | undefined): PlannedTask {
    let best: PlannedTask | undefined
    let bestValue = Infinity
    this.#lanes.forEach((node, lane) => {
      if (bound !== undefined && node !== bound) return
      const costMs = this.#input.costs[task]?.[node] ?? Infinity
      const startsAt = this.#earliest(lane, this.#readyOn(task, node), costMs)
      const value = startsAt + costMs + bias(task, node)
      if (best === undefined || value < bestValue) {
        best = { task, lane, startsAt, endsAt: startsAt + costMs }
        bestValue = value
      }
    })
    const chosen = best ?? { task, lane: 0, startsAt: Infinity, endsAt: Infinity }
    const lane = this.#busy[chosen.lane]
    const at = lane?.findIndex((other) => other.startsAt > chosen.startsAt) ?? -1
    if (at < 0) lane?.push(chosen)
    else lane?.splice(at, 0, chosen)
    return chosen
  }

  /** When all inputs of the task have reached the node. */
  #readyOn(task: number, node: number): number {
    const { dag, transferMs = noTransfer } = this.#input
    let ready = 0
    for (const parent of dag.parents[task] ?? []) {
      const done = this.#done[parent]
      if (done === undefined) continue
      const away = this.#lanes[done.lane] !== node
      const from = dag.ids[parent]
      const to = dag.ids[task]
      const move = away && from !== undefined && to !== undefined ? transferMs(from, to) : 0
      ready = Math.max(ready, done.endsAt + move)
    }
    return ready
  }

  /** The start of the earliest gap of the lane that is long enough. */
  #earliest(lane: number, ready: number, costMs: number): number {
    let at = Math.max(ready, this.#input.freeAt[lane] ?? 0)
    for (const other of this.#busy[lane] ?? []) {
      if (at + costMs <= other.startsAt) break
      at = Math.max(at, other.endsAt)
    }
    return at
  }
}

/** A binary heap of indexes. */
class IndexHeap {
  readonly #items: number[] = []
  readonly #before: (a: number, b: number) => boolean

  constructor(before: (a: number, b: number) => boolean) {
    this.#before = before
  }

  push(item: number): void {
    const items = this.#items
    let index = items.length
    items.push(item)
    while (index > 0) {
      const parent = (index - 1) >> 1
      const above = items[parent] ?? 0
      if (!this.#before(item, above)) break
      items[index] = above
      index = parent
    }
    items[index] = item
  }

  pop(): number | undefined {
    const items = this.#items
    const first = items[0]
    const last = items.pop()
    if (last === undefined || items.length === 0) return first
    let index = 0
    for (;;) {
      let child = 2 * index + 1
      if (child >= items.length) break
      if (child + 1 < items.length && this.#before(items[child + 1] ?? 0, items[child] ?? 0)) child++
      const below = items[child] ?? 0
      if (!this.#before(below, last)) break
      items[index] = below
      index = child
    }
    items[index] = last
    return first
  }
}
