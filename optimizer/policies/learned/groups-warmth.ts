/**
 * What it costs to bring work to a node that did something else before: moving there, starting up, cold caches. Learned from how
 * long attempts hold their slots, by what their node ran last. Owns nothing of order.
 *
 * 1. Three kinds: `COLD` (another group or nothing before), `FIRST` (the same group, another stage), `WARM` (the same stage).
 * 2. A class's time by kind is shrunk to the estimator's mean times the ratio that this kind has over all classes, in ln, with a
 *    slow decay. Nothing observed: all kinds are alike, and whoever asks `matters` is told no.
 * 3. A node that is slow, and is given work only now and then, has cold starts most: that they take longer than what others go on with says
 *    nothing of cold starts (`groups-starts.ts`).
 */
import type { NodeId, TaskId } from '../../../base/ids.ts'
import { dropOldest } from '../../../base/oldest.ts'
import type { TaskView } from '../../../scheduler/policy.ts'
import type { ClassKey, Estimator } from '../../estimate.ts'
import { Newcomers } from './groups-newcomers.ts'
import { PairedStarts } from './groups-starts.ts'

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
const LEAST_RATIO_LN = Math.log(1.25)
/** The estimator is asked again about a class when one of its attempts ended, and after so many uses of what it said. */
const USES = 64
/** … but about so many classes in one decision, at 20 µs or so each: the others keep what they have. */
const MOST_ASKED = 16
/** Of a class that nobody has run it says something else when so much more was heard of others. */
const NEWS_SHARE = 1 / 8
/** Classes that are remembered; the oldest goes. */
const CLASSES = 4096

/** An attempt that is over. */
export interface Surprise {
  readonly heldMs: number
  readonly expectedMs: number
}

/** What is known of a class of tasks: those that share predictions, in whatever group. */
export interface KnownClass {
  /** Tenant and name. */
  readonly nameKey: string
  /** Whether its tasks depend on nothing. */
  readonly source: boolean
  /** Count and sum of times by kind. */
  readonly times: Float64Array
  /** Attempts that ended by themselves, and what they ran. */
  ended: number
  ranMs: number
  /** The ln that it has voted for among newcomers. */
  votedLn: number
  /** The estimator's word in milliseconds, how often it may be used before it is asked again, and after what news it was. */
  typicalMs: number
  uses: number
  askedAt: number
}

interface Attempt {
  readonly of: KnownClass
  readonly at: number
  readonly node: NodeId
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
  readonly #classes = new Map<ClassKey, KnownClass>()
  readonly #newcomers = new Newcomers()
  /** Grows when what is known of a class changed enough to matter to others. */
  news = 0
  readonly #lnRatio = new Float64Array(KINDS)
  readonly #counts = new Float64Array(KINDS)
  readonly #starts = new PairedStarts()
  /** What is left of `MOST_ASKED` for this decision. */
  #asks = MOST_ASKED

  constructor(estimator: Estimator) {
    this.#estimator = estimator
  }

  /** Attempts that run. */
  get running(): number {
    return this.#running.size
  }

  /** Forgets what runs where; what was learned stays. */
  reset(): void {
    this.#last.clear()
    this.#running.clear()
  }

  /** Nodes that are not among these are gone. */
  keep(nodes: ReadonlySet<NodeId>): void {
    this.#starts.keep(nodes)
    for (const node of this.#last.keys()) if (!nodes.has(node)) this.#last.delete(node)
  }

  /** All predictions have moved: the estimator is asked again. */
  anew(): void {
    for (const known of this.#classes.values()) known.uses = 0
    this.news++
  }

  /** A decision begins. */
  decide(): void {
    this.#asks = MOST_ASKED
  }

  /** What is known of the task's class; to be kept by who asks often. */
  classOf(task: TaskView): KnownClass {
    const key = this.#estimator.classOf(task)
    let known = this.#classes.get(key)
    if (known !== undefined) return known
    if (this.#classes.size >= CLASSES) dropOldest(this.#classes)
    known = {
      nameKey: `${task.tenant}\n${task.name}`,
      source: task.needs.length === 0,
      times: new Float64Array(2 * KINDS),
      ended: 0,
      ranMs: 0,
      votedLn: 0,
      typicalMs: 0,
      uses: 0,
      askedAt: 0
    }
    this.#classes.set(key, known)
    return known
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
  started(task: TaskView, known: KnownClass, node: NodeId, at: number): number {
    const kind = this.kindOn(task, node)
    const expectedMs = this.expectedMs(task, known, kind)
    const guessMs = known.ended > 0 ? undefined : this.#estimator.predict(task).medianMs
    this.#running.set(task.id, { of: known, at, node, kind, expectedMs, guessMs })
    this.#last.set(node, { group: task.group, name: task.name })
    return expectedMs
  }

  /**
   * Learns from an attempt that ended by itself after a run of `runMs` (undefined: something else ended it), and forgets it. Returns what it
   * took and what was expected.
   */
  ended(task: TaskView, runMs: number | undefined, now: number): Surprise | undefined {
    const attempt = this.#running.get(task.id)
    this.#running.delete(task.id)
    if (attempt === undefined || runMs === undefined) return undefined
    const heldMs = Math.max(1, now - attempt.at)
    const { node, kind, of: known } = attempt
    known.uses = 0
    // What has just ended is worth a question of its own.
    this.#asks++
    const { times } = known
    times[2 * kind] = (times[2 * kind] ?? 0) + 1
    times[2 * kind + 1] = (times[2 * kind + 1] ?? 0) + heldMs
    known.ended++
    known.ranMs += runMs
    const ratio = heldMs / this.typicalMs(task, known)
    const lnRatio = Math.log(Math.min(LARGEST_RATIO, Math.max(1 / LARGEST_RATIO, ratio)))
    const count = (this.#counts[kind] ?? 0) + 1
    this.#counts[kind] = count
    const before = this.#lnRatio[kind] ?? 0
    this.#lnRatio[kind] = before + Math.max(SLOWEST_RATE, 1 / count) * (lnRatio - before)
    if (kind !== FIRST) this.#starts.add(node, kind === COLD, lnRatio)
    if (isPowerOfTwo(known.ended)) this.#vote(task, known, attempt)
    return { heldMs, expectedMs: attempt.expectedMs }
  }

  /** The attempt did not begin after all. */
  drop(id: TaskId): void {
    this.#running.delete(id)
  }

  /** A typical attempt of the class, whatever its kind; in milliseconds. */
  typicalMs(task: TaskView, known: KnownClass): number {
    const isNew = known.ended === 0
    const own = isNew ? this.#newcomers.expectedMs(known, task.group) : undefined
    if (own !== undefined) return own
    // What is heard of others moves the estimator's word for a class that nobody has run.
    const isOld = known.uses-- <= 0 || (isNew && this.news > known.askedAt * (1 + NEWS_SHARE))
    if (isOld && (this.#asks > 0 || known.typicalMs === 0)) {
      this.#asks--
      known.typicalMs = this.#estimator.predict(task).medianMs
      known.uses = USES
      known.askedAt = this.news
    }
    return known.typicalMs
  }

  /** How long an attempt of this kind is expected to hold its slot, in milliseconds. */
  expectedMs(task: TaskView, known: KnownClass, kind: Kind): number {
    const ratio = (this.#counts[kind] ?? 0) > 0 ? Math.exp(this.#lnRatio[kind] ?? 0) : 1
    const common = this.typicalMs(task, known) * ratio
    const { times } = known
    const count = times[2 * kind] ?? 0
    return ((times[2 * kind + 1] ?? 0) + PRIOR_WEIGHT * common) / (count + PRIOR_WEIGHT)
  }

  /** Whether a cold start has been seen to cost more than going on: over all nodes, and on one and the same node (rule 3). */
  matters(): boolean {
    if ((this.#counts[COLD] ?? 0) < LEAST_SEEN || (this.#counts[WARM] ?? 0) < LEAST_SEEN) return false
    const ln = (this.#lnRatio[COLD] ?? 0) - (this.#lnRatio[WARM] ?? 0)
    return Math.min(ln, this.#starts.differenceLn) > LEAST_RATIO_LN
  }

  /** Tells newcomers what this class takes, as far as that is known now. */
  #vote(task: TaskView, known: KnownClass, { guessMs }: Attempt): void {
    const ln = Math.log(Math.max(1, known.ranMs / known.ended))
    if (known.ended > 1) this.#newcomers.moved(known, task.group, ln - known.votedLn)
    else this.#newcomers.firstEnded(known, task.group, guessMs ?? known.typicalMs, ln)
    known.votedLn = ln
    this.news++
  }
}

function isPowerOfTwo(count: number): boolean {
  return (count & (count - 1)) === 0
}
