/**
 * Jobs that were swapped out or checkpointed have a line for each part of their run (status 2, the last 3 or 4), which by the format come
 * beside a line that sums the job up, or instead of it. Counted as they stand, such a job would run twice, or as several jobs.
 */
import type { SwfJob } from './swf-job.ts'

/** Statuses of parts: to be continued; the last, completed; the last, failed. */
const PARTS: ReadonlySet<number> = new Set([2, 3, 4])
const COMPLETED = 3

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
  const alone = new Map<number, SwfJob[]>()
  for (const part of parts) {
    if (summed.has(part.job)) continue
    const own = alone.get(part.job)
    if (own === undefined) alone.set(part.job, [part])
    else own.push(part)
  }
  const jobs = [...alone.values()].map(joined)
  const lines = [...alone.values()].reduce((sum, { length }) => sum + length, 0)
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

function joined(parts: readonly SwfJob[]): SwfJob {
  const [first] = parts as [SwfJob]
  const most = (pick: (part: SwfJob) => number): number => Math.max(...parts.map(pick))
  return {
    ...first,
    submitS: parts.find(({ submitS }) => submitS >= 0)?.submitS ?? first.submitS,
    runS: parts.reduce((sum, { runS }) => sum + Math.max(0, runS), 0),
    processors: most(({ processors }) => processors),
    requestedS: most(({ requestedS }) => requestedS),
    memoryKb: most(({ memoryKb }) => memoryKb),
    status: parts.at(-1)?.status === COMPLETED ? 1 : 0
  }
}
