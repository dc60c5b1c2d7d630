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
import type { AttemptFeedback, NodeView, TaskView } from '../../scheduler/policy.ts'
import type { SchedulerState } from '../../scheduler/state.ts'
import type { HistoryRow, Task } from '../../scheduler/types.ts'
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

/** What is told of an event. */
export type Happening =
  | { readonly type: 'began'; readonly task: TaskView; readonly node: NodeView; readonly at: number }
  | { readonly type: 'ended'; readonly feedback: AttemptFeedback }
  | { readonly type: 'finished'; readonly row: HistoryRow }

/** An attempt that runs. */
export interface RunningAttempt {
  readonly task: TaskView
  readonly node: NodeView
  /** When it was placed, in state time. */
  readonly at: number
}

/**
 * What there is to tell of an event; undefined for nothing. `keep`: it is told later, so it must show the task as it is now.
 */
export function happeningOf(
  event: SchedulerEvent,
  state: SchedulerState,
  keep: boolean
): Happening | undefined {
  const view = (task: Task): TaskView => viewOfTask(keep ? { ...task } : task)
  switch (event.type) {
    case 'task-placed': {
      const { task, placement } = event
      const node = state.nodes.get(placement.node)
      return node === undefined
        ? undefined
        : { type: 'began', task: view(task), node: new PlannedNode(node), at: placement.placedAt }
    }
    case 'attempt-ended': {
      const { task, placement, end, runMs, peakMemoryBytes } = event
      return {
        type: 'ended',
        feedback: { task: view(task), node: placement.node, end, runMs, peakMemoryBytes }
      }
    }
    case 'task-ended':
      return { type: 'finished', row: event.row }
    default:
      return undefined
  }
}

/** Tells of it. `whole`: even what the budget of the main thread's time would leave out. */
export function tellHappening(
  { feed, history, advisor, onFinished }: Watchers,
  happening: Happening,
  whole: boolean
): void {
  switch (happening.type) {
    case 'began': {
      const { task, node, at } = happening
      // Before the estimator hears of it: an attempt is held to what was expected without it.
      advisor?.attemptBegan({ task, node: node.id, at })
      if (whole) feed.runs(task, node, at)
      else feed.began(task, node, at)
      return
    }
    case 'ended': {
      feed.ended(happening.feedback)
      advisor?.attemptEnded(happening.feedback)
      return
    }
    case 'finished': {
      advisor?.taskEnded(happening.row)
      const task = finishedTask(happening.row)
      if (task === undefined) return
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

/** The attempts that run now: a node that starts, or was given another state, did not see them begin. */
export function runningAttempts(state: SchedulerState): RunningAttempt[] {
  const found: RunningAttempt[] = []
  for (const record of state.nodes.values()) {
    const node = new PlannedNode(record)
    for (const id of record.placements) {
      // A copy has a beginning of its own, and the loser of a pair outlives its task.
      const task = taskOfAttempts(state, id)
      const placement = placementOn(task, record.id)
      if (task !== undefined && placement !== undefined)
        found.push({ task: viewOfTask({ ...task }), node, at: placement.placedAt })
    }
  }
  return found
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
