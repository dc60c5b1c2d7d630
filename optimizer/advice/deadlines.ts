/**
 * Deadlines that are at risk, or have passed. An alarm rises before the miss; it costs the task nothing, since deadlines are wishes, not
 * timeouts.
 *
 * Owns which tasks are at risk and since when.
 *
 * 1. A deadline comes to be at risk when the predicted p90 of the finish lies past it, or when the task cannot run as things are.
 * 2. It ceases to be when the p90 lies within half of the time that is left. A forecast is drawn by chance, and one to the next may differ
 *    by more than that of an attempt of which little is known: with one threshold for both, an alarm would come and go with each of them.
 * 3. Where nothing is forecast, what was said last goes on.
 */
import type { TaskId } from '../../base/ids.ts'

/** Of the time left to the deadline, the part within which the predicted p90 lies where all is well again. */
const SAFE_SHARE = 0.5

export interface Deadline {
  readonly id: TaskId
  /** 0 for none. */
  readonly deadlineAt: number
}

/**
 * What is known of a task's finish: a p90, the earliest that it can be, that there is none as things are, that it is likely to fail since it,
 * or what it needs, waits for longer than it may, or nothing.
 */
export type Finish =
  | { readonly type: 'p90'; readonly at: number }
  | { readonly type: 'not-before'; readonly at: number }
  | { readonly type: 'never' }
  | { readonly type: 'expires' }
  | { readonly type: 'unknown' }

export interface DeadlineVerdict {
  readonly is: 'at-risk' | 'missed'
  /** A miss: the deadline itself. At risk: when this node first saw it. */
  readonly since: number
}

export class DeadlineWatch {
  readonly #atRisk = new Map<TaskId, number>()

  /** Judges a live task; undefined: nothing is wrong. */
  judge({ id, deadlineAt }: Deadline, now: number, finish: Finish): DeadlineVerdict | undefined {
    if (deadlineAt === 0) return undefined
    if (deadlineAt < now) {
      this.#atRisk.delete(id)
      return { is: 'missed', since: deadlineAt }
    }
    const since = this.#atRisk.get(id)
    if (!isAtRisk(finish, deadlineAt, now, since !== undefined)) {
      this.#atRisk.delete(id)
      return undefined
    }
    if (since === undefined) this.#atRisk.set(id, now)
    return { is: 'at-risk', since: since ?? now }
  }

  /** The task is over. */
  forget(id: TaskId): void {
    this.#atRisk.delete(id)
  }

  /** Forgets all others. */
  keepOnly(lives: (id: TaskId) => boolean): void {
    for (const id of this.#atRisk.keys()) if (!lives(id)) this.#atRisk.delete(id)
  }
}

function isAtRisk(finish: Finish, deadlineAt: number, now: number, wasAtRisk: boolean): boolean {
  switch (finish.type) {
    case 'never':
    case 'expires':
      return true
    case 'unknown':
      return wasAtRisk
    case 'not-before':
      return wasAtRisk || finish.at > deadlineAt
    case 'p90': {
      const from = wasAtRisk ? now + SAFE_SHARE * (deadlineAt - now) : deadlineAt
      return finish.at > from
    }
  }
}
