/**
 * Jobs that were swapped out or checkpointed have a line for each part of their run (status 2, the last 3 or 4), which by the format come
 * beside a line that sums the job up, or instead of it. Counted as they stand, such a job would run twice, or as several jobs. A log may
 * use a number again: after its last part a job that is submitted at another time is another one.
 */
import type { SwfJob } from './swf-job.ts'

/** Statuses of parts: of the last, and of those before it. */
const COMPLETED = 3
const FAILED = 4
const PARTS: ReadonlySet<number> = new Set([2, COMPLETED, FAILED])

export interface JoinedParts {
  /** Jobs that have no line but those of their parts: from the first submission, as long as all parts together. */
  readonly jobs: readonly SwfJob[]
  readonly notes: readonly string[]
}

export function isPart({ status }: SwfJob): boolean {
  return PARTS.has(status)
}

/** What parts come to, beside these lines that are none. Parts of a job have its number. */
export function joinParts(parts: readonly SwfJob[], whole: readonly { readonly job: number }[]): JoinedParts {
  if (parts.length === 0) return { jobs: [], notes: [] }
  const summed = new Set(whole.map(({ job }) => job))
  const alone: SwfJob[][] = []
  const latest = new Map<number, SwfJob[]>()
  for (const part of parts) {
    if (summed.has(part.job)) continue
    const own = latest.get(part.job)
    if (own !== undefined && !isNext(part, own)) own.push(part)
    else {
      const begun = [part]
      latest.set(part.job, begun)
      alone.push(begun)
    }
  }
  const jobs = alone.map(joined)
  const lines = alone.reduce((sum, { length }) => sum + length, 0)
  const again = parts.length - lines
  return {
    jobs,
    notes: [
      ...(again === 0
        ? []
        : [
            `${again} lines of parts of jobs (status 2 to 4) that have a line of their own do not count again`
          ]),
      ...(lines === jobs.length
        ? []
        : [`${lines} lines of parts of jobs (status 2 to 4) are put together to ${jobs.length} jobs`])
    ]
  }
}

/** Whether the part is not of the job that these are of, but of the next with its number. */
function isNext({ submitS }: SwfJob, parts: readonly SwfJob[]): boolean {
  const before = submissionOf(parts)
  return submitS >= 0 && before >= 0 && submitS !== before && parts.some(isLast)
}

function isLast({ status }: SwfJob): boolean {
  return status === COMPLETED || status === FAILED
}

/** −1 when none of them tells it. */
function submissionOf(parts: readonly SwfJob[]): number {
  return parts.find(({ submitS }) => submitS >= 0)?.submitS ?? -1
}

function joined(parts: readonly SwfJob[]): SwfJob {
  const [first] = parts as [SwfJob]
  const most = (pick: (part: SwfJob) => number): number =>
    parts.reduce((so, part) => Math.max(so, pick(part)), -1)
  return {
    ...first,
    submitS: submissionOf(parts),
    runS: parts.reduce((sum, { runS }) => sum + Math.max(0, runS), 0),
    processors: most(({ processors }) => processors),
    requestedS: most(({ requestedS }) => requestedS),
    memoryKb: most(({ memoryKb }) => memoryKb),
    // The last part need not be the last line.
    status: parts.some(({ status }) => status === COMPLETED) ? 1 : 0
  }
}
