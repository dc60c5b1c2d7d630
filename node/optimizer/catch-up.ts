/**
 * What this node missed, told before what happens meanwhile: history at the start, and after a snapshot what ended in the gap.
 *
 * 1. Everything is told once and in its order: events wait while a gap is read, and a task whose end waits is not taken from
 *    the history.
 * 2. It takes half of the time at most, in slices (`warm-up.ts`). When more than `MOST_HELD` events wait, reading ends: what happens
 *    now is worth more than what has been. Then, and only then, telling keeps to the budget of `estimator-feed.ts`.
 * 3. Whatever fails is counted and told of once for each gap; it costs that one row or event.
 */
import type { TaskId } from '../../base/ids.ts'
import type { Moment } from '../../optimizer/guard/history.ts'
import type { Logger } from '../../runtime/ports/log.ts'
import type { Store } from '../../runtime/ports/store.ts'
import type { SchedulerEvent } from '../../scheduler/events.ts'
import type { SchedulerState } from '../../scheduler/state.ts'
import { MOST_HELD, SLICE_MS, WARM_UP_READ_MS, WARM_UP_ROWS } from './bounds.ts'
import type { ToldUntil } from './told-until.ts'
import { warmUp } from './warm-up.ts'
import {
  happeningOf,
  runningAttempts,
  tellHappening,
  tellMoment,
  type Happening,
  type RunningAttempt,
  type Watchers
} from './watching.ts'

/** Events that were told are let go so many at a time, since shifting costs as much as the queue is long. */
const FORGOTTEN_AT_ONCE = 1_000

export interface CatchUpOptions {
  readonly logger: Logger
  readonly now: () => number
  /** Resolves after a pause; called between slices. */
  readonly pause: () => Promise<unknown>
  readonly watchers: () => Watchers
  readonly toldUntil: ToldUntil
  /** What was missing is told, and nothing of what came after it. */
  readonly onRead: () => void
}

/** Where history is missing: between what was told before and what follows in the queue. */
interface Gap {
  readonly type: 'gap'
  readonly state: SchedulerState
  readonly store: Pick<Store, 'iterate'>
  readonly running: readonly RunningAttempt[]
}

export class CatchUp {
  readonly #options: CatchUpOptions
  /** Oldest first, from `#next` on; nothing waits when it is empty. */
  #held: (Gap | Happening)[] = []
  #next = 0
  /** Ends together with what waits, in one step: a gap that comes after that is the next drain's. */
  #draining = false
  #drained = Promise.resolve()
  #hurried = false
  #stopped = false
  /** Gaps that are not filled yet. */
  #gaps = 0
  #told = 0
  #skipped = 0

  constructor(options: CatchUpOptions) {
    this.#options = options
  }

  /** Ended tasks of history that were told. */
  get told(): number {
    return this.#told
  }

  /** Rows and events that could not be told. */
  get skipped(): number {
    return this.#skipped
  }

  /** Whether something waits to be told: what is missing is not read yet, or what happened meanwhile. */
  get waiting(): boolean {
    return this.#held.length > 0
  }

  /** Whether what is told now, if anything, is history. */
  get reading(): boolean {
    return this.#gaps > 0
  }

  /** From here on events wait, until `run` has read what is missing. */
  gap(state: SchedulerState, store: Pick<Store, 'iterate'>): void {
    this.#gaps++
    this.#held.push({ type: 'gap', state, store, running: runningAttempts(state) })
  }

  /** Tells of an applied entry's events, or keeps them until it is their turn. */
  take(events: readonly SchedulerEvent[], state: SchedulerState): void {
    const keep = this.#held.length > 0
    for (const event of events) {
      const happening = happeningOf(event, state, keep)
      if (happening === undefined) continue
      if (keep) this.#held.push(happening)
      else tellHappening(this.#options.watchers(), happening, false)
    }
    if (keep && this.#held.length - this.#next > MOST_HELD) this.#hurried = true
  }

  /** Tells what waits; resolves when nothing does. Never rejects. */
  async run(): Promise<void> {
    if (!this.#draining) this.#drained = this.#drain()
    await this.#drained
  }

  /** The node is stopping. */
  stop(): void {
    this.#stopped = true
  }

  async #drain(): Promise<void> {
    const { now, pause } = this.#options
    this.#draining = true
    try {
      let sliceEnd = now() + SLICE_MS
      let item = this.#held[this.#next]
      while (item !== undefined && !this.#stopped) {
        this.#next++
        if (item.type === 'gap') {
          await this.#fill(item)
          this.#gaps--
          this.#options.onRead()
        } else this.#tell(item)
        if (now() >= sliceEnd) {
          await pause()
          sliceEnd = now() + SLICE_MS
        }
        if (this.#next >= FORGOTTEN_AT_ONCE) {
          this.#held.splice(0, this.#next)
          this.#next = 0
        }
        item = this.#held[this.#next]
      }
    } finally {
      // Nothing may come between the last look at the queue and this.
      this.#held = []
      this.#next = 0
      this.#gaps = 0
      this.#hurried = false
      this.#draining = false
    }
  }

  #tell(happening: Happening): void {
    try {
      tellHappening(this.#options.watchers(), happening, !this.#hurried)
    } catch {
      this.#skipped++
    }
  }

  async #fill({ state, store, running }: Gap): Promise<void> {
    const { logger, now, pause, watchers, toldUntil } = this.#options
    const began = now()
    const { told, skipped, problem } = await warmUp(
      {
        ...{ store, now, pause },
        rows: WARM_UP_ROWS,
        isNew: (task) => toldUntil.isNew(task),
        readMs: WARM_UP_READ_MS,
        stopped: () => this.#stopped || this.#hurried,
        except: () => this.#endsHeld()
      },
      (moment: Moment) => {
        tellMoment(watchers(), moment, state)
      }
    )
    this.#told += told
    this.#skipped += skipped
    watchers().feed.reconcile(running)
    watchers().advisor?.reconcile(running)
    for (const { task, node, at } of running) this.#tell({ type: 'began', task, node, at })
    const { heapUsed, rss } = process.memoryUsage()
    const fields = { tasks: told, ms: Math.round(now() - began), heapUsed, rss }
    logger.info({ ...fields, cutShort: this.#hurried }, 'learned from the history of this node')
    if (problem !== undefined)
      logger.warn(
        { skipped, error: problem },
        'history could not be used as a whole; what could not was skipped'
      )
  }

  /** Tasks whose end waits to be told. */
  #endsHeld(): Set<TaskId> {
    const ids = new Set<TaskId>()
    for (const item of this.#held.slice(this.#next)) if (item.type === 'finished') ids.add(item.row.id)
    return ids
  }
}
