/**
 * Keeps work within a share of one core, by waiting after each step as long as the share asks for.
 *
 * Work is measured as the thread's CPU time where Node tells it (from 23.9 on), else as elapsed time, which is never less:
 * on a busy machine training gets slower, not greedier.
 */
export interface CpuBudget {
  /** Runs a step and returns how long to wait before the next one, in milliseconds. */
  spend(step: () => void): number
  /** Share of a core that was used over the last minute. */
  readonly share: number
}

const WINDOW_MS = 60_000
/** The longest wait: one slow step, such as the first after loading, does not silence training for minutes. */
const MAX_WAIT_MS = 10_000

/** A budget of `share`, in (0, 1]; `now` is a monotonic clock, `cpuNow` the thread's CPU time; both in milliseconds. */
export function createCpuBudget(share: number, now: () => number, cpuNow: () => number = now): CpuBudget {
  const spent: { readonly at: number; readonly ms: number }[] = []
  const beganAt = now()
  return {
    spend: (step) => {
      const before = cpuNow()
      try {
        step()
      } finally {
        spent.push({ at: now(), ms: Math.max(0, cpuNow() - before) })
      }
      const last = spent.at(-1)?.ms ?? 0
      return Math.min(MAX_WAIT_MS, last * (1 / share - 1))
    },
    get share() {
      const at = now()
      while ((spent[0]?.at ?? Infinity) < at - WINDOW_MS) spent.shift()
      const total = spent.reduce((sum, { ms }) => sum + ms, 0)
      return total / Math.max(1, Math.min(WINDOW_MS, at - beganAt))
    }
  }
}

/** CPU time of the calling thread in milliseconds; undefined where Node does not tell. */
export function threadCpuMs(): (() => number) | undefined {
  const { threadCpuUsage } = process as { threadCpuUsage?: () => { user: number; system: number } }
  if (threadCpuUsage === undefined) return undefined
  return () => {
    const { user, system } = threadCpuUsage.call(process)
    return (user + system) / 1000
  }
}
