/**
 * Spark TPC-H job DAGs with measured task durations (Mao et al., "Decima", SIGCOMM 2019): parsing.
 *
 * One JSON object a line: `{id, query, size, stages: [{id, tasks, parents, first, rest, fresh}]}`, where the last three
 * map an executor count to task durations in milliseconds. `first` includes `fresh` ones; they are removed here, and a
 * level that is left empty takes its lower neighbour's, as the authors' loader does.
 */
import { findCycle } from '../sim/cycle.ts'
import { checkTime, empty, malformed } from './malformed.ts'
import type { Fail } from './malformed.ts'

/** Durations in milliseconds by executor count, with rising counts. */
export interface DurationLevels {
  readonly counts: readonly number[]
  readonly values: readonly (readonly number[])[]
}

export interface TpchStage {
  readonly tasks: number
  readonly parents: readonly number[]
  /** On an executor that is new to the job or sat idle. */
  readonly fresh: DurationLevels
  /** The first task of the stage on an executor that just ran another stage of the job. */
  readonly first: DurationLevels
  /** Later tasks of the stage on the same executor. */
  readonly rest: DurationLevels
  /** Mean and least of all durations. */
  readonly meanMs: number
  readonly leastMs: number
}

export interface TpchJob {
  readonly id: string
  /** The query that the job runs: what its user calls the application. */
  readonly query: string
  /** Size of the data set that it runs on, as declared; 0 when the trace does not say. */
  readonly inputBytes: number
  readonly stages: readonly TpchStage[]
}

/** Parses the lines of a file. Throws an `AppError` that names file, line and field for a malformed one. */
export function parseTpch(lines: Iterable<string>, file: string): TpchJob[] {
  const jobs: TpchJob[] = []
  let line = 0
  for (const text of lines) {
    line++
    if (text.trim() !== '') jobs.push(parseJob(text, file, line))
  }
  if (jobs.length === 0) throw empty(file, 'job')
  return jobs
}

function parseJob(text: string, file: string, line: number): TpchJob {
  const fail = (field: string, got: unknown, expected: string): Error =>
    malformed({ file, line, field, got, expected })
  const record = parseObject(text, fail)
  const { id, stages } = record
  if (typeof id !== 'string') throw fail('id', id, 'a string')
  if (!Array.isArray(stages) || stages.length === 0) throw fail('stages', stages, 'a non-empty array')
  const parsed = stages.map((stage: unknown, index) => {
    const path = `stages[${index}]`
    if (typeof stage !== 'object' || stage === null) throw fail(path, stage, 'an object')
    return parseStage(stage as Record<string, unknown>, path, stages.length, fail)
  })
  const cycle = findCycle(parsed.map(({ parents }) => parents))
  if (cycle !== undefined) throw fail(`stages[${cycle[0] ?? 0}].parents`, cycle, 'no cycle')
  return {
    id,
    query: queryOf(record['query'], id),
    inputBytes: bytesOf(record['size']),
    stages: parsed
  }
}

/** More than any stage has. */
const MOST_TASKS = 1_000_000
const UNIT_BYTES: Readonly<Record<string, number>> = { m: 1e6, M: 1e6, g: 1e9, G: 1e9, t: 1e12, T: 1e12 }

/** A job that names no query is an application of its own. */
function queryOf(query: unknown, id: string): string {
  return typeof query === 'number' || typeof query === 'string' ? `q${query}` : id
}

/** Bytes of a size like `2g`. */
function bytesOf(size: unknown): number {
  const [, amount, unit] =
    typeof size === 'string' ? (/^(\d+(?:\.\d+)?)([mgtMGT])[bB]?$/.exec(size) ?? []) : []
  return amount === undefined || unit === undefined ? 0 : Number(amount) * (UNIT_BYTES[unit] ?? 0)
}

/** The JSON object that a line of a JSONL trace holds. */
export function parseObject(text: string, fail: Fail): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw fail('line', text, 'a JSON object')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw fail('line', text, 'a JSON object')
  }
  return value as Record<string, unknown>
}

function parseStage(stage: Record<string, unknown>, path: string, count: number, fail: Fail): TpchStage {
  const { tasks, parents } = stage
  if (typeof tasks !== 'number' || !Number.isInteger(tasks) || tasks < 1 || tasks > MOST_TASKS) {
    throw fail(`${path}.tasks`, tasks, `a whole number from 1 to ${MOST_TASKS}`)
  }
  if (!Array.isArray(parents) || !parents.every((parent) => isIndex(parent, count))) {
    throw fail(`${path}.parents`, parents, 'stage indexes')
  }
  const fresh = parseLevels(stage['fresh'], `${path}.fresh`, fail)
  const rest = parseLevels(stage['rest'], `${path}.rest`, fail)
  const first = withoutFresh(parseLevels(stage['first'], `${path}.first`, fail), fresh)
  const all = [fresh, first, rest].flatMap((levels) => levels.values.flat())
  if (all.length === 0) throw fail(path, 'no durations', 'at least one duration')
  return {
    tasks,
    parents: parents as number[],
    fresh,
    first,
    rest,
    meanMs: all.reduce((sum, value) => sum + value, 0) / all.length,
    leastMs: all.reduce((least, value) => Math.min(least, value), Infinity)
  }
}

function isIndex(value: unknown, count: number): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < count
}

function parseLevels(value: unknown, path: string, fail: Fail): DurationLevels {
  if (typeof value !== 'object' || value === null) throw fail(path, value, 'durations by executor count')
  const entries = Object.entries(value as Record<string, unknown>).map(([count, durations]) => {
    if (!/^[1-9]\d*$/.test(count)) throw fail(path, count, 'a number of executors')
    if (!Array.isArray(durations)) throw fail(`${path}.${count}`, durations, 'an array of milliseconds')
    durations.forEach((ms: unknown, index) => checkTime(ms, `${path}.${count}[${index}]`, 1000, fail))
    return [Number(count), durations as number[]] as const
  })
  entries.sort((a, b) => a[0] - b[0])
  return { counts: entries.map(([count]) => count), values: entries.map(([, durations]) => durations) }
}

function withoutFresh(first: DurationLevels, fresh: DurationLevels): DurationLevels {
  let before: readonly number[] = []
  const values = first.counts.map((count, index) => {
    const spare = new Map<number, number>()
    for (const ms of fresh.values[fresh.counts.indexOf(count)] ?? []) spare.set(ms, (spare.get(ms) ?? 0) + 1)
    const kept = (first.values[index] ?? []).filter((ms) => {
      const left = spare.get(ms) ?? 0
      if (left > 0) spare.set(ms, left - 1)
      return left === 0
    })
    if (kept.length > 0) before = kept
    return before
  })
  return { counts: first.counts, values }
}
