/**
 * Keeps the work of a thread within a share of one core, by saying how long to wait before the next piece of it. Whatever the thread does
 * is paid for here: loading, steps of training, replays and judgements alike.
 *
 * 1. Every piece is paid for by a wait in proportion, and none begins that would take a window of `WINDOW_MS` above the share: so
 *    the share holds over any such window, from the beginning on, unless one piece alone is larger than what a window may hold, or
 *    longer than was foreseen.
 * 2. A piece is foreseen to be as long as the longest of the last minute, of whatever kind, with some to spare; the first one, to fill half
 *    of a window. What did not wait (loading) says nothing of what comes.
 * 3. Work is measured as the thread's CPU time where the system tells it, else as elapsed time, which is never less: on a busy
 *    machine the thread gets slower, not greedier.
 * 4. No wait is for ever: what fills a window has left it after `WINDOW_MS`, and waits in proportion never add up to more than
 *    `MAX_WAIT_MS`.
 */
import { readFileSync } from 'node:fs'
import { second } from '../../base/units.ts'

export interface CpuBudget {
  /**
   * How long to wait before the next piece, in milliseconds. Other work may come first meanwhile, so whoever has waited asks again, until the
   * answer is 0.
   */
  readonly waitMs: number
  /** Does a piece and pays for it `times` over, for what other threads do because of it; returns what it paid, in milliseconds. */
  spend(piece: () => void, times?: number): number
  /** Pays for a piece that took so many milliseconds of a core, until now. */
  spent(ms: number): void
  /** Pays for work that did not wait: so many milliseconds of a core, until now. */
  charge(ms: number): void
  /** Share of a core that was used over the last minute, or since the beginning; over ten seconds at least. */
  readonly share: number
  /** The largest share of any ten seconds since the beginning. */
  readonly peakShare: number
}

const WINDOW_MS = 10 * second
const MEMORY_MS = 60 * second
/** The longest wait in proportion: slow pieces do not silence the thread for longer. */
const MAX_WAIT_MS = 60 * second
/** A piece is taken to be as much longer than the longest that is remembered. */
const SPARE = 1.25

/** A stretch of work that ended at `at`. */
interface Spent {
  readonly at: number
  readonly ms: number
  readonly waited: boolean
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
  peakShare = 0

  constructor(share: number, now: () => number, cpuNow: () => number) {
    this.#share = share
    this.#now = now
    this.#cpuNow = cpuNow
    this.#beganAt = now()
  }

  spend(piece: () => void, times = 1): number {
    const before = this.#cpuNow()
    let ms = 0
    try {
      piece()
    } finally {
      ms = times * (this.#cpuNow() - before)
      this.spent(ms)
    }
    return ms
  }

  spent(ms: number): void {
    this.#pay(ms, true)
  }

  charge(ms: number): void {
    this.#pay(ms, false)
  }

  #pay(paid: number, waited: boolean): void {
    const ms = Number.isFinite(paid) ? Math.max(0, paid) : 0
    const at = this.#now()
    this.#forget(at)
    this.#spent.push({ at, ms, waited })
    // Used time rises during work alone, so a window that is fullest ends with a piece of it.
    const used = this.#spent.reduce((sum, piece) => sum + overlapMs(piece, at - WINDOW_MS), 0)
    this.peakShare = Math.max(this.peakShare, used / WINDOW_MS)
    const restMs = ms * (1 / this.#share - 1)
    this.#notBefore = Math.min(at + MAX_WAIT_MS, Math.max(this.#notBefore, at) + restMs)
  }

  get share(): number {
    const at = this.#now()
    this.#forget(at)
    const total = this.#spent.reduce((sum, { ms }) => sum + ms, 0)
    return total / Math.max(WINDOW_MS, Math.min(MEMORY_MS, at - this.#beganAt))
  }

  get waitMs(): number {
    const at = this.#now()
    this.#forget(at)
    return Math.max(0, this.#notBefore - at, this.#windowOpensAt(this.#foreseenMs()) - at)
  }

  #foreseenMs(): number {
    const longest = this.#spent.reduce((most, { ms, waited }) => (waited ? Math.max(most, ms) : most), -1)
    return longest < 0 ? (this.#share * WINDOW_MS) / 2 : SPARE * longest
  }

  /** When a piece of this length fits into the window that ends with it. */
  #windowOpensAt(pieceMs: number): number {
    let roomMs = this.#share * WINDOW_MS - pieceMs
    for (let index = this.#spent.length - 1; index >= 0; index--) {
      const piece = this.#spent[index]
      if (piece === undefined) continue
      const { at, ms } = piece
      if (ms > roomMs) return at - Math.max(0, roomMs) + WINDOW_MS - pieceMs
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
  return scheduledMs() > 0 ? dependable(scheduledMs, () => performance.now()) : undefined
}

/**
 * A CPU clock that always answers, from one that may fail (a process can run out of file descriptors): while `read` answers with no number,
 * elapsed time by `now` goes on in its place. It never runs backwards.
 */
export function dependable(read: () => number, now: () => number): () => number {
  let last = read()
  let at = now()
  /** What elapsed time was ahead of CPU time by. */
  let ahead = 0
  return () => {
    const elapsed = now() - at
    at += elapsed
    const ms = read()
    if (Number.isFinite(ms)) {
      ahead = Math.max(ahead, last - ms)
      last = ms + ahead
    } else last += elapsed
    return last
  }
}

/** What Linux says: the first of its figures is the time on a core, in nanoseconds. NaN elsewhere. */
function scheduledMs(): number {
  try {
    return Number.parseInt(readFileSync('/proc/thread-self/schedstat', 'latin1'), 10) / 1e6
  } catch {
    return NaN
  }
}
