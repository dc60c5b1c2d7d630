/** Arithmetic on amounts of resources; what a node does not declare is not limited. */
import type { Resources } from '../../scheduler/types.ts'

/** Whether all that is needed is left. */
export function covers(left: Resources, need: Resources): boolean {
  for (const name in need) if ((left[name] ?? Infinity) < (need[name] ?? 0)) return false
  return true
}

/** Adds to what is left, or takes from it. */
export function add(left: Record<string, number>, amounts: Resources, sign: 1 | -1): void {
  for (const name in amounts) {
    const before = left[name]
    if (before !== undefined) left[name] = before + sign * (amounts[name] ?? 0)
  }
}
