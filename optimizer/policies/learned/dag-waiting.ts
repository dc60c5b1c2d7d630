/** A ready task of a DAG, and whose turn it is: larger `priority`, then least work left of its group, then the longest way to its end. */
import type { TaskId } from '../../../base/ids.ts'

export interface Waiting {
  readonly id: TaskId
  readonly group: TaskId
  readonly priority: number
  /** In its group's plan. */
  place: number
  /** Predicted work left of its group; 0 for one that is owed its turn. */
  groupMs: number
  /** Upward rank, in milliseconds. */
  rank: number
}

/** The order of turns; that of arrival among equals. */
export function byTurn(a: Waiting, b: Waiting): number {
  return b.priority - a.priority || a.groupMs - b.groupMs || b.rank - a.rank || a.id - b.id
}

/** The index at which it takes its turn among those that are in order. */
export function turnOf(waiting: Waiting, inOrder: readonly Waiting[]): number {
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
