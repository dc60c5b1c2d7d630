/**
 * How fast each node runs things, fitted on recorded run times: ln t = class + node, by alternating means, the node's part
 * shrunk towards none.
 *
 * For the guard's replays, which must not ask the predictions that are on trial. What predicts in production has its own.
 */
import type { NodeId } from '../../base/ids.ts'
import type { FinishedTask } from './history.ts'

/** As much as so many observations of no difference stand against a node's own. */
const PRIOR_WEIGHT = 8
const ROUNDS = 5
/** Below this, start-up and the clock's grain are most of a run time. */
const SHORTEST_MS = 10

/** Speed by node, 1 for a typical one; a node that is absent was not seen. */
export function fitNodeSpeeds(tasks: readonly FinishedTask[]): ReadonlyMap<NodeId, number> {
  const rows = tasks
    .filter((task) => task.succeeded && task.runMs >= SHORTEST_MS)
    .map((task) => ({
      name: `${task.tenant}/${task.name}`,
      node: task.node,
      ln: Math.log(task.runMs)
    }))
  const ofClass = new Map<string, number>()
  const ofNode = new Map<NodeId, number>()
  for (let round = 0; round < ROUNDS; round++) {
    means(
      ofClass,
      rows,
      (row) => row.name,
      (row) => row.ln - (ofNode.get(row.node) ?? 0),
      0
    )
    means(
      ofNode,
      rows,
      (row) => row.node,
      (row) => row.ln - (ofClass.get(row.name) ?? 0),
      PRIOR_WEIGHT
    )
  }
  return new Map([...ofNode].map(([node, slowness]) => [node, Math.exp(-slowness)] as const))
}

function means<Row, Key>(
  into: Map<Key, number>,
  rows: readonly Row[],
  keyOf: (row: Row) => Key,
  valueOf: (row: Row) => number,
  priorWeight: number
): void {
  const sums = new Map<Key, { total: number; count: number }>()
  for (const row of rows) {
    const key = keyOf(row)
    const sum = sums.get(key) ?? { total: 0, count: 0 }
    sum.total += valueOf(row)
    sum.count++
    sums.set(key, sum)
  }
  for (const [key, { total, count }] of sums) into.set(key, total / (count + priorWeight))
}
