/**
 * What would have become of the newest tasks of a history under other policies or models.
 *
 * 1. Newest are those that arrived last, of all that have ended. What ended last would depend on the policy that was in
 *    charge; so does what has ended at all while others from the same time still wait or run. So these are held as well, with
 *    run times drawn from what tasks like them took (`drawn-run-times.ts`).
 * 2. Speeds of nodes are fitted on what had ended when the first of them arrived, and estimators begin with it; within the
 *    stretch they learn as they would have, at completion. What arrived before and ended later is in neither.
 * 3. A replay begins at 0, and estimators are told of what is older in its time, which is negative then: two clocks would make what runs in
 *    the replay as old as the history. `fromAt` is what the hour of day is worked out with.
 * 4. Who did better is read off all units, drawn ones included. Of the ended alone, a policy that puts off the same tasks as
 *    the one in charge would be credited with their haste and not be charged with what they were let past; one with
 *    inverted predictions would look best on the long tasks that it had let first. The price: what is foreseen of a drawn
 *    task beyond its class is worth nothing, which is against the better predictions, a network's among them, and for
 *    nobody in particular in a choice between policies. So models are promoted for completion times only where few are
 *    drawn (`isMostlyKnown`), while policies are chosen where few are missing (`ofSurvivors`), and whether to leave one that predicts is
 *    read off a replay of what has ended alone (`policy-choice.ts`).
 * 5. All of it is done in one go, but never long without a call of `pace`, where whoever asked may wait, or throw to end it.
 */
import { AppError } from '../../base/errors.ts'
import type { PolicyFactory } from '../../scheduler/policy.ts'
import type { Estimator } from '../estimate.ts'
import { LiveNode } from '../sim/view.ts'
import { compare, type Comparison, type Contender } from './compare.ts'
import { runTimeDraw } from './drawn-run-times.ts'
import { byArrival, feedbackOf, momentsOf, viewOf, type FinishedTask } from './history.ts'
import { fitNodeSpeeds } from './node-speeds.ts'
import { paced, type Pace } from './paced.ts'
import { createReplay, type NodeFacts } from './replay.ts'
import { isWithin, stretchOf, type Unended } from './unended.ts'

/** Fewer tasks than these say nothing about a policy. */
export const FEWEST_REPLAYED = 20

/**
 * Of the tasks that arrived within the time of a replay more than this share is missing: what a policy put off may then be
 * half as much as all that is replayed, and a replay without it says little about policies that would not put it off.
 */
const MOST_MISSING = 1 / 3

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
  /** All that was replayed. */
  readonly tasks: number
  /** Those of them that have not ended, with run times that were drawn. */
  readonly drawn: number
  /** Arrival of the first task and end of the last, as recorded, in state time. */
  readonly fromAt: number
  readonly toAt: number
  /** When the last task arrived, in state time. */
  readonly lastArrivalAt: number
  /** Work ÷ (capacity × span of arrivals). */
  readonly load: number
  /** Ended tasks that no node of today could run. */
  readonly leftOut: number
  /** Tasks that arrived between the first and the last of the ended ones and had not ended: drawn ones, and others that are missing. */
  readonly unended: number
}

/** What of the tasks of a time is in a replay. */
export type Extent = Pick<RecentComparison, 'tasks' | 'drawn' | 'leftOut' | 'unended'>

/** Whether what a replay is of is what the policy in charge let end first, rather than what arrived. */
export function ofSurvivors(extent: Extent): boolean {
  return extent.unended - extent.drawn > MOST_MISSING * arrivedIn(extent)
}

/** Whether most of what arrived has ended and so shows what it took: of what is drawn, a model that knows more than classes is no better. */
export function isMostlyKnown(extent: Extent): boolean {
  return extent.unended <= MOST_MISSING * arrivedIn(extent)
}

function arrivedIn({ tasks, drawn, leftOut, unended }: Extent): number {
  return tasks + leftOut + unended - drawn
}

/**
 * Replays the newest `count` of `history`, which is in the order of ends, and what has not ended; throws INVALID_REQUEST when
 * there are too few that have. What is said to be unended and is in the history has ended since.
 */
export function compareOnRecent(
  history: readonly FinishedTask[],
  count: number,
  nodes: readonly NodeFacts[],
  unended: Unended,
  base: Player,
  others: readonly Player[],
  pace: Pace = () => undefined
): RecentComparison {
  const { newest, older } = byArrival(history, count)
  const speeds = fitNodeSpeeds(older)
  pace()
  const ended = new Set(history.map(({ id }) => id))
  const live = unended.tasks.filter(({ id }) => !ended.has(id))
  const stretch = stretchOf(newest, newest.length)
  const within = stretch === undefined ? [] : live.filter((task) => isWithin(task, stretch))
  const workOf = runTimeDraw(history, live, speeds, pace)
  const drawn = within.map((task) => ({ task, workMs: workOf(task) }))
  pace()
  const replay = createReplay(newest, nodes, speeds, drawn)
  pace()
  const got = replay === undefined ? 0 : replay.workload.tasks.length - replay.drawn
  if (replay === undefined || got < FEWEST_REPLAYED) {
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
    drawn: replay.drawn,
    fromAt: replay.fromAt,
    toAt: replay.toAt,
    lastArrivalAt,
    load: replay.load,
    leftOut: replay.leftOut,
    unended: within.length + unended.others
  }
}
