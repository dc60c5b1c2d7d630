/**
 * What a node's estimator, its history and its advice hear of the log. Every node hears the same, so every one can predict,
 * and a new leader need not learn anew.
 *
 * 1. Events are told before the leader's policy hears of them, so that it asks an estimator that already knows.
 * 2. Nothing here waits, and what costs much has a budget (`estimator-feed.ts`).
 */
import type { Advisor } from '../../optimizer/advice/advisor.ts'
import type { Estimator } from '../../optimizer/estimate.ts'
import {
  feedbackOf,
  finishedTask,
  viewOf,
  type FinishedTask,
  type History,
  type Moment
} from '../../optimizer/guard/history.ts'
import { placementOn, taskOfAttempts } from '../../scheduler/attempts.ts'
import type { SchedulerEvent } from '../../scheduler/events.ts'
import { PlannedNode } from '../../scheduler/planner/node-view.ts'
import { viewOfTask } from '../../scheduler/planner/task-view.ts'
import type { SchedulerState } from '../../scheduler/state.ts'
import type { EstimatorFeed } from './estimator-feed.ts'
import type { NodeFacts } from '../../optimizer/guard/replay.ts'

export interface Watchers {
  readonly estimator: Estimator
  /** The way to the estimator for what happens now. */
  readonly feed: EstimatorFeed
  readonly history: History
  readonly advisor: Advisor | undefined
  /** Told of each ended task after all others. */
  readonly onFinished: (task: FinishedTask) => void
}

/** Tells of an applied entry's events. */
export function tellEvents(
  { feed, history, advisor, onFinished }: Watchers,
  events: readonly SchedulerEvent[],
  state: SchedulerState
): void {
  for (const event of events) {
    if (event.type === 'task-placed') {
      const { task, placement } = event
      const node = state.nodes.get(placement.node)
      if (node === undefined) continue
      feed.began(viewOfTask(task), new PlannedNode(node), placement.placedAt)
    } else if (event.type === 'attempt-ended') {
      const feedback = {
        task: viewOfTask(event.task),
        node: event.placement.node,
        end: event.end,
        runMs: event.runMs,
        peakMemoryBytes: event.peakMemoryBytes
      }
      feed.ended(feedback)
      advisor?.attemptEnded(feedback)
    } else if (event.type === 'task-ended') {
      advisor?.taskEnded(event.row)
      const task = finishedTask(event.row)
      if (task === undefined) continue
      history.add(task)
      onFinished(task)
    }
  }
}

/** Tells of what happened before this node looked. */
export function tellMoment(watchers: Watchers, { task, at, ended }: Moment, state: SchedulerState): void {
  const { estimator, history, advisor, onFinished } = watchers
  if (!ended) {
    const node = state.nodes.get(task.node)
    if (node !== undefined) estimator.placed?.(viewOf(task), new PlannedNode(node), at)
    return
  }
  const feedback = feedbackOf(task)
  estimator.observe(feedback)
  advisor?.attemptEnded(feedback)
  history.add(task)
  onFinished(task)
}

/** Tells of the attempts that run now: a node that starts, or was given another state, did not see them begin. */
export function tellRunning(feed: EstimatorFeed, state: SchedulerState): void {
  for (const node of state.nodes.values()) {
    const view = new PlannedNode(node)
    for (const id of node.placements) {
      // A copy has a beginning of its own, and the loser of a pair outlives its task.
      const task = taskOfAttempts(state, id)
      const placement = placementOn(task, node.id)
      if (task !== undefined && placement !== undefined) feed.runs(viewOfTask(task), view, placement.placedAt)
    }
  }
}

/** The nodes that may be given work, as a replay needs them. */
export function nodeFacts(state: SchedulerState): NodeFacts[] {
  return [...state.nodes.values()]
    .filter((node) => node.open && node.status !== 'leaving')
    .map((node) => {
      const { labels, zone, slots, resources, executors, handlers } = node.offer
      const { id, profile } = new PlannedNode(node)
      return { id, profile, labels, zone, slots, resources, executors, handlers: Object.keys(handlers) }
    })
}
