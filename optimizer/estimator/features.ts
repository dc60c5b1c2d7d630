/**
 * What the network is told of a class: 64 numbers, mostly within ±4, none of which names a user or a log.
 *
 * Times are given relative to the statistics' median wherever they can be, so that what is learned from short tasks holds for long
 * ones. The order is part of the model's format (`weights.ts`).
 */
import { quantileLn } from './bins.ts'
import type { CellStatistics } from './cell-statistics.ts'
import type { TaskClass } from './class-tree.ts'
import type { DecayedHistogram } from './histogram.ts'
import { EXPERT_COUNT, FEATURE_COUNT } from './rows.ts'

const LARGEST = 4
const DAY_MS = 86_400_000

/** The circumstances of a class that its cells do not hold. */
export interface Circumstances {
  readonly now: number
  /** Hour of the day in [0, 24). */
  readonly hour: number
  readonly runningSiblings: number
  /** Age of the oldest running sibling in milliseconds; 0 for none. */
  readonly oldestMs: number
  readonly cpu: number
  readonly memoryBytes: number
  readonly failureProbability: number
  readonly memoryKnown: boolean
  /** Mean log likelihood of each expert lately, minus the chain's. */
  readonly records: Float32Array | undefined
}

/** Writes the features of a class into `row`. `chain` are its masses by the class statistics. */
export function writeFeatures(
  row: Float32Array,
  taskClass: TaskClass<CellStatistics>,
  chain: Float64Array,
  about: Circumstances
): void {
  let at = 0
  const put = (value: number): void => {
    row[at++] = Number.isFinite(value) ? Math.max(-LARGEST, Math.min(LARGEST, value)) : 0
  }
  const median = quantileLn(chain, 0.5)
  const histories = historiesOf(taskClass)
  for (const history of histories) put(history === undefined ? -1 : Math.log1p(history.count) / 3)
  for (const history of histories) put(isKnown(history) ? Math.sqrt(history.varianceLn) / 2 : 1)
  for (const history of histories) put(isKnown(history) ? (history.meanLn - median) / 3 : 0)
  put((quantileLn(chain, 0.9) - median) / 3)
  put((median - quantileLn(chain, 0.1)) / 3)
  put(median / 4 - 3)
  const limit = Math.log(taskClass.limitMs)
  put(taskClass.limitMs > 0 ? limit / 4 - 3 : -1)
  put(taskClass.limitMs > 0 ? (limit - median) / 3 : 0)
  put(about.cpu > 0 ? Math.log(about.cpu) / 4 - 2 : 0)
  put(about.memoryBytes > 0 ? Math.log(about.memoryBytes) / 4 - 5 : 0)
  put(taskClass.inputLn === undefined ? 0 : taskClass.inputLn / 8 - 2)
  put(sinceLn(about.now, taskClass.cells.at(-1)?.value.lastAt))
  put(sinceLn(about.now, taskClass.cells[2]?.value.lastAt))
  put(Math.log1p(about.runningSiblings) / 3)
  put(about.oldestMs > 0 ? (Math.log(about.oldestMs) - median) / 3 : 0)
  const angle = (2 * Math.PI * about.hour) / 24
  put(Math.sin(angle))
  put(Math.cos(angle))
  put(Math.log(about.failureProbability + 1e-3) / 4 + 1)
  for (let bit = 0; bit < 3; bit++) put(((taskClass.code >>> bit) & 1) - 0.5)
  put(about.memoryKnown ? 1 : 0)
  for (let expert = 0; expert < EXPERT_COUNT && at < FEATURE_COUNT; expert++)
    put(about.records?.[expert] ?? 0)
  row.fill(0, at, FEATURE_COUNT)
}

/** Milliseconds of state time as the hour of a day that begins at midnight UTC. */
export function hourOfUtc(now: number): number {
  return ((now % DAY_MS) / DAY_MS) * 24
}

function historiesOf(taskClass: TaskClass<CellStatistics>): (DecayedHistogram | undefined)[] {
  const [, limit, tenant, name, nameLimit, own] = taskClass.cells
  return [
    limit?.value.durations,
    tenant?.value.durations,
    name?.value.durations,
    nameLimit?.value.durations,
    own?.value.durations,
    tenant?.value.experts?.fast,
    taskClass.side[0]?.value.experts?.fast,
    own?.value.experts?.slow
  ]
}

function isKnown(history: DecayedHistogram | undefined): history is DecayedHistogram {
  return history !== undefined && history.count > 0
}

/** ln of seconds since, scaled; 2 for never. */
function sinceLn(now: number, at: number | undefined): number {
  return at === undefined ? 2 : Math.log1p(Math.max(0, now - at) / 1000) / 5 - 1
}
