/**
 * Long work in slices: what is done in one go (a replay) stops now and then until the thread's budget lets it go on, and lets training
 * have its half meanwhile.
 *
 * 1. The work calls `pace` between its steps. A slice is over after `SLICE_MS`, at the next such call.
 * 2. Waiting blocks the thread, since the work cannot be left half-done: its owner is told that it lives (`alive`) at least once a second.
 * 3. Training that is due is owed as much of a core as slices have taken, and steps in between. So work that costs c of a core ends within
 *    3 c ÷ share, as long as no step fills more than a quarter of what a window may hold: its own part, that of training, and the room that
 *    windows keep for longer steps. Neither waits for the other for longer than that.
 * 4. A part that takes more than `MOST_MS` of a core has failed, as one that would not end: where 3 bounds work, it bounds all work.
 * 5. An error in training is not one of the work: the work is broken off, and `run` throws `OtherWorkFailed` whatever came of it.
 */
import { AppError } from '../../base/errors.ts'
import { second } from '../../base/units.ts'
import type { CpuBudget } from './cpu-budget.ts'

/** What else the thread has to do. */
export interface OtherWork {
  /** How long to wait before its next piece, in milliseconds; undefined while there is none. */
  readonly waitMs: number | undefined
  /** Does that piece; returns what it took, in milliseconds of a core. */
  work(): number
}

export interface SlicesOptions {
  readonly budget: CpuBudget
  /** A monotonic clock, in milliseconds. */
  readonly now: () => number
  /** The thread's CPU time, in milliseconds. */
  readonly cpuNow: () => number
  /** Blocks for so many milliseconds. */
  readonly block: (ms: number) => void
  readonly alive: () => void
  readonly other: () => OtherWork | undefined
}

/** What else the thread had to do has failed; `cause` says how. */
export class OtherWorkFailed extends Error {
  override readonly name = 'OtherWorkFailed'
}

export const SLICE_MS = 20
/** Of a core, for one contender of a replay: about ten times what two thousand tasks on a slow core took. */
export const MOST_MS = 10 * second
const LONGEST_BLOCK_MS = 1 * second

export class Slices {
  readonly #options: SlicesOptions
  #beganAt = 0
  #cpuAt = 0
  #partMs = 0
  /** What training is owed. */
  #owedMs = 0
  #failed: OtherWorkFailed | undefined

  constructor(options: SlicesOptions) {
    this.#options = options
  }

  /** Does the work, slice by slice. Throws what it throws. */
  run<T>(work: () => T): T {
    this.part()
    this.#wait()
    let done: T
    try {
      done = work()
    } finally {
      this.#pay()
      // Whoever did the work may have taken the error for one of its own.
      this.#goOn()
    }
    return done
  }

  /** A part of the work begins: the bound of what it may take counts from here. */
  readonly part = (): void => {
    this.#partMs = 0
  }

  /** Throws OVERLOADED when the part has taken too much. */
  readonly pace = (): void => {
    this.#goOn()
    if (this.#options.now() - this.#beganAt < SLICE_MS) return
    this.#pay()
    if (this.#partMs > MOST_MS)
      throw new AppError('OVERLOADED', `got no end within ${MOST_MS} ms of a core, expected one`)
    this.#wait()
  }

  #pay(): void {
    const at = this.#options.cpuNow()
    const ms = at - this.#cpuAt
    this.#cpuAt = at
    this.#options.budget.spent(ms)
    this.#partMs += ms
    this.#owedMs += ms
  }

  #wait(): void {
    this.#letOtherWork()
    this.#block(() => this.#options.budget.waitMs)
    this.#beganAt = this.#options.now()
    this.#cpuAt = this.#options.cpuNow()
  }

  #letOtherWork(): void {
    const other = this.#options.other()
    while (this.#owedMs > 0 && other?.waitMs !== undefined) {
      this.#block(() => other.waitMs ?? 0)
      try {
        this.#owedMs -= other.work()
      } catch (cause) {
        this.#failed = new OtherWorkFailed('what the thread does besides has failed', { cause })
      }
      this.#goOn()
    }
    // Debts are those of one stretch: who has nothing to do now is not owed it later.
    this.#owedMs = Math.min(0, this.#owedMs)
  }

  /** Rule 5. */
  #goOn(): void {
    if (this.#failed !== undefined) throw this.#failed
  }

  /** Until the budget lets go on; other work may come first, so it is asked again. */
  #block(waitMs: () => number): void {
    const { alive, block } = this.#options
    alive()
    for (let ms = waitMs(); ms > 0; ms = waitMs()) {
      block(Math.min(LONGEST_BLOCK_MS, Math.ceil(ms)))
      alive()
    }
  }
}
