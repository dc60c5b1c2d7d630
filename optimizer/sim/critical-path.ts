/** Lower bounds on time: how long paths of dependencies take with unlimited nodes. */
import type { Workload } from './types.ts'

/** Lengths in milliseconds. */
export interface PathLengths {
  /** From each task's submission to its end, at its index: what it waits for included. */
  readonly ofTask: Float64Array
  /** From each group's first submission to its last end, at the index of its first task; 0 elsewhere. */
  readonly ofGroup: Float64Array
}

/**
 * The longest paths that end in each task, when every task runs `msOf` (by index) as soon as it is submitted and those that it needs are
 * done.
 */
export function criticalPaths(workload: Workload, msOf: (index: number) => number): PathLengths {
  const { tasks, barriers, barrierOf, opens } = workload
  const ofTask = new Float64Array(tasks.length)
  const ofGroup = new Float64Array(tasks.length)
  const opensAt = new Float64Array(barriers.length)
  const waiting = Int32Array.from(barriers, (barrier) => barrier.needs.length)
  const queue = tasks.filter((task) => task.needs.length === 0).map((task) => task.id)
  for (const id of queue) {
    const index = id - 1
    const task = tasks[index]
    if (task === undefined) continue
    const barrier = barrierOf[index] ?? -1
    const waits = barrier < 0 ? 0 : Math.max(0, (opensAt[barrier] ?? 0) - task.submittedAt)
    const length = waits + msOf(index)
    const first = task.group - 1
    const later = task.submittedAt - (tasks[first]?.submittedAt ?? task.submittedAt)
    ofTask[index] = length
    ofGroup[first] = Math.max(ofGroup[first] ?? 0, later + length)
    for (const opened of opens[index] ?? []) {
      opensAt[opened] = Math.max(opensAt[opened] ?? 0, task.submittedAt + length)
      const left = (waiting[opened] ?? 0) - 1
      waiting[opened] = left
      if (left === 0) for (const member of barriers[opened]?.members ?? []) queue.push(member)
    }
  }
  return { ofTask, ofGroup }
}
