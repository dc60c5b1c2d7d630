/**
 * Reads the newest ended tasks of a node's store, so that what learns does not begin empty after a restart.
 *
 * Rows are read and told in slices of `SLICE_MS`; in between the event loop goes on.
 */
import { setImmediate } from 'node:timers/promises'
import { finishedTask, momentsOf, type FinishedTask, type Moment } from '../../optimizer/guard/history.ts'
import type { Store } from '../../runtime/ports/store.ts'
import { HISTORY_ROWS } from '../../scheduler/keys.ts'
import { decodeHistory } from '../../scheduler/records.ts'
import { SLICE_MS, WARM_UP_BEGINNINGS } from './bounds.ts'

export interface WarmUpOptions {
  readonly store: Pick<Store, 'iterate'>
  readonly rows: number
  /** Only what ended later than this state time. */
  readonly after: number
  readonly now: () => number
  /** Reading stops after so long; what was read is used. */
  readonly readMs: number
  /** Whether to give up: the node is stopping. */
  readonly stopped: () => boolean
}

/** Tells of ended tasks, their beginnings and ends in the order of time; resolves with the number that ended. */
export async function warmUp(options: WarmUpOptions, tell: (moment: Moment) => void): Promise<number> {
  const { now, stopped } = options
  const tasks = await readNewest(options)
  tasks.sort((a, b) => a.finishedAt - b.finishedAt || a.id - b.id)
  const newest = new Set(tasks.slice(-WARM_UP_BEGINNINGS))
  const moments = momentsOf(tasks).filter(({ task, ended }) => ended || newest.has(task))
  let sliceEnd = now() + SLICE_MS
  let told = 0
  for (const moment of moments) {
    if (stopped()) break
    tell(moment)
    if (moment.ended) told++
    if (now() < sliceEnd) continue
    await setImmediate()
    sliceEnd = now() + SLICE_MS
  }
  return told
}

async function readNewest(options: WarmUpOptions): Promise<FinishedTask[]> {
  const { store, rows, after, now, readMs, stopped } = options
  const text = new TextEncoder()
  const range = { gte: text.encode(HISTORY_ROWS.gte), lt: text.encode(HISTORY_ROWS.lt) }
  const found: FinishedTask[] = []
  const deadline = now() + readMs
  let sliceEnd = now() + SLICE_MS
  for await (const [, value] of store.iterate({ ...range, reverse: true, limit: rows })) {
    const task = finishedTask(decodeHistory(value))
    if (task !== undefined && task.finishedAt > after) found.push(task)
    const at = now()
    if (stopped() || at > deadline) break
    // Rows come in batches, and those of one batch without a turn in between.
    if (at < sliceEnd) continue
    await setImmediate()
    sliceEnd = now() + SLICE_MS
  }
  return found
}
