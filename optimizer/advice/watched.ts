/** Which tasks are looked at for alarms: as many as can be, and of more those whose alarms are the most urgent. */
import type { TaskId } from '../../base/ids.ts'
import type { Task } from '../../scheduler/types.ts'
import type { Steps } from './steps.ts'

/** Attempts, and waiting tasks with deadlines. */
const MOST_WATCHED = 10_000
/** Tasks of which it is asked, in one step, whether they are among them. */
const WALKED_IN_A_STEP = 5_000

/**
 * What runs, and of what waits with a deadline those that are due first: what was submitted last may be what is urgent. Of one group, or of
 * all. What begins or ends between two steps may be among them or not.
 */
export function* watched(tasks: Iterable<Task>, group: TaskId | undefined): Steps<Task[]> {
  const running: Task[] = []
  const waiting: Task[] = []
  const dueAt: number[] = []
  let left = WALKED_IN_A_STEP
  for (const task of tasks) {
    if (left-- <= 0) {
      left = WALKED_IN_A_STEP
      yield
    }
    if (group !== undefined && task.group !== group) continue
    const { deadlineAt } = task.spec
    if (task.placement !== undefined) running.push(task)
    else if (deadlineAt > 0) {
      waiting.push(task)
      dueAt.push(deadlineAt)
    }
  }
  return [...running.slice(0, MOST_WATCHED), ...dueFirst(waiting, dueAt, MOST_WATCHED)]
}

/** Tasks themselves are not sorted: of a hundred thousand that would take a tenth of a second. */
function dueFirst(tasks: readonly Task[], dueAt: readonly number[], most: number): readonly Task[] {
  if (tasks.length <= most) return tasks
  const last = Float64Array.from(dueAt).sort()[most - 1] ?? 0
  let ofLast = most - dueAt.reduce((before, at) => before + Number(at < last), 0)
  return tasks.filter((_, index) => {
    const at = dueAt[index] ?? last
    return at < last || (at === last && ofLast-- > 0)
  })
}
