/**
 * The Standard Workload Format of the Parallel Workloads Archive (Chapin et al., JSSPP 1999): parsing, and the pool
 * machine on which its rigid jobs run.
 *
 * Lines of 18 numbers; `;` begins a comment, of which `; MaxProcs: n` is read. −1 means unknown. Jobs without a run
 * time or without processors are left out (they were never started), as in every study of these logs; so are the few
 * whose time of submission is unknown. What no machine was and no job took is refused. Fields are whole numbers, but times and memory may
 * have decimals, as averages in some logs do.
 */
import { LONGEST_S, empty, malformed } from './malformed.ts'

/** One job of a log. Times in seconds; −1 for unknown. */
export interface SwfJob {
  readonly job: number
  readonly submitS: number
  readonly runS: number
  readonly processors: number
  readonly requestedS: number
  /** KB per processor. */
  readonly memoryKb: number
  readonly status: number
  readonly user: number
  readonly group: number
  readonly executable: number
  readonly queue: number
  readonly partition: number
}

export interface SwfLog {
  readonly jobs: readonly SwfJob[]
  /** From the header; 0 when it says nothing. */
  readonly maxProcs: number
  /** Jobs left out because they never ran, or came nobody knows when. */
  readonly skipped: number
  /** Their run times × processors, as far as these are known, in processor seconds. */
  readonly skippedWorkS: number
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
/** More than any machine has, by far. */
const MOST_PROCESSORS = 100_000_000
/** Columns that hold times and processors, from 0. */
const TIMES: ReadonlySet<number> = new Set([1, 3, 8])
const PROCESSORS: ReadonlySet<number> = new Set([4, 7])
/** Columns that may have decimals: times, and memory. */
const REAL: ReadonlySet<number> = new Set([1, 2, 3, 5, 6, 8, 9, 17])
const DECIMAL = /^[+-]?\d+(\.\d*)?(e[+-]?\d+)?$/i

/** Parses a log, in order of submission. Throws an `AppError` that names file, line and field for a malformed line. */
export function parseSwf(lines: Iterable<string>, file: string, limit = Infinity): SwfLog {
  const jobs: SwfJob[] = []
  let maxProcs = 0
  let skipped = 0
  let skippedWorkS = 0
  let line = 0
  for (const text of lines) {
    line++
    const trimmed = text.trim()
    if (trimmed === '') continue
    if (trimmed.startsWith(';')) {
      const header = /^;\s*MaxProcs:\s*(\d+)/.exec(trimmed)
      if (header !== null) {
        maxProcs = Number(header[1])
        if (maxProcs > MOST_PROCESSORS) {
          throw malformed({ file, line, field: 'MaxProcs', got: maxProcs, expected: `≤ ${MOST_PROCESSORS}` })
        }
      }
      continue
    }
    const job = parseJob(trimmed, file, line)
    if (job.runS > 0 && job.processors > 0 && job.submitS >= 0) jobs.push(job)
    else {
      skipped++
      skippedWorkS += Math.max(0, job.runS) * Math.max(0, job.processors)
    }
    if (jobs.length >= limit) break
  }
  if (jobs.length === 0) throw empty(file, 'job that ran')
  jobs.sort((a, b) => a.submitS - b.submitS || a.job - b.job)
  return { jobs, maxProcs, skipped, skippedWorkS }
}

function parseJob(text: string, file: string, line: number): SwfJob {
  const parts = text.split(/\s+/)
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
