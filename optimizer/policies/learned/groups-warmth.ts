/**
 * What it costs to bring work to a node that did something else before: moving there, starting up, cold caches. Learned from how
 * long attempts hold their slots, by what their node ran last. Owns nothing of order.
 *
 * 1. Three kinds: `COLD` (another group or nothing before), `FIRST` (the same group, another stage), `WARM` (the same stage).
 * 2. A class's time by kind is shrunk to the estimator's mean times the ratio that this kind has over all classes, in ln, with a
 *    slow decay. Nothing observed: all kinds are alike, and whoever asks `matters` is told no.
 */
import type { NodeId, TaskId } from '../../../base/ids.ts'
import type { TaskView } from '../../../scheduler/policy.ts'
import type { Estimator } from '../../estimate.ts'
import { Newcomers } from './groups-newcomers.ts'

export type Kind = typeof COLD | typeof FIRST | typeof WARM
export const COLD = 0
export const FIRST = 1
export const WARM = 2
const KINDS = 3

/** A class's own times count as much as the common ratio after so many of them. */
const PRIOR_WEIGHT = 2
/** Least weight of a new ratio: the last few hundred count. */
const SLOWEST_RATE = 0.002
/** Ratios outside are a class that is not known yet. */
const LARGEST_RATIO = 100
/** Kinds differ only after so many observations of both, and by this factor. */
const LEAST_SEEN = 10
const LEAST_RATIO = 1.25
/** The estimator is asked again about a class when one of its attempts ended, and after so many uses of what it said. */
const USES = 64
/** Classes that are remembered; the oldest goes. */
const CLASSES = 4096

/** An attempt that is over. */
export interface Surprise {
  readonly heldMs: number
  readonly expectedMs: number
}

interface Attempt {
  readonly at: number
  readonly kind: Kind
  /** What was expected when it began. */
  readonly expectedMs: number
  /** What the estimator said of its class then, if that was new. */
  readonly guessMs: number | undefined
}

export class Warmth {
  readonly #estimator: Estimator
  readonly #last = new Map<NodeId, { readonly group: TaskId; readonly name: string }>()
  readonly #running = new Map<TaskId, Attempt>()
  /** Count and sum of times by kind, by class. */
  readonly #seen = new Map<string, Float64Array>()
  /** The estimator's word by class, and how often it was used since it was asked. */
  readonly #typical = new Map<string, { readonly ms: number; uses: number }>()
  readonly #newcomers = new Newcomers()
  readonly #lnRatio = new Float64Array(KINDS)
  readonly #counts = new Float64Array(KINDS)

  constructor(estimator: Estimator) {
    this.#estimator = estimator
  }

  /** Forgets what runs where; what was learned stays. */
  reset(): void {
    this.#last.clear()
    this.#running.clear()
  }

  kindOn(task: TaskView, node: NodeId): Kind {
    const last = this.#last.get(node)
    if (last?.group !== task.group) return COLD
    return last.name === task.name ? WARM : FIRST
  }

  /** The group that the node ran last; undefined for none. */
  groupOn(node: NodeId): TaskId | undefined {
    return this.#last.get(node)?.group
  }

  /** The stage (task name) that the node ran last. */
  stageOn(node: NodeId): string | undefined {
    return this.#last.get(node)?.name
  }

  /** Returns for how long it is expected to hold its slot. */
  started(task: TaskView, node: NodeId, at: number): number {
    const kind = this.kindOn(task, node)
    const expectedMs = this.expectedMs(task, kind)
    const guessMs = this.knows(task.name) ? undefined : this.#estimator.predict(task).medianMs
    this.#running.set(task.id, { at, kind, expectedMs, guessMs })
    this.#last.set(node, { group: task.group, name: task.name })
    return expectedMs
  }

  /** Learns from an attempt that ended by itself (`ran`), and forgets it. Returns what it took and what was expected. */
  ended(task: TaskView, ran: boolean, now: number): Surprise | undefined {
    const attempt = this.#running.get(task.id)
    this.#running.delete(task.id)
    if (attempt === undefined || !ran) return undefined
    const heldMs = Math.max(1, now - attempt.at)
    const { kind } = attempt
    this.#typical.delete(task.name)
    if (attempt.guessMs !== undefined && !this.knows(task.name)) {
      this.#newcomers.firstEnded(task.group, attempt.guessMs, heldMs)
    }
    const times = this.#timesOf(task.name)
    times[2 * kind] = (times[2 * kind] ?? 0) + 1
    times[2 * kind + 1] = (times[2 * kind + 1] ?? 0) + heldMs
    const ratio = heldMs / this.typicalMs(task)
    const lnRatio = Math.log(Math.min(LARGEST_RATIO, Math.max(1 / LARGEST_RATIO, ratio)))
    const count = (this.#counts[kind] ?? 0) + 1
    this.#counts[kind] = count
    const before = this.#lnRatio[kind] ?? 0
    this.#lnRatio[kind] = before + Math.max(SLOWEST_RATE, 1 / count) * (lnRatio - before)
    return { heldMs, expectedMs: attempt.expectedMs }
  }

  /** Whether anything of this class was ever seen. */
  knows(name: string): boolean {
    return this.#seen.has(name)
  }

  /** A typical attempt of the class, whatever its kind; in milliseconds. */
  typicalMs(task: TaskView): number {
    const ms = this.#estimatedMs(task)
    return this.knows(task.name) ? ms : this.#newcomers.expectedMs(task.group, ms)
  }

  #estimatedMs(task: TaskView): number {
    const known = this.#typical.get(task.name)
    if (known !== undefined && known.uses++ < USES) return known.ms
    const ms = this.#estimator.predict(task).medianMs
    if (this.#typical.size >= CLASSES) this.#typical.clear()
    this.#typical.set(task.name, { ms, uses: 0 })
    return ms
  }

  /** How long an attempt of this kind is expected to hold its slot, in milliseconds. */
  expectedMs(task: TaskView, kind: Kind): number {
    const known = (this.#counts[kind] ?? 0) > 0 ? Math.exp(this.#lnRatio[kind] ?? 0) : 1
    const common = this.typicalMs(task) * known
    const times = this.#seen.get(task.name)
    if (times === undefined) return common
    const count = times[2 * kind] ?? 0
    return ((times[2 * kind + 1] ?? 0) + PRIOR_WEIGHT * common) / (count + PRIOR_WEIGHT)
  }

  /** Whether a cold start has been seen to cost more than going on. */
  matters(): boolean {
    if ((this.#counts[COLD] ?? 0) < LEAST_SEEN || (this.#counts[WARM] ?? 0) < LEAST_SEEN) return false
    return Math.exp((this.#lnRatio[COLD] ?? 0) - (this.#lnRatio[WARM] ?? 0)) > LEAST_RATIO
  }

  #timesOf(name: string): Float64Array {
    let times = this.#seen.get(name)
    if (times !== undefined) return times
    if (this.#seen.size >= CLASSES) {
      for (const oldest of this.#seen.keys()) {
        this.#seen.delete(oldest)
        break
      }
    }
    times = new Float64Array(2 * KINDS)
    this.#seen.set(name, times)
    return times
  }
}
