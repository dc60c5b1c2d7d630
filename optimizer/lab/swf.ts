/**
 * The Standard Workload Format of the Parallel Workloads Archive (Chapin et al., JSSPP 1999): parsing.
 *
 * Lines of 18 numbers; `;` begins a comment, of which the machine's size is read (`swf-header.ts`). −1 means unknown. Processors are those
 * that were allocated, where these are unknown those that were asked for. Jobs without a run time or without processors are left out (most
 * were never started), as in every study of these logs; so are the few whose time of submission is unknown. Lines of parts of jobs are put
 * together (`swf-parts.ts`). What no machine was and no job took is refused. Fields are whole numbers, but times and memory may have
 * decimals, as averages in some logs do.
 */
import { LONGEST_S, empty, malformed } from './malformed.ts'
import { MOST_PROCESSORS, SwfHeader } from './swf-header.ts'
import type { SwfJob } from './swf-job.ts'
import { isPart, joinParts } from './swf-parts.ts'

/** A job that is not simulated. */
interface LeftOutJob {
  readonly job: number
  /** That of the line before where it is unknown. */
  readonly submitS: number
  /** What it lacks. */
  readonly lacks: 'a run time' | 'processors' | 'a time of submission'
  /** Run time × processors, as far as these are known, in processor seconds. */
  readonly workS: number
}

export interface SwfLog {
  /** In order of submission. */
  readonly jobs: readonly SwfJob[]
  /** Processors by the header; 0 when it says nothing. */
  readonly maxProcs: number
  readonly leftOut: readonly LeftOutJob[]
  /** What must be known of how the log was read. */
  readonly notes: readonly string[]
}

const FIELDS = [
  'job number',
  'submit time',
  'wait time',
  'run time',
  'allocated processors',
  'average CPU time',
  'used memory',
  'requested processors',
  'requested time',
  'requested memory',
  'status',
  'user',
  'group',
  'executable',
  'queue',
  'partition',
  'preceding job',
  'think time'
] as const
/** Some logs lack the last columns; what is used ends with `partition`. */
const LEAST_FIELDS = 16
/** Columns that hold times and processors, from 0. */
const TIMES: ReadonlySet<number> = new Set([1, 3, 8])
const PROCESSORS: ReadonlySet<number> = new Set([4, 7])
/** Columns that may have decimals: times, and memory. */
const REAL: ReadonlySet<number> = new Set([1, 2, 3, 5, 6, 8, 9, 17])
const DECIMAL = /^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i

/** Parses a log. Throws an `AppError` that names file, line and field for a malformed line. `limit`: only so many jobs, the first to come. */
export function parseSwf(lines: Iterable<string>, file: string, limit = Infinity): SwfLog {
  const header = new SwfHeader()
  const jobs: SwfJob[] = []
  const parts: SwfJob[] = []
  const leftOut: LeftOutJob[] = []
  let line = 0
  let longer = 0
  let before = 0
  const sort = (job: SwfJob): void => {
    const lacks = lackOf(job)
    if (lacks === undefined) jobs.push(job)
    else {
      const workS = Math.max(0, job.runS) * Math.max(0, job.processors)
      leftOut.push({ job: job.job, submitS: job.submitS < 0 ? before : job.submitS, lacks, workS })
    }
    if (job.submitS >= 0) before = job.submitS
  }
  for (const text of lines) {
    line++
    const trimmed = text.trim()
    if (trimmed === '') continue
    if (trimmed.startsWith(';')) {
      header.read(trimmed, file, line)
      continue
    }
    const fields = trimmed.split(/\s+/)
    if (fields.length > FIELDS.length) longer++
    const job = parseJob(fields, file, line)
    if (!isPart(job)) sort(job)
    else if (job.job >= 0) parts.push(job)
    else {
      const expected = 'a number: the line is a part of a job'
      throw malformed({ file, line, field: FIELDS[0], got: job.job, expected })
    }
  }
  const joined = joinParts(parts, [...jobs, ...leftOut])
  for (const job of joined.jobs) sort(job)
  if (jobs.length === 0) {
    throw empty(file, 'job that ran', leftOut.length === 0 ? undefined : `only jobs ${leftOutWhy(leftOut)}`)
  }
  jobs.sort(inOrder)
  const more =
    longer === 0 ? [] : [`${longer} lines have more than ${FIELDS.length} columns: the others are not read`]
  const notes = [...header.notes(), ...joined.notes, ...more]
  return partOf({ jobs, maxProcs: header.processors, leftOut, notes }, 0, limit)
}

/** Of a log the jobs from the `from`th on, `count` at most, and what was left out among them. */
export function partOf(log: SwfLog, from: number, count = Infinity): SwfLog {
  const jobs = log.jobs.slice(from, from + count)
  const before = log.jobs[from - 1]
  const last = from + count < log.jobs.length ? jobs.at(-1) : undefined
  const isWithin = (one: LeftOutJob): boolean =>
    (before === undefined || inOrder(before, one) < 0) && (last === undefined || inOrder(one, last) < 0)
  return { ...log, jobs, leftOut: log.leftOut.filter(isWithin) }
}

/** By submission, then by number. */
function inOrder(a: Pick<SwfJob, 'submitS' | 'job'>, b: Pick<SwfJob, 'submitS' | 'job'>): number {
  return a.submitS - b.submitS || a.job - b.job
}

function lackOf({ runS, processors, submitS }: SwfJob): LeftOutJob['lacks'] | undefined {
  if (runS <= 0) return 'a run time'
  if (processors <= 0) return 'processors'
  return submitS < 0 ? 'a time of submission' : undefined
}

/** What jobs that are left out lack, and how many of them. */
export function leftOutWhy(leftOut: readonly LeftOutJob[]): string {
  const counts = new Map<string, number>()
  for (const { lacks } of leftOut) counts.set(lacks, (counts.get(lacks) ?? 0) + 1)
  return [...counts].map(([lacks, count]) => `${count} without ${lacks}`).join(', ')
}

function parseJob(parts: readonly string[], file: string, line: number): SwfJob {
  if (parts.length < LEAST_FIELDS) {
    throw malformed({
      file,
      line,
      field: 'count',
      got: parts.length,
      expected: `${LEAST_FIELDS} to 18 numbers`
    })
  }
  const numbers = parts.slice(0, FIELDS.length).map((part, index) => {
    const field = FIELDS[index] ?? `${index + 1}`
    const value = DECIMAL.test(part) ? Number(part) : NaN
    if (Number.isNaN(value)) throw malformed({ file, line, field, got: part, expected: 'a number' })
    if (!REAL.has(index) && !Number.isInteger(value)) {
      throw malformed({ file, line, field, got: part, expected: 'a whole number' })
    }
    const most = TIMES.has(index) ? LONGEST_S : PROCESSORS.has(index) ? MOST_PROCESSORS : Infinity
    if (value > most) {
      const expected = TIMES.has(index) ? 'seconds, up to 100 years' : `≤ ${most}`
      throw malformed({ file, line, field, got: value, expected })
    }
    return value
  })
  const at = (index: number): number => numbers[index] ?? -1
  if (at(1) < -1) {
    throw malformed({ file, line, field: FIELDS[1], got: at(1), expected: 'seconds ≥ 0, or −1 for unknown' })
  }
  return {
    job: at(0),
    submitS: at(1),
    runS: at(3),
    processors: at(4) > 0 ? at(4) : at(7),
    requestedS: at(8),
    memoryKb: at(6),
    status: at(10),
    user: at(11),
    group: at(12),
    executable: at(13),
    queue: at(14),
    partition: at(15)
  }
}
