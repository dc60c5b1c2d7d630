/**
 * Notices that a policy lets work lie: a task is ready, a node would take it, nothing runs in the whole cluster, and nothing is placed.
 *
 * Policies hold tasks back on purpose (for a reservation, for what a sibling will show, for a faster node that is busy), but such waits end with
 * something that runs. Where nothing does only time is left to wait for, and a policy has `IDLE_MS` of it.
 *
 * 1. State time counts, and at least `ROUNDS` questions in it: a leader that stood still for an hour proves nothing.
 * 2. Nothing is looked at while an attempt runs or is on its way. Ready tasks are gone through only when the time is up, `LOOKED_AT` a
 *    question, since the leader's heartbeats wait for that; the walk goes on with the next question.
 * 3. A task that no node would take is not looked at again before nodes change or something is placed: of those that became ready since
 *    the last walk so many are remembered as `REMEMBERED`; after more of them all are gone through.
 */
import { formatTaskId, type TaskId } from '../../base/ids.ts'
import { timestampMs, type TimestampMs } from '../../base/units.ts'
import type { ClusterView } from '../../scheduler/policy.ts'

const IDLE_MS = 5000
const ROUNDS = 3
const STEP_MS = IDLE_MS / (ROUNDS - 1)
/** A few milliseconds' worth on tens of nodes. */
const LOOKED_AT = 2000
const REMEMBERED = 10_000

export class IdleWatch {
  /** State time of the first question of this stretch; undefined while there is none. */
  #since: number | undefined
  #rounds = 0
  #nextAt = 0
  /** All that may lie for no reason; undefined for anything that is ready. */
  #suspects: Set<TaskId> | undefined
  /** Where the walk goes on, and which tasks became ready so late that they have more time. */
  #walk: Iterator<TaskId, unknown> | undefined
  #late = new Set<TaskId>()

  /** Something was placed, nodes changed, or the policy begins: whatever lasted begins anew. */
  anew(): void {
    this.#rest()
    this.#suspects = undefined
  }

  /** A task became ready. */
  ready(id: TaskId): void {
    if (this.#suspects === undefined) return
    this.#suspects.add(id)
    if (this.#suspects.size <= REMEMBERED) return
    this.#suspects = undefined
    this.#walk = undefined
  }

  /** A task is not ready any more. */
  gone(id: TaskId): void {
    this.#suspects?.delete(id)
    this.#late.delete(id)
  }

  /** The policy had nothing to place. Returns what is wrong with that, if it has lasted for too long. */
  nothing(view: ClusterView): string | undefined {
    if (this.#suspects?.size === 0) return undefined
    const { now } = view
    if (!isIdle(view)) this.#rest()
    else if (this.#since === undefined) this.#begin(now)
    else if (now >= this.#nextAt) {
      this.#nextAt = now + STEP_MS
      if (this.#walk !== undefined || ++this.#rounds >= ROUNDS) return this.#lying(this.#since, view)
    }
    return undefined
  }

  /** When to ask the policy again, so that this goes on where nothing else happens. */
  wakeAt(): TimestampMs | undefined {
    return this.#suspects?.size === 0 || this.#since === undefined ? undefined : timestampMs(this.#nextAt)
  }

  /** The time is up: a task that lies for no reason, the first that the walk comes by. */
  #lying(since: number, view: ClusterView): string | undefined {
    this.#walk ??= (this.#suspects ?? view.readyIds())[Symbol.iterator]()
    for (let looked = 0; looked < LOOKED_AT; looked++) {
      const next = this.#walk.next()
      if (next.done === true) {
        this.#walked(view.now)
        return undefined
      }
      const id = next.value
      const task = view.task(id)
      if (task === undefined) continue
      const node = view.nodes().find((other) => view.eligible(task, other) && view.fits(task, other))
      if (node === undefined) continue
      if (task.readyAt <= since) {
        this.anew()
        return `task ${formatTaskId(id)} is ready, node ${node.id} has room, nothing runs, and nothing was placed for ${view.now - since} ms`
      }
      this.#late.add(id)
    }
    this.#nextAt = view.now
    return undefined
  }

  /** Nothing lies but what became ready meanwhile, which has as much time. */
  #walked(now: number): void {
    const late = this.#late
    this.#late = new Set()
    this.#suspects = late.size > REMEMBERED ? undefined : late
    this.#rest()
    if (this.#suspects?.size !== 0) this.#begin(now)
  }

  #rest(): void {
    this.#since = undefined
    this.#walk = undefined
    // Most rests follow a placement, and there is no walk then.
    if (this.#late.size > 0) this.#late = new Set()
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
