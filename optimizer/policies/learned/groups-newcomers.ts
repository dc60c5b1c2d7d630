/**
 * What to expect of classes that were never seen to end: an estimator's word for them is often its guess before all evidence.
 *
 * 1. The alternative is what classes took when they were first seen, in ln, each class one vote however many tasks it has; the
 *    group's own classes first, shrunk to those of all groups.
 * 2. Whoever foresaw first completions better so far is believed: an estimator that was told of classes in advance stays.
 */
import type { TaskId } from '../../../base/ids.ts'

/** First completions before the estimator may be doubted. */
const LEAST_SEEN = 5
/** What all groups say counts as so many classes of the group's own. */
const PRIOR_WEIGHT = 1
/** Memory of errors and of what all groups say: the last fifty classes or so. */
const DECAY = 0.98
/** Groups that are remembered; the oldest goes. */
const GROUPS = 4096

interface Votes {
  count: number
  sumLn: number
}

export class Newcomers {
  readonly #all: Votes = { count: 0, sumLn: 0 }
  readonly #groups = new Map<TaskId, Votes>()
  #seen = 0
  /** Decayed sums of squared errors in ln: of the estimator, and of rule 1. */
  #estimatorError = 0
  #ownError = 0

  /** What an attempt of a class that was never seen is expected to take, given what the estimator says; in milliseconds. */
  expectedMs(group: TaskId, estimatorMs: number): number {
    return this.#seen >= LEAST_SEEN && this.#ownError < this.#estimatorError
      ? Math.exp(this.#expectedLn(group))
      : estimatorMs
  }

  /** The first attempt of a class took so long; the estimator had said `estimatorMs` when it began. */
  firstEnded(group: TaskId, estimatorMs: number, tookMs: number): void {
    const ln = Math.log(tookMs)
    if (this.#all.count > 0) {
      this.#seen++
      this.#estimatorError = DECAY * this.#estimatorError + (ln - Math.log(estimatorMs)) ** 2
      this.#ownError = DECAY * this.#ownError + (ln - this.#expectedLn(group)) ** 2
    }
    this.#all.count = DECAY * this.#all.count + 1
    this.#all.sumLn = DECAY * this.#all.sumLn + ln
    const votes = this.#votesOf(group)
    votes.count++
    votes.sumLn += ln
  }

  #expectedLn(group: TaskId): number {
    const common = this.#all.sumLn / this.#all.count
    const votes = this.#groups.get(group)
    if (votes === undefined) return common
    return (votes.sumLn + PRIOR_WEIGHT * common) / (votes.count + PRIOR_WEIGHT)
  }

  #votesOf(group: TaskId): Votes {
    let votes = this.#groups.get(group)
    if (votes !== undefined) return votes
    if (this.#groups.size >= GROUPS) {
      for (const oldest of this.#groups.keys()) {
        this.#groups.delete(oldest)
        break
      }
    }
    votes = { count: 0, sumLn: 0 }
    this.#groups.set(group, votes)
    return votes
  }
}
