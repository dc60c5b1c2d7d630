/** Mean run times by class (task name), worked out from a whole workload: knowledge given in advance. */
import type { TaskId } from '../../base/ids.ts'
import type { SimTask } from '../sim/types.ts'

/** The mean run time of a task's class, in milliseconds. */
export function classMeans(tasks: readonly SimTask[]): (task: TaskId) => number {
  const classes = new Map<string, { total: number; count: number }>()
  for (const task of tasks) {
    const seen = classes.get(task.name)
    if (seen === undefined) classes.set(task.name, { total: task.workMs, count: 1 })
    else {
      seen.total += task.workMs
      seen.count++
    }
  }
  return (id) => {
    const seen = classes.get(tasks[id - 1]?.name ?? '')
    return seen === undefined ? 0 : seen.total / seen.count
  }
}
