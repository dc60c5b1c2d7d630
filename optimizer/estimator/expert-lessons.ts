/** What the levels of a class (`class-tree.ts`) learn for the experts from a run time. */
import type { TaskView } from '../../scheduler/policy.ts'
import type { CellStatistics } from './cell-statistics.ts'
import type { TaskClass } from './class-tree.ts'
import { TENANT_LEVEL } from './class-entry.ts'
import { ExpertCell } from './expert-cell.ts'

/** These keep run times alone; the side is the tenant's tasks of one limit. */
const LIMIT_LEVEL = 1
const NAME_LIMIT_LEVEL = 4
const TENANT_LIMIT_SIDE = 1
/** Memory of what a tenant's jobs of one limit took. */
const SIDE_DECAY = 0.9

/** `ln` is ln of the run time on a typical node, in milliseconds; `now` is state time. */
export function teachExperts(
  { cells, side }: TaskClass<CellStatistics>,
  { limitMs, inputBytes }: TaskView,
  ln: number,
  now: number
): void {
  let level = 0
  for (const { value } of cells) {
    value.lastAt = now
    if (level !== LIMIT_LEVEL && level !== NAME_LIMIT_LEVEL) {
      value.experts ??= new ExpertCell(level === 0)
      value.experts.add(ln, limitMs, inputBytes)
    }
    level++
  }
  let at = 0
  for (const { value } of side) {
    if (at++ === TENANT_LIMIT_SIDE) value.addDurationLn(Math.max(0, ln), SIDE_DECAY)
    else {
      value.experts ??= new ExpertCell(false)
      value.experts.add(ln, limitMs, inputBytes)
    }
  }
}

/** How well each expert did lately for the class's tenant. */
export function recordsOf({ cells }: TaskClass<CellStatistics>): Float32Array | undefined {
  return cells[TENANT_LEVEL]?.value.experts?.records
}
