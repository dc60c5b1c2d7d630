/** What the levels of a class (`class-tree.ts`) learn for the experts from a run time. */
import type { TaskView } from '../../scheduler/policy.ts'
import type { CellStatistics } from './cell-statistics.ts'
import type { TaskClass } from './class-tree.ts'
import { TENANT_LEVEL } from './class-entry.ts'
import { ExpertCell } from './expert-cell.ts'
import { CHAIN } from './experts.ts'
import type { OwnRecords } from './mixture.ts'

/**
 * Runs of a class are evidence, each by itself, of which experts fit it: what is wide because other work is unlike has no say any more
 * after some tens of them. But they come in bursts and change, so one counts for a tenth, and all for five at most.
 */
const RUNS_SHARE = 0.1
const MOST_RUNS = 5
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
      value.experts ??= new ExpertCell(level === 0 ? 'all' : level === cells.length - 1 ? 'class' : 'between')
      value.experts.add(ln, limitMs, inputBytes)
    }
    level++
  }
  let at = 0
  for (const { value } of side) {
    if (at++ === TENANT_LIMIT_SIDE) value.addDurationLn(Math.max(0, ln), SIDE_DECAY)
    else {
      value.experts ??= new ExpertCell('between')
      value.experts.add(ln, limitMs, inputBytes)
    }
  }
}

/** How likely each expert held an outcome of the class. */
export function recordExperts({ cells }: TaskClass<CellStatistics>, likelihood: Float32Array): void {
  cells[TENANT_LEVEL]?.value.experts?.record(likelihood, CHAIN)
  cells.at(-1)?.value.experts?.record(likelihood, CHAIN)
}

/** How well each expert did lately for the class's tenant. */
export function recordsOf({ cells }: TaskClass<CellStatistics>): Float32Array | undefined {
  return cells[TENANT_LEVEL]?.value.experts?.records
}

/** How well each expert did lately for the class itself, and for how many of its runs that speaks. */
export function ownRecordsOf({ cells }: TaskClass<CellStatistics>): OwnRecords | undefined {
  const own = cells.at(-1)?.value
  const records = own?.experts?.records
  if (own === undefined || records === undefined) return undefined
  const runs = Math.min(MOST_RUNS, RUNS_SHARE * own.durations.count)
  return { records, runs, share: runs / MOST_RUNS }
}
