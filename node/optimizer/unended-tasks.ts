/** The tasks that have not ended, as a replay of a history is told of them (`optimizer/guard/unended.ts`). */
import { setImmediate } from 'node:timers/promises'
import { arrivalOf, arrivedTask, type History } from '../../optimizer/guard/history.ts'
import {
  NOTHING_UNENDED,
  stretchOf,
  UnendedSample,
  type Unended,
  type UnendedTask
} from '../../optimizer/guard/unended.ts'
import type { SchedulerState } from '../../scheduler/state.ts'
import type { Task } from '../../scheduler/types.ts'

/** Tasks that are looked at within one turn of the event loop: a millisecond or so. What is told of takes a few, once. */
const AT_ONCE = 2_000

/** For a replay of the `count` ended tasks that arrived last. What comes or ends meanwhile may be in it or not. */
export async function unendedTasks(state: SchedulerState, history: History, count: number): Promise<Unended> {
  const stretch = stretchOf(history.newest(history.size), count)
  if (stretch === undefined) return NOTHING_UNENDED
  const sample = new UnendedSample<Task>(stretch)
  let looked = 0
  for (const task of state.tasks.values()) {
    const { group, submittedAt, spec } = task
    sample.offer({ group, arrivedAt: arrivalOf(submittedAt, spec) }, runningOf(task) !== undefined, task)
    if (++looked % AT_ONCE === 0) await setImmediate()
  }
  return sample.take((task) => (state.tasks.has(task.id) ? factsOf(task, state.time) : undefined))
}

function factsOf(task: Task, now: number): UnendedTask {
  const placement = runningOf(task)
  return {
    ...arrivedTask(task),
    running:
      placement === undefined
        ? undefined
        : { node: placement.node, forMs: Math.max(0, now - placement.placedAt) }
  }
}

/** The attempt that began first of those that may end it. */
function runningOf({ placement, copy }: Task): Task['placement'] {
  return [placement, copy].find((attempt) => attempt !== undefined && attempt.stopReason === undefined)
}
