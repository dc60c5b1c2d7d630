/**
 * A group's DAG as arrays, and the ranks that list schedulers order it by.
 *
 * Ranks follow Topcuoglu, Hariri & Wu ("HEFT and CPOP", IEEE TPDS 2002, §4) and, for the optimistic cost table,
 * Arabnejad & Barbosa ("PEFT", IEEE TPDS 2014, §4). Costs are predictions in milliseconds; `transferMs` is what an edge
 * costs between two different nodes (0 when nothing is known, as for the production planner).
 */
import type { TaskId } from '../../base/ids.ts'
import type { ClusterView, NodeView, TaskView } from '../../scheduler/policy.ts'
import type { Estimator } from '../estimate.ts'

/** What an edge costs when its ends are on different nodes, in milliseconds. */
export type TransferMs = (from: TaskId, to: TaskId) => number

export const noTransfer: TransferMs = () => 0

export interface Dag {
  readonly ids: readonly TaskId[]
  readonly indexOf: ReadonlyMap<TaskId, number>
  /** Edges within the DAG, by index; parents come before children in `order`. */
  readonly children: readonly (readonly number[])[]
  readonly parents: readonly (readonly number[])[]
  /** A topological order of indexes. */
  readonly order: readonly number[]
}

/** Everything that can be reached from these tasks. */
export function dagFrom(roots: readonly TaskView[], view: ClusterView): Dag {
  const ids: TaskId[] = []
  const indexOf = new Map<TaskId, number>()
  const found: TaskView[] = []
  const visit = (task: TaskView): void => {
    if (indexOf.has(task.id)) return
    indexOf.set(task.id, ids.length)
    ids.push(task.id)
    found.push(task)
  }
  roots.forEach(visit)
  for (const task of found) {
    for (const id of task.dependents) {
      const dependent = indexOf.has(id) ? undefined : view.task(id)
      if (dependent !== undefined) visit(dependent)
    }
  }
  const children = found.map((task) => indexesOf(task.dependents, indexOf))
  const parents = found.map((): number[] => [])
  children.forEach((list, parent) => {
    for (const child of list) parents[child]?.push(parent)
  })
  return { ids, indexOf, children, parents, order: topological(children, parents) }
}

function indexesOf(ids: readonly TaskId[], indexOf: ReadonlyMap<TaskId, number>): number[] {
  const indexes: number[] = []
  for (const id of ids) {
    const index = indexOf.get(id)
    if (index !== undefined) indexes.push(index)
  }
  return indexes
}

function topological(
  children: readonly (readonly number[])[],
  parents: readonly (readonly number[])[]
): number[] {
  const waiting = parents.map((list) => list.length)
  const order: number[] = []
  waiting.forEach((count, index) => {
    if (count === 0) order.push(index)
  })
  for (const index of order) {
    for (const child of children[index] ?? []) {
      const left = (waiting[child] ?? 0) - 1
      waiting[child] = left
      if (left === 0) order.push(child)
    }
  }
  return order
}

/** Predicted run time of each task on a typical node. */
export function meanCosts(dag: Dag, estimator: Estimator, view: ClusterView): Float64Array {
  return Float64Array.from(dag.ids, (id) => {
    const task = view.task(id)
    return task === undefined ? 0 : estimator.predict(task).meanMs
  })
}

/** Predicted run time of each task (row) on each node (column). */
export function nodeCosts(
  dag: Dag,
  nodes: readonly NodeView[],
  estimator: Estimator,
  view: ClusterView
): Float64Array[] {
  return dag.ids.map((id) => {
    const task = view.task(id)
    return Float64Array.from(nodes, (node) => {
      if (task === undefined) return 0
      return view.eligible(task, node) ? estimator.predict(task, node).meanMs : Infinity
    })
  })
}

/** rank_u: the longest predicted path from the task to an exit, itself included. */
export function upwardRanks(
  dag: Dag,
  costs: Float64Array,
  transferMs: TransferMs = noTransfer
): Float64Array {
  const ranks = new Float64Array(dag.ids.length)
  for (let position = dag.order.length - 1; position >= 0; position--) {
    const index = dag.order[position] ?? 0
    let longest = 0
    for (const child of dag.children[index] ?? []) {
      longest = Math.max(longest, edge(dag, index, child, transferMs) + (ranks[child] ?? 0))
    }
    ranks[index] = (costs[index] ?? 0) + longest
  }
  return ranks
}

/** rank_d: the longest predicted path from an entry to the task, itself excluded. */
export function downwardRanks(
  dag: Dag,
  costs: Float64Array,
  transferMs: TransferMs = noTransfer
): Float64Array {
  const ranks = new Float64Array(dag.ids.length)
  for (const index of dag.order) {
    for (const child of dag.children[index] ?? []) {
      const through = (ranks[index] ?? 0) + (costs[index] ?? 0) + edge(dag, index, child, transferMs)
      ranks[child] = Math.max(ranks[child] ?? 0, through)
    }
  }
  return ranks
}

/** PEFT's optimistic cost table: what must still follow the task (row) if it runs on the node (column), at best. */
export function optimisticCosts(
  dag: Dag,
  costs: readonly Float64Array[],
  nodeCount: number,
  transferMs: TransferMs = noTransfer
): Float64Array[] {
  const table = dag.ids.map(() => new Float64Array(nodeCount))
  for (let position = dag.order.length - 1; position >= 0; position--) {
    const index = dag.order[position] ?? 0
    const row = table[index]
    if (row === undefined) continue
    for (const child of dag.children[index] ?? []) {
      const move = edge(dag, index, child, transferMs)
      const own = costs[child]
      const below = table[child]
      let elsewhere = Infinity
      for (let node = 0; node < nodeCount; node++) {
        elsewhere = Math.min(elsewhere, (below?.[node] ?? 0) + (own?.[node] ?? 0) + move)
      }
      for (let node = 0; node < nodeCount; node++) {
        const here = (below?.[node] ?? 0) + (own?.[node] ?? 0)
        row[node] = Math.max(row[node] ?? 0, Math.min(here, elsewhere))
      }
    }
  }
  return table
}

function edge(dag: Dag, from: number, to: number, transferMs: TransferMs): number {
  return transferMs(dag.ids[from] ?? (0 as TaskId), dag.ids[to] ?? (0 as TaskId))
}
