/**
 * What would have become of the newest tasks of a history under other policies or models.
 *
 * 1. Newest are those that arrived last, of all that have ended. What ended last would depend on the policy that was in
 *    charge; so does what has ended at all while others from the same time still wait (`ofSurvivors`).
 * 2. Speeds of nodes are fitted on what had ended when the first of them arrived, and estimators begin with it; within the
 *    stretch they learn as they would have, at completion. What arrived before and ended later is in neither.
 * 3. A replay begins at 0, and estimators are told of what is older in its time, which is negative then: two clocks would make what runs in
 *    the replay as old as the history. `fromAt` is what the hour of day is worked out with.
 * 4. All of it is done in one go, but never long without a call of `pace`, where whoever asked may wait, or throw to end it.
 */
import { AppError } from '../../base/errors.ts'
import type { PolicyFactory } from '../../scheduler/policy.ts'
import type { Estimator } from '../estimate.ts'
import { LiveNode } from '../sim/view.ts'
import { compare, type Comparison, type Contender } from './compare.ts'
import { byArrival, feedbackOf, momentsOf, viewOf, type FinishedTask } from './history.ts'
import { fitNodeSpeeds } from './node-speeds.ts'
import { paced, type Pace } from './paced.ts'
import { createReplay, type NodeFacts } from './replay.ts'

/** Fewer tasks than these say nothing about a policy. */
export const FEWEST_REPLAYED = 20

/**
 * Of the tasks that arrived within the time of a replay more than this share has not ended: what a policy put off may then
 * be half as much as all that is replayed, and a replay without it says little about policies that would not put it off. Of
 * what runs at any moment, or is of one submission (1,000 tasks at most, of 2,000 that are replayed), it is not exceeded.
 */
const MOST_UNENDED = 1 / 3

/** Who takes part in a replay. */
export interface Player {
  readonly name: string
  /**
   * A fresh policy, on an estimator of its own that hears from it; `tell` tells an estimator of what is older. `fromAt` is the state time of
   * the replay's 0.
   */
  readonly make: (tell: (estimator: Estimator) => void, fromAt: number) => PolicyFactory
}

/** How a replay went, and what it was of. */
export interface RecentComparison extends Comparison {
  readonly tasks: number
  /** Arrival of the first task and end of the last, as recorded, in state time. */
  readonly fromAt: number
  readonly toAt: number
  /** When the last task arrived, in state time. */
  readonly lastArrivalAt: number
  /** Work ÷ (capacity × span of arrivals). */
  readonly load: number
  /** Tasks that no node of today could run. */
  readonly leftOut: number
  /** Tasks that arrived between the first and the last of these and had not ended. */
  readonly unended: number
}

/** Whether what a replay is of is what the policy in charge let end first, rather than what arrived. */
export function ofSurvivors({
  tasks,
  leftOut,
  unended
}: Pick<RecentComparison, 'tasks' | 'leftOut' | 'unended'>): boolean {
  return unended > MOST_UNENDED * (tasks + leftOut + unended)
}

/**
 * Replays the newest `count` of `history`, which is in the order of ends; throws INVALID_REQUEST when there are too few.
 * `liveArrivals`: when tasks that have not ended arrived, in state time.
 */
export function compareOnRecent(
  history: readonly FinishedTask[],
  count: number,
  nodes: readonly NodeFacts[],
  liveArrivals: Float64Array,
  base: Player,
  others: readonly Player[],
  pace: Pace = () => undefined
): RecentComparison {
  const { newest, older } = byArrival(history, count)
  const speeds = fitNodeSpeeds(older)
  pace()
  const replay = createReplay(newest, nodes, speeds)
  pace()
  if (replay === undefined || replay.workload.tasks.length < FEWEST_REPLAYED) {
    const got = replay?.workload.tasks.length ?? 0
    throw new AppError(
      'INVALID_REQUEST',
      `got ${got} ended tasks to replay, expected at least ${FEWEST_REPLAYED}`
    )
  }
  // What runs in the simulator has no executor of its own name; classes must be the same before and after.
  const moments = momentsOf(older.map((task) => ({ ...task, executor: 'sim', handler: '' })))
  const hosts = new Map(replay.cluster.map((node) => [node.id, new LiveNode(node)] as const))
  const tell = (estimator: Estimator): void => {
    for (const { task, at, ended } of moments) {
      pace()
      const host = hosts.get(task.node)
      if (ended) estimator.observe(feedbackOf(task))
      else if (host !== undefined) estimator.placed?.(viewOf(task), host, at - replay.fromAt)
    }
  }
  const contender = ({ name, make }: Player): Contender => ({
    name,
    make: (rng) => paced(make(tell, replay.fromAt)(rng), pace)
  })
  const lastArrivalAt = replay.fromAt + (replay.workload.tasks.at(-1)?.submittedAt ?? 0)
  return {
    ...compare(replay, contender(base), others.map(contender), pace),
    tasks: replay.workload.tasks.length,
    fromAt: replay.fromAt,
    toAt: replay.toAt,
    lastArrivalAt,
    load: replay.load,
    leftOut: replay.leftOut,
    unended: liveArrivals.filter((at) => at >= replay.fromAt && at <= lastArrivalAt).length
  }
}
