/**
 * Attempts that have run far longer than their class ever does, judged by the predicted 99th percentile.
 *
 * Owns what each running attempt is held to. A factor of 2 above p99 and a floor keep the alarm quiet for short tasks and for classes that
 * are hardly known: where an estimator knows little its p99 is far away. The user's own timeout, where there is one, ends the attempt
 * anyhow; an alarm before it is still worth having.
 *
 * 1. An attempt is held to what was predicted as it began. To an estimator whatever still runs is evidence that its class takes long:
 *    asked again later, it would have an attempt that hangs excuse itself.
 * 2. Nor does one excuse those that begin beside it: once an attempt has outlived what it is held to, what its class is held to no longer
 *    rises by predictions. It rises by siblings that succeed after having run for longer: then the class has changed, and that is no guess.
 * 3. What began when fewer than `LEAST_ENDS` of its class had ended is held to what they show, as soon as they do.
 * 4. Of an attempt that was not seen to begin (a restart, another leader's past) the first answer counts as its beginning.
 * 5. Bounded: `MOST_RUNNING` attempts, and the least recently used classes go beyond `MOST_CLASSES`.
 */
import type { NodeId, TaskId } from '../../base/ids.ts'
import type { AttemptFeedback, TaskView } from '../../scheduler/policy.ts'
import type { ClassKey, Estimator } from '../estimate.ts'

const MARGIN = 2
const FLOOR_MS = 10_000
const QUANTILE = 0.99
/** Ends of a class from which on its p99 is more than a guess. */
const LEAST_ENDS = 20
/** What a class that is known is held to is asked for again after so long, in milliseconds of state time: longer ends are seen at once. */
const KEPT_MS = 10_000
/** While attempts wait to be held to more than a guess, each of the first ends counts, and later one in so many. */
const ENDS_A_LOOK = 16
const MOST_RUNNING = 20_000
const MOST_CLASSES = 4_096

/** From which run time on an attempt that is held to this p99 counts as stuck, in milliseconds. */
export function stuckAfterMs(p99Ms: number): number {
  return Math.max(FLOOR_MS, MARGIN * p99Ms)
}

/** An attempt, by its task and the node that it was placed on. */
export interface Attempt {
  readonly task: TaskView
  readonly node: NodeId
  /** When it was placed, in state time. */
  readonly at: number
}

/** What is kept of a class. */
interface Known {
  /** Attempts that came to an end of their own. */
  ends: number
  /** What those that begin now are held to. */
  p99Ms: number
  askedAt: number
  /** The earliest first. */
  readonly running: Set<Held>
  /** Those of them that began before much was known. */
  guessed: number
}

interface Held {
  readonly known: Known
  readonly at: number
  readonly guessed: boolean
  p99Ms: number
}

export class StuckWatch {
  readonly #estimator: Estimator
  readonly #classes = new Map<ClassKey, Known>()
  readonly #running = new Map<string, Held>()

  constructor(estimator: Estimator) {
    this.#estimator = estimator
  }

  /** An attempt begins, of which the estimator has not heard yet; it is `now` in state time. One that is known is not taken twice. */
  began(attempt: Attempt, now: number): void {
    this.#hold(attempt, now)
  }

  /** An attempt is over, and the estimator has heard of it. */
  ended({ task, node, end, runMs }: AttemptFeedback, now: number): void {
    const held = this.#release(keyOf(task.id, node))
    const known = held?.known ?? this.#knownOf(task)
    const succeeded = end === 'succeeded' || end === 'superseded'
    if (succeeded || end === 'failed') known.ends++
    if (known.guessed > 0 && (known.ends <= LEAST_ENDS || known.ends % ENDS_A_LOOK === 0))
      this.#look(known, task, now)
    // Of one that was not seen to begin, as in history, it is not known whether it ran beside those that run.
    if (held !== undefined && succeeded) raise(known, runMs)
  }

  /** The p99 that an attempt which runs is held to, in milliseconds. */
  p99Ms(attempt: Attempt, now: number): number {
    const { known, guessed, p99Ms } = this.#hold(attempt, now)
    return guessed && known.ends >= LEAST_ENDS ? Math.min(p99Ms, known.p99Ms) : p99Ms
  }

  /** These are all attempts that run: of others nobody will say that they are over. */
  reconcile(running: Iterable<{ readonly task: TaskView; readonly node: { readonly id: NodeId } }>): void {
    const alive = new Set<string>()
    for (const { task, node } of running) alive.add(keyOf(task.id, node.id))
    for (const key of this.#running.keys()) if (!alive.has(key)) this.#release(key)
  }

  #hold({ task, node, at }: Attempt, now: number): Held {
    const key = keyOf(task.id, node)
    const before = this.#running.get(key)
    if (before?.at === at) return before
    this.#release(key)
    const known = this.#knownOf(task)
    const guessed = known.ends < LEAST_ENDS
    if (guessed || now - known.askedAt >= KEPT_MS) this.#look(known, task, now)
    const held: Held = { known, at, guessed, p99Ms: known.p99Ms }
    if (this.#running.size >= MOST_RUNNING) return held
    this.#running.set(key, held)
    known.running.add(held)
    if (guessed) known.guessed++
    return held
  }

  #release(key: string): Held | undefined {
    const held = this.#running.get(key)
    if (held === undefined) return undefined
    this.#running.delete(key)
    held.known.running.delete(held)
    if (held.guessed) held.known.guessed--
    return held
  }

  /** Brings what the class is held to up to date (rule 2). */
  #look(known: Known, task: TaskView, now: number): void {
    const p99Ms = this.#estimator.predict(task).quantileMs(QUANTILE)
    const [oldest] = known.running
    const isOutlived = oldest !== undefined && now - oldest.at > known.p99Ms
    known.p99Ms = isOutlived ? Math.min(known.p99Ms, p99Ms) : p99Ms
    known.askedAt = now
  }

  #knownOf(task: TaskView): Known {
    const key = this.#estimator.classOf(task)
    const known = this.#classes.get(key) ?? newClass()
    // Maps keep the order of insertion: the class that is touched moves to the end.
    this.#classes.delete(key)
    this.#classes.set(key, known)
    if (this.#classes.size > MOST_CLASSES) {
      const [oldest] = this.#classes.keys()
      if (oldest !== undefined) this.#classes.delete(oldest)
    }
    return known
  }
}

function newClass(): Known {
  return { ends: 0, p99Ms: Infinity, askedAt: -Infinity, running: new Set(), guessed: 0 }
}

/** One succeeded that ran for so long, beside others of its class: they may, too. */
function raise(known: Known, runMs: number): void {
  known.p99Ms = Math.max(known.p99Ms, runMs)
  // Below the floor it makes no difference.
  if (MARGIN * runMs <= FLOOR_MS) return
  for (const held of known.running) held.p99Ms = Math.max(held.p99Ms, runMs)
}

function keyOf(task: TaskId, node: NodeId): string {
  return `${task}/${node}`
}
