/**
 * What to expect of stages that were never seen to end: an estimator's word for them is often its guess before all evidence.
 *
 * 1. The alternative is what other stages take, in ln, each class of stages one vote however many tasks it has. Votes are nested: all
 *    stages > those that read what was submitted, or what others made > the group's own > stages of the same name (of the same tenant, on
 *    input of another size). Each level is shrunk to the one above.
 * 2. A vote follows what is learned of its class later.
 * 3. What is expected is a mean, since work is a sum: e to the ln plus half its variance, which is what rule 1 was wrong by so far.
 * 4. Whoever foresaw first completions better so far is believed: an estimator that was told of classes in advance stays.
 */
import type { TaskId } from '../../../base/ids.ts'
import { dropOldest } from '../../../base/oldest.ts'

/** First completions before the estimator may be doubted. */
const LEAST_SEEN = 5
/** What each level counts for below, in classes. Stages of one name differ less than those of one group. */
const ALL_WEIGHT = 1
const KIND_WEIGHT = 2
const NAME_WEIGHT = 0.3
/** Votes that a level remembers. */
const MEMORY = 100
/** Memory of errors: the last fifty classes or so. */
const DECAY = 0.98
/** How many right predictions count beside the errors, and the largest variance ÷ 2 that is believed. */
const ERRORS_WEIGHT = 2
const MOST_HALF_VARIANCE = 1.5
/** Groups and names that are remembered; the oldest goes. */
const GROUPS = 4096
const NAMES = 8192

/** What is known of a stage before it runs. */
export interface Unseen {
  /** Tenant and name. */
  readonly nameKey: string
  /** Whether it depends on nothing: what it reads was there before its group. */
  readonly source: boolean
}

interface Votes {
  count: number
  mean: number
}

/** Decayed sum of squared errors in ln. */
interface Errors {
  weight: number
  squares: number
}

export class Newcomers {
  readonly #all = votes()
  readonly #sources = votes()
  readonly #inner = votes()
  /** Of what a group's stages took in relation to what their kind does. */
  readonly #groups = new Map<TaskId, Votes>()
  readonly #names = new Map<string, Votes>()
  #seen = 0
  /** Of the estimator, and of rule 1: in all, and by what was known of a stage. */
  readonly #ofEstimator = errors()
  readonly #ofOwn = errors()
  readonly #ofNamed = errors()
  readonly #ofSources = errors()
  readonly #ofInner = errors()

  /** What an attempt of a class that was never seen is expected to take, in milliseconds; undefined to ask the estimator. */
  expectedMs(stage: Unseen, group: TaskId): number | undefined {
    if (this.#seen < LEAST_SEEN || this.#ofOwn.squares >= this.#ofEstimator.squares) return undefined
    const { weight, squares } = this.#errorsOf(stage)
    const halfVariance = Math.min(MOST_HALF_VARIANCE, squares / (weight + ERRORS_WEIGHT) / 2)
    return Math.exp(this.#expectedLn(stage, group) + halfVariance)
  }

  /** The first attempt of a class ended after e^`ln` ms; the estimator had said `estimatorMs` when it began. */
  firstEnded(stage: Unseen, group: TaskId, estimatorMs: number, ln: number): void {
    if (this.#all.count > 0) {
      this.#seen++
      const error = ln - this.#expectedLn(stage, group)
      err(this.#ofEstimator, ln - Math.log(estimatorMs))
      err(this.#ofOwn, error)
      err(this.#errorsOf(stage), error)
    }
    vote(of(this.#groups, group, GROUPS), ln - this.#kindLn(stage, ln))
    vote(this.#all, ln)
    vote(this.#kindOf(stage), ln)
    vote(of(this.#names, stage.nameKey, NAMES), ln)
  }

  /** More is known of a class that has voted: its ln moved by so much. */
  moved(stage: Unseen, group: TaskId, byLn: number): void {
    const levels = [this.#all, this.#kindOf(stage), this.#groups.get(group), this.#names.get(stage.nameKey)]
    for (const level of levels) {
      if (level !== undefined && level.count > 0) level.mean += byLn / level.count
    }
  }

  #expectedLn(stage: Unseen, group: TaskId): number {
    const kindLn = this.#kindLn(stage, 0)
    const own = this.#groups.get(group)
    const groupLn = own === undefined ? kindLn : kindLn + (own.mean * own.count) / (own.count + KIND_WEIGHT)
    return shrunk(this.#names.get(stage.nameKey), groupLn, NAME_WEIGHT)
  }

  /** `guess` where nothing was ever seen. */
  #kindLn(stage: Unseen, guess: number): number {
    const all = this.#all.count === 0 ? guess : this.#all.mean
    return shrunk(this.#kindOf(stage), all, ALL_WEIGHT)
  }

  #kindOf(stage: Unseen): Votes {
    return stage.source ? this.#sources : this.#inner
  }

  #errorsOf(stage: Unseen): Errors {
    if (this.#names.has(stage.nameKey)) return this.#ofNamed
    return stage.source ? this.#ofSources : this.#ofInner
  }
}

function votes(): Votes {
  return { count: 0, mean: 0 }
}

function errors(): Errors {
  return { weight: 0, squares: 0 }
}

function err(errors: Errors, error: number): void {
  errors.weight = errors.weight * DECAY + 1
  errors.squares = errors.squares * DECAY + error * error
}

function vote(level: Votes, ln: number): void {
  level.count = Math.min(MEMORY, level.count + 1)
  level.mean += (ln - level.mean) / level.count
}

function shrunk(level: Votes | undefined, above: number, weight: number): number {
  return level === undefined ? above : (level.mean * level.count + weight * above) / (level.count + weight)
}

/** The votes of this key, made if new; the oldest of more than `most` go. */
function of<K>(levels: Map<K, Votes>, key: K, most: number): Votes {
  let level = levels.get(key)
  if (level !== undefined) return level
  if (levels.size >= most) dropOldest(levels)
  level = votes()
  levels.set(key, level)
  return level
}
