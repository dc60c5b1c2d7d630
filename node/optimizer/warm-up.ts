/**
 * Reads the newest ended tasks of a node's store, so that what learns does not begin empty after a restart.
 *
 * 1. Rows are read and told in slices of `SLICE_MS`, with a pause after each: a node that starts, or leads, has other work.
 * 2. A row that does not hold, or that a listener fails on, is skipped and counted; the others are told all the same.
 */
import { toAppError } from '../../base/errors.ts'
import type { TaskId } from '../../base/ids.ts'
import { finishedTask, momentsOf, type FinishedTask, type Moment } from '../../optimizer/guard/history.ts'
import type { Store } from '../../runtime/ports/store.ts'
import { HISTORY_ROWS } from '../../scheduler/keys.ts'
import { decodeHistory } from '../../scheduler/records.ts'
import { SLICE_MS, WARM_UP_BEGINNINGS } from './bounds.ts'

export interface WarmUpOptions {
  readonly store: Pick<Store, 'iterate'>
  readonly rows: number
  /** Whether nobody has told of it yet. */
  readonly isNew: (task: FinishedTask) => boolean
  readonly now: () => number
  /** Resolves after a pause; called between slices. */
  readonly pause: () => Promise<unknown>
  /** Reading stops after so long; what was read is used. */
  readonly readMs: number
  /** Whether to give up: the node is stopping, or what happens now is more than can wait. */
  readonly stopped: () => boolean
  /** Tasks that are told in another way: asked once all rows are read. */
  readonly except: () => ReadonlySet<TaskId>
}

export interface WarmUpResult {
  /** Ended tasks that were told. */
  readonly told: number
  /** Rows that could not be used. */
  readonly skipped: number
  /** Why the first of them could not, or why reading ended early; undefined when nothing went wrong. */
  readonly problem: string | undefined
}

/** Tells of ended tasks, their beginnings and ends in the order of time. Never rejects. */
export async function warmUp(options: WarmUpOptions, tell: (moment: Moment) => void): Promise<WarmUpResult> {
  const pass = new Pass(options)
  const tasks = await pass.read()
  const except = options.except()
  const moments = momentsToTell(tasks.filter(({ id }) => !except.has(id)))
  const told = await pass.tell(moments, tell)
  return { told, skipped: pass.skipped, problem: pass.problem }
}

function momentsToTell(tasks: FinishedTask[]): Moment[] {
  tasks.sort((a, b) => a.finishedAt - b.finishedAt || a.id - b.id)
  const newest = new Set(tasks.slice(-WARM_UP_BEGINNINGS))
  return momentsOf(tasks).filter(({ task, ended }) => ended || newest.has(task))
}

class Pass {
  readonly #options: WarmUpOptions
  #sliceEnd: number
  skipped = 0
  problem: string | undefined

  constructor(options: WarmUpOptions) {
    this.#options = options
    this.#sliceEnd = options.now() + SLICE_MS
  }

  async read(): Promise<FinishedTask[]> {
    const { store, rows, now, readMs, stopped } = this.#options
    const text = new TextEncoder()
    const range = { gte: text.encode(HISTORY_ROWS.gte), lt: text.encode(HISTORY_ROWS.lt) }
    const found: FinishedTask[] = []
    const deadline = now() + readMs
    try {
      for await (const [, value] of store.iterate({ ...range, reverse: true, limit: rows })) {
        this.#add(value, found)
        if (stopped() || now() > deadline) break
        // Rows come in batches, and those of one batch without a turn in between.
        await this.#breathe()
      }
    } catch (error) {
      this.problem ??= toAppError(error).message
    }
    return found
  }

  #add(value: Uint8Array, found: FinishedTask[]): void {
    try {
      const task = finishedTask(decodeHistory(value))
      if (task !== undefined && this.#options.isNew(task)) found.push(task)
    } catch (error) {
      this.#skip(error)
    }
  }

  /** Returns how many ended tasks were told. */
  async tell(moments: readonly Moment[], tell: (moment: Moment) => void): Promise<number> {
    const failed = new Set<TaskId>()
    const open = new Set<TaskId>()
    let told = 0
    for (const moment of moments) {
      const { task, ended } = moment
      // Who stops tells of the ends of what it told the beginnings of: it would seem to run for ever.
      if (this.#options.stopped() && !(ended && open.has(task.id))) continue
      if (!failed.has(task.id)) {
        try {
          tell(moment)
          if (ended) {
            open.delete(task.id)
            told++
          } else open.add(task.id)
        } catch (error) {
          failed.add(task.id)
          this.#skip(error)
        }
      }
      if (!this.#options.stopped()) await this.#breathe()
    }
    return told
  }

  #skip(error: unknown): void {
    this.skipped++
    this.problem ??= toAppError(error).message
  }

  async #breathe(): Promise<void> {
    const { now, pause } = this.#options
    if (now() < this.#sliceEnd) return
    await pause()
    this.#sliceEnd = now() + SLICE_MS
  }
}
