/**
 * Tasks that have not ended, as a replay is told of them: those that arrived in its stretch, to be held in it, and what runs
 * besides, which tells how long run times get (`drawn-run-times.ts`).
 *
 * 1. No more than `MOST_HELD` of either are told of. What is beyond is left out by lot, in whole groups: each task is as
 *    likely to be told of as any other, and none without those of its DAG. The newest or the first would be of a part of the
 *    stretch, and every k-th would take DAGs apart.
 * 2. Lots are drawn by the group's id, so that replays that follow each other hold the same groups.
 * 3. Memory is bounded by what is told of, not by what is offered.
 */
import type { NodeId, TaskId } from '../../base/ids.ts'
import { uniform } from '../sim/draw.ts'
import type { ClusterView, TaskView } from '../../scheduler/policy.ts'
import { arrivedView, type ArrivedTask, type FinishedTask } from './history.ts'

/** A task that has not ended. Plain data. */
export interface UnendedTask extends ArrivedTask {
  /** Where it runs, and how long it has so far, in milliseconds; undefined while it does not run. */
  readonly running: { readonly node: NodeId; readonly forMs: number } | undefined
}

export interface Unended {
  /** Some of those that arrived within the stretch of the replay, and some that arrived before it and run. */
  readonly tasks: readonly UnendedTask[]
  /** Those of the stretch that are not among these. */
  readonly others: number
}

export const NOTHING_UNENDED: Unended = { tasks: [], others: 0 }

/** When the first and the last of the ended tasks of a replay arrived, in state time. */
export interface Stretch {
  readonly fromAt: number
  readonly toAt: number
}

/** As many as ended tasks are replayed at most when the guard decides. */
const MOST_HELD = 2_000
/** Of the lots. */
const SEED = 0x1075

/** The stretch of the `count` ended tasks that arrived last; undefined without any. */
export function stretchOf(
  history: readonly Pick<FinishedTask, 'arrivedAt'>[],
  count: number
): Stretch | undefined {
  const arrivals = Float64Array.from(history, ({ arrivedAt }) => arrivedAt).sort()
  const fromAt = arrivals[Math.max(0, arrivals.length - count)]
  const toAt = arrivals.at(-1)
  return fromAt === undefined || toAt === undefined ? undefined : { fromAt, toAt }
}

export function isWithin({ arrivedAt }: Pick<ArrivedTask, 'arrivedAt'>, { fromAt, toAt }: Stretch): boolean {
  return arrivedAt >= fromAt && arrivedAt <= toAt
}

/** Picks what is told of a replay of this stretch. `T` is what a task is made of; what is left out need not be made. */
export class UnendedSample<T> {
  readonly #stretch: Stretch
  readonly #held: Lots<T>
  readonly #older: Lots<T>

  constructor(stretch: Stretch, most = MOST_HELD) {
    this.#stretch = stretch
    this.#held = new Lots(most)
    this.#older = new Lots(most)
  }

  offer(task: Pick<ArrivedTask, 'arrivedAt' | 'group'>, runs: boolean, source: T): void {
    if (isWithin(task, this.#stretch)) this.#held.add(task.group, source)
    else if (runs && task.arrivedAt < this.#stretch.fromAt) this.#older.add(task.group, source)
  }

  /** `make` may find that a task has ended meanwhile, and returns undefined then. */
  take(make: (source: T) => UnendedTask | undefined): Unended {
    const sources = [...this.#held.taken(), ...this.#older.taken()]
    return { tasks: sources.flatMap((source) => make(source) ?? []), others: this.#held.leftOut }
  }
}

/** Those with the lowest lots, as many as there is room for, in whole groups. */
class Lots<T> {
  readonly #most: number
  #drawn: { readonly lot: number; readonly source: T }[] = []
  /** From this lot on there is no room. */
  #end = Infinity
  leftOut = 0

  constructor(most: number) {
    this.#most = most
  }

  add(group: TaskId, source: T): void {
    const lot = uniform(SEED, group, 0, 0)
    if (lot >= this.#end) {
      this.leftOut++
      return
    }
    this.#drawn.push({ lot, source })
    // Seldom enough for sorting to cost little a task.
    if (this.#drawn.length >= 2 * this.#most) this.#cut()
  }

  taken(): T[] {
    this.#cut()
    return this.#drawn.map(({ source }) => source)
  }

  #cut(): void {
    if (this.#drawn.length <= this.#most) return
    this.#drawn.sort((a, b) => a.lot - b.lot)
    this.#end = this.#drawn[this.#most]?.lot ?? Infinity
    const kept = this.#drawn.filter(({ lot }) => lot < this.#end)
    this.leftOut += this.#drawn.length - kept.length
    this.#drawn = kept
  }
}

/**
 * Of what policies see, for replays of simulations. What waits for other tasks is not shown to them, but is found as what
 * depends on those that are.
 */
export function unendedInView(view: ClusterView, history: readonly FinishedTask[], count: number): Unended {
  const stretch = stretchOf(history, count)
  if (stretch === undefined) return NOTHING_UNENDED
  const sample = new UnendedSample<{ task: TaskView; running: UnendedTask['running'] }>(stretch)
  const found = new Set<TaskId>()
  const offer = (task: TaskView | undefined, running: UnendedTask['running']): void => {
    if (task === undefined || task.submittedAt > view.now || found.has(task.id)) return
    found.add(task.id)
    const { submittedAt: arrivedAt, group } = task
    sample.offer({ arrivedAt, group }, running !== undefined, { task, running })
  }
  for (const { taskId, node, placedAt } of view.running())
    offer(view.task(taskId), { node, forMs: view.now - placedAt })
  for (const task of view.ready()) offer(task, undefined)
  // It goes on over what is added meanwhile.
  for (const id of found)
    for (const next of view.task(id)?.dependents ?? []) offer(view.task(next), undefined)
  return sample.take(({ task, running }) => ({ ...arrivedView(task), running }))
}
