/**
 * Keeps work within a share of one core, by saying how long to wait before the next piece of it.
 *
 * 1. Every piece is paid for by a wait in proportion, and none begins that would, with others that are paid for, take a window of
 *    `WINDOW_MS` above the share: so for these the share holds from the beginning, over any such window, unless one piece alone is
 *    larger than what a window may hold, or longer than the one before it.
 * 2. Work is measured as the thread's CPU time where the system tells it, else as elapsed time, which is never less: on a busy
 *    machine training gets slower, not greedier.
 * 3. What cannot wait (replays, which take bad models and policies out) is counted and not paid for. While it fills a window, a step
 *    waits, but for one window at most beyond when it was asked for and is due by rule 1; then it begins all the same. Otherwise a
 *    cluster with many replays would never train again. So the share that is reported is of all that the thread does: it is above
 *    the budget where replays alone are, and where replays go on for so long that steps begin between them.
 */
import { readFileSync } from 'node:fs'
import { second } from '../../base/units.ts'

export interface CpuBudget {
  /** Runs a step and pays for it `times` over, for what other threads do because of it. */
  spend(step: () => void, times?: number): void
  /** Pays for work that was done elsewhere: so many milliseconds of a core, until now. */
  charge(ms: number): void
  /** Work that did not wait for the budget: so many milliseconds of a core, until now. */
  count(ms: number): void
  /**
   * Asks for a step: how long to wait before it, in milliseconds. It stays asked for until something is paid for. Other work may come
   * meanwhile, so whoever has waited asks again, until the answer is 0.
   */
  ask(): number
  /** What `ask` would say of a step that nobody has asked for yet. */
  readonly waitMs: number
  /** Share of a core that was used over the last minute, or since the beginning; over ten seconds at least. */
  readonly share: number
  /** The largest share of any ten seconds since the beginning. */
  readonly peakShare: number
}

const WINDOW_MS = 10 * second
const MEMORY_MS = 60 * second
/** The longest wait: one slow step does not silence training for longer. */
const MAX_WAIT_MS = 60 * second

/** A stretch of work that ended at `at`. */
interface Spent {
  readonly at: number
  readonly ms: number
  readonly paid: boolean
}

/** A budget of `share`, in (0, 1]; `now` is a monotonic clock, `cpuNow` the thread's CPU time; both in milliseconds. */
export function createCpuBudget(share: number, now: () => number, cpuNow: () => number = now): CpuBudget {
  return new Budget(share, now, cpuNow)
}

class Budget implements CpuBudget {
  readonly #share: number
  readonly #now: () => number
  readonly #cpuNow: () => number
  readonly #beganAt: number
  /** Of the last minute, oldest first. */
  readonly #spent: Spent[] = []
  #notBefore = 0
  /** Of the last piece that was paid for; the next one is taken to be as long. */
  #lastMs = 0
  /** When the next step was asked for. */
  #askedAt: number | undefined
  peakShare = 0

  constructor(share: number, now: () => number, cpuNow: () => number) {
    this.#share = share
    this.#now = now
    this.#cpuNow = cpuNow
    this.#beganAt = now()
  }

  spend(step: () => void, times = 1): void {
    const before = this.#cpuNow()
    try {
      step()
    } finally {
      this.charge(times * (this.#cpuNow() - before))
    }
  }

  charge(charged: number): void {
    const ms = Math.max(0, charged)
    this.#add(ms, true)
    this.#askedAt = undefined
    this.#lastMs = ms
    const restMs = Math.min(MAX_WAIT_MS, ms * (1 / this.#share - 1))
    this.#notBefore = Math.max(this.#notBefore, this.#now()) + restMs
  }

  count(counted: number): void {
    this.#add(Math.max(0, counted), false)
  }

  #add(ms: number, paid: boolean): void {
    const at = this.#now()
    this.#forget(at)
    this.#spent.push({ at, ms, paid })
    // Used time rises during work alone, so a window that is fullest ends with a piece of it.
    const used = this.#spent.reduce((sum, piece) => sum + overlapMs(piece, at - WINDOW_MS), 0)
    this.peakShare = Math.max(this.peakShare, used / WINDOW_MS)
  }

  ask(): number {
    this.#askedAt ??= this.#now()
    return this.waitMs
  }

  get waitMs(): number {
    const at = this.#now()
    const dueAt = Math.max(this.#askedAt ?? at, this.#notBefore, this.#windowOpensAt(true))
    return Math.max(0, dueAt - at, Math.min(this.#windowOpensAt(false), dueAt + WINDOW_MS) - at)
  }

  get share(): number {
    const at = this.#now()
    this.#forget(at)
    const total = this.#spent.reduce((sum, { ms }) => sum + ms, 0)
    return total / Math.max(WINDOW_MS, Math.min(MEMORY_MS, at - this.#beganAt))
  }

  /** When a step as long as the last one fits into the window that ends with it. `paid`: beside what is paid for alone. */
  #windowOpensAt(paid: boolean): number {
    const next = this.#lastMs
    let roomMs = this.#share * WINDOW_MS - next
    for (let index = this.#spent.length - 1; index >= 0; index--) {
      const piece = this.#spent[index]
      if (piece === undefined || (paid && !piece.paid)) continue
      const { at, ms } = piece
      if (ms > roomMs) return at - Math.max(0, roomMs) + WINDOW_MS - next
      roomMs -= ms
    }
    return -Infinity
  }

  #forget(at: number): void {
    while ((this.#spent[0]?.at ?? Infinity) < at - MEMORY_MS) this.#spent.shift()
  }
}

/** How much of it lies after `from`. */
function overlapMs({ at, ms }: Spent, from: number): number {
  return Math.max(0, Math.min(ms, at - from))
}

/** CPU time of the calling thread in milliseconds; undefined where neither Node (from 23.9 on) nor Linux tells. */
export function threadCpuMs(): (() => number) | undefined {
  const { threadCpuUsage } = process as { threadCpuUsage?: () => { user: number; system: number } }
  if (threadCpuUsage !== undefined)
    return () => {
      const { user, system } = threadCpuUsage.call(process)
      return (user + system) / 1000
    }
  // A thread that runs has run: kernels that do not count say 0.
  return scheduledMs() > 0 ? scheduledMs : undefined
}

/** What Linux says: the first of its figures is the time on a core, in nanoseconds. NaN elsewhere. */
function scheduledMs(): number {
  try {
    return Number.parseInt(readFileSync('/proc/thread-self/schedstat', 'latin1'), 10) / 1e6
  } catch {
    return NaN
  }
}
