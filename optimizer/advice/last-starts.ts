/**
 * When all have started that go before a place in the policy's order: of each queue its ready tasks in that order (by rank, then by
 * readiness), with what the futures say of the latest start up to each of them. Worked out once for all queues, when first asked, in
 * O(n log n + n × draws); a question is a binary search.
 */
import type { Futures } from './list-schedule.ts'
import { momentOf } from './moment.ts'
import type { Moment } from './moment.ts'
import type { Place, Problem } from './problem.ts'

/** The ready tasks of a queue in order, and when each of them and all before it have started. */
interface Line {
  readonly tasks: readonly number[]
  readonly startedBy: readonly (Moment | undefined)[]
}

export class LastStarts {
  readonly #problem: Problem
  readonly #futures: Futures
  /** By queue. */
  #lines: readonly Line[] | undefined

  constructor(problem: Problem, futures: Futures) {
    this.#problem = problem
    this.#futures = futures
  }

  /**
   * When the last of those has started that go before what is ready at `readyAt` (Infinity: after all that are) at this place.
   * Undefined when none does, and where one of them never starts.
   */
  before({ queue, rank }: Place, readyAt: number): Moment | undefined {
    this.#lines ??= this.#allLines()
    const line = this.#lines[queue]
    if (line === undefined) return undefined
    let low = 0
    let high = line.tasks.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#compare(line.tasks[middle] ?? 0, rank, readyAt) > 0) high = middle
      else low = middle + 1
    }
    return line.startedBy[low - 1]
  }

  #allLines(): Line[] {
    const { waiting, queueOf, queueShape, rank, readyAt } = this.#problem
    const queues = Array.from(queueShape, (): number[] => [])
    for (const index of waiting) {
      // Before whom one goes that is not ready yet is not known.
      if ((readyAt[index] ?? Infinity) < Infinity) queues[queueOf[index] ?? 0]?.push(index)
    }
    return queues.map((tasks) => {
      tasks.sort((a, b) => this.#compare(a, rank[b] ?? 0, readyAt[b] ?? 0))
      return { tasks, startedBy: this.#startedBy(tasks) }
    })
  }

  #startedBy(tasks: readonly number[]): (Moment | undefined)[] {
    const { draws, startAt, finishAt } = this.#futures
    const last = new Float64Array(draws)
    return tasks.map((index) => {
      for (let draw = 0; draw < draws; draw++) {
        const at = index * draws + draw
        // One that has waited for too long is out of the way as well.
        const gone = Math.min(startAt[at] ?? Infinity, finishAt[at] ?? Infinity)
        last[draw] = Math.max(last[draw] ?? 0, gone)
      }
      return momentOf(last.slice())
    })
  }

  /** Below 0 where the task goes before that place, above where it comes after. */
  #compare(index: number, rank: number, readyAt: number): number {
    return (
      inOrder(this.#problem.rank[index] ?? 0, rank) || inOrder(this.#problem.readyAt[index] ?? 0, readyAt)
    )
  }
}

/** Infinities too. */
function inOrder(a: number, b: number): number {
  return a === b ? 0 : a < b ? -1 : 1
}
