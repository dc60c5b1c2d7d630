/**
 * Notices that a policy lets work lie: a task is ready, a node would take it, nothing runs in the whole cluster, and nothing is placed.
 *
 * Policies hold tasks back on purpose (for a reservation, for what a sibling will show, for a faster node that is busy), but such waits end with
 * something that runs. Where nothing does only time is left to wait for, and a policy has `IDLE_MS` of it.
 *
 * 1. State time counts, and at least `ROUNDS` questions in it: a leader that stood still for an hour proves nothing.
 * 2. Nothing is looked at while an attempt runs or is on its way. Ready tasks are gone through only when the time is up, and not again
 *    before another is ready or nodes change, if no node would take any.
 */
import { formatTaskId } from '../../base/ids.ts'
import { timestampMs, type TimestampMs } from '../../base/units.ts'
import type { ClusterView } from '../../scheduler/policy.ts'

const IDLE_MS = 5000
const ROUNDS = 3
const STEP_MS = IDLE_MS / (ROUNDS - 1)

export class IdleWatch {
  /** State time of the first question of this stretch; undefined while there is none. */
  #since: number | undefined
  #rounds = 0
  #nextAt = 0
  /** Whether no node would take what is ready, as far as was heard since. */
  #isClear = false

  /** Something was placed, nodes changed, or the policy begins: whatever lasted begins anew. */
  anew(): void {
    this.#since = undefined
    this.#isClear = false
  }

  /** A task became ready. */
  ready(): void {
    this.#isClear = false
  }

  /** The policy had nothing to place. Returns what is wrong with that, if it has lasted for too long. */
  nothing(view: ClusterView): string | undefined {
    if (this.#isClear) return undefined
    const { now } = view
    if (!isIdle(view)) this.#since = undefined
    else if (this.#since === undefined) this.#begin(now)
    else if (now >= this.#nextAt) {
      this.#nextAt = now + STEP_MS
      if (++this.#rounds >= ROUNDS) return this.#lying(this.#since, view)
    }
    return undefined
  }

  /** When to ask the policy again, so that this goes on where nothing else happens. */
  wakeAt(): TimestampMs | undefined {
    return this.#isClear || this.#since === undefined ? undefined : timestampMs(this.#nextAt)
  }

  /** The time is up: the first task that lies for no reason. */
  #lying(since: number, view: ClusterView): string | undefined {
    this.anew()
    this.#isClear = true
    for (const task of view.ready()) {
      const node = view.nodes().find((other) => view.eligible(task, other) && view.fits(task, other))
      if (node === undefined) continue
      const id = formatTaskId(task.id)
      if (task.readyAt <= since)
        return `task ${id} is ready, node ${node.id} has room, nothing runs, and nothing was placed for ${view.now - since} ms`
      // It became ready meanwhile: it has as much time.
      this.#isClear = false
      this.#begin(view.now)
    }
    return undefined
  }

  #begin(now: number): void {
    this.#since = now
    this.#rounds = 1
    this.#nextAt = now + STEP_MS
  }
}

/** Whether there are nodes, and no attempt on any node, not even one on its way. */
function isIdle(view: ClusterView): boolean {
  const nodes = view.nodes()
  if (nodes.length === 0 || nodes.some(({ freeSlots, slots }) => freeSlots < slots)) return false
  for (const _ of view.running()) return false
  return true
}
