/** Ports as tests of the runtime's parts have them: time by hand, everything else recorded. */
import { monotonicMs, timestampMs } from '../../../base/units.ts'
import type { Clock } from '../../../runtime/ports/clock.ts'
import type { Logger } from '../../../runtime/ports/log.ts'
import type { Timers } from '../../../runtime/ports/timers.ts'

/** Both clocks move together by `advance`; `wall` may be set apart. */
export class HandClock implements Clock {
  monotonic = 1_000
  wall = 1_700_000_000_000

  monotonicNow(): ReturnType<Clock['monotonicNow']> {
    return monotonicMs(this.monotonic)
  }

  wallNow(): ReturnType<Clock['wallNow']> {
    return timestampMs(this.wall)
  }

  advance(ms: number): void {
    this.monotonic += ms
    this.wall += ms
  }
}

/** Timers that fire when told. */
export class HandTimers implements Timers {
  readonly #due: { callback: () => void; cancelled: boolean }[] = []

  after(_delayMs: number, callback: () => void): () => void {
    const entry = { callback, cancelled: false }
    this.#due.push(entry)
    return () => {
      entry.cancelled = true
    }
  }

  soon(callback: () => void): void {
    this.after(0, callback)
  }

  /** Timers that were neither fired nor cancelled. */
  get pending(): number {
    return this.#due.filter(({ cancelled }) => !cancelled).length
  }

  fire(): void {
    for (const { callback, cancelled } of this.#due.splice(0)) if (!cancelled) callback()
  }
}

export const SILENT: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined
}

/** Lets every promise that is ready go on. */
export function settled(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}

/** The code of the `AppError` that a promise is rejected with; `resolved` when it is not. */
export async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error)
  }
  return 'resolved'
}
