/** The present of a forecast, read from a node's applied state: what runs, what waits, and what is free. */
import type { TimestampMs } from '../../base/units.ts'
import { taskOfAttempts } from '../../scheduler/attempts.ts'
import { acceptsPlacements, obstacle } from '../../scheduler/eligibility.ts'
import { PlannedNode } from '../../scheduler/planner/node-view.ts'
import { viewOfTask } from '../../scheduler/planner/task-view.ts'
import type { TaskView } from '../../scheduler/policy.ts'
import type { SchedulerState } from '../../scheduler/state.ts'
import type { Task } from '../../scheduler/types.ts'
import type { ForecastSource, RunningTask, WaitingTask } from './problem.ts'

/** Valid as long as the state is not changed: read it within one turn. */
export function stateSource(state: SchedulerState, now: TimestampMs): ForecastSource {
  const nodes = [...state.nodes.values()].filter(acceptsPlacements).map((node) => new PlannedNode(node))
  const byId = new Map(nodes.map((node) => [node.id, node]))
  return {
    now: Math.max(now, state.time),
    nodes,
    running: runningOf(state),
    waiting: waitingOf(state),
    eligible: (task: TaskView, { id }) => {
      const node = byId.get(id)
      return node !== undefined && obstacle(task, node.node.offer) === undefined
    }
  }
}

function* runningOf(state: SchedulerState): Iterable<RunningTask> {
  for (const node of state.nodes.values()) {
    for (const id of node.placements) {
      const task = taskOfAttempts(state, id)
      if (task === undefined) continue
      const isOver = state.lingering.has(id)
      const placement = task.placement?.node === node.id ? task.placement : task.copy
      if (placement === undefined) continue
      yield {
        task: viewOfTask(task),
        node: node.id,
        since: placement.startedAt || placement.placedAt,
        // The one that runs is among those begun.
        attemptsLeft: attemptsLeft(task) + 1,
        // When it was told to stop is not known. It is killed no later than this, and its task is over then.
        ...(isOver || placement.stopReason === 'cancel' ? { leftMs: task.spec.killGraceMs } : {}),
        isOver
      }
    }
  }
}

/** By rising id: in the order of submission. */
function* waitingOf(state: SchedulerState): Iterable<WaitingTask> {
  for (const task of state.tasks.values()) {
    if (task.placement !== undefined) continue
    const waitsFor =
      task.waitingOn === 0
        ? []
        : task.spec.needs.map(({ id }) => id).filter((id) => state.tombstones.get(id)?.status !== 'succeeded')
    yield {
      task: viewOfTask(task),
      waitsFor,
      notBefore: task.status === 'ready' ? 0 : task.notBefore,
      startWithinMs: task.spec.scheduleToStartMs || Infinity,
      attemptsLeft: attemptsLeft(task)
    }
  }
}

function attemptsLeft({ spec, attempts, uncounted }: Task): number {
  return Math.max(0, spec.retry.maxAttempts - (attempts - uncounted))
}
