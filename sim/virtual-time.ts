/**
 * Virtual time: one ordered queue of callbacks for a whole simulated cluster.
 *
 * Equal times run in the order in which they were scheduled. Between two callbacks everything that promises have set off
 * runs to its end, so a simulation is a function of its seed alone.
 */
import { monotonicMs, timestampMs } from '../base/units.ts'
import type { Clock } from '../runtime/ports/clock.ts'
import type { Timers } from '../runtime/ports/timers.ts'

interface Event {
  readonly at: number
  readonly order: number
  readonly callback: () => void
  cancelled: boolean
}

/** How one machine's clocks run. */
export interface MachineClock {
  readonly startMs: number
  /** Milliseconds of its monotonic clock per millisecond. */
  readonly rate: number
  readonly offsetMs: () => number
}

/** 2026-01-01T00:00:00Z: where the wall clocks of simulated nodes begin. */
export const EPOCH_MS = 1_767_225_600_000

export class VirtualTime {
  #now = 0
  #order = 0
  #heap: Event[] = []
  #ran = 0

  /** Milliseconds since the simulation began. */
  get now(): number {
    return this.#now
  }

  /** Callbacks that ran so far. */
  get ran(): number {
    return this.#ran
  }

  /** Runs `callback` after `delayMs`; the returned function cancels it. */
  schedule(delayMs: number, callback: () => void): () => void {
    const event = { at: this.#now + Math.max(0, delayMs), order: this.#order++, callback, cancelled: false }
    this.#push(event)
    return () => {
      event.cancelled = true
    }
  }

  /** Lets time pass until `condition` holds or `limitMs` of virtual time are over; says whether it holds. */
  async run(condition: () => boolean, limitMs: number): Promise<boolean> {
    const end = this.#now + limitMs
    await settle()
    while (!condition()) {
      const event = this.#heap[0]
      if (event === undefined || event.at > end) {
        this.#now = end
        return condition()
      }
      this.#pop()
      if (event.cancelled) continue
      this.#now = event.at
      this.#ran += 1
      event.callback()
      await settle()
    }
    return true
  }

  /**
   * A machine's clocks. Its monotonic one began at `startMs` and runs at `rate`; its wall clock stands `offsetMs()` from
   * the simulation's.
   */
  clock({ startMs, rate, offsetMs }: MachineClock): Clock {
    return {
      monotonicNow: () => monotonicMs(startMs + this.#now * rate),
      wallNow: () => timestampMs(Math.floor(EPOCH_MS + this.#now + offsetMs()))
    }
  }

  /** Timers by that clock, whose callbacks pass through `run`. */
  timers({ rate }: MachineClock, run: (callback: () => void) => void): Timers {
    return {
      after: (delayMs, callback) =>
        // Rounded up to the microsecond: a timer never fires before its time by its own clock.
        this.schedule(Math.ceil((delayMs / rate) * 1_000) / 1_000, () => {
          run(callback)
        }),
      soon: (callback) => {
        this.schedule(0, () => {
          run(callback)
        })
      }
    }
  }

  #push(event: Event): void {
    const heap = this.#heap
    heap.push(event)
    let child = heap.length - 1
    while (child > 0) {
      const parent = (child - 1) >> 1
      const above = heap[parent]
      if (above === undefined || !before(event, above)) break
      heap[child] = above
      child = parent
    }
    heap[child] = event
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return
    let parent = 0
    for (;;) {
      let child = 2 * parent + 1
      const left = heap[child]
      if (left === undefined) break
      const right = heap[child + 1]
      let smaller = left
      if (right !== undefined && before(right, left)) {
        child += 1
        smaller = right
      }
      if (!before(smaller, last)) break
      heap[parent] = smaller
      parent = child
    }
    heap[parent] = last
  }
}

function before(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order)
}

/** Runs all microtasks: a macrotask of the host begins only when none is left. */
function settle(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}
