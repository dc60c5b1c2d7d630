/** Lower bounds on time: how long a group takes with unlimited nodes. */
import type { Workload } from './types.ts'

/**
 * The length of each group's longest path, in milliseconds, at the index of the group's first task; other indexes hold
 * 0. `msOf` is a task's shortest run time (default: its work at speed 1).
 */
export function criticalPaths(
  workload: Workload,
  msOf: (index: number) => number = (index) => workload.tasks[index]?.workMs ?? 0
): Float64Array {
  const { tasks, barriers, barrierOf, opens } = workload
  const longest = new Float64Array(tasks.length)
  const opensAt = new Float64Array(barriers.length)
  const waiting = Int32Array.from(barriers, (barrier) => barrier.needs.length)
  const queue = tasks.filter((task) => task.needs.length === 0).map((task) => task.id)
  for (const id of queue) {
    const index = id - 1
    const task = tasks[index]
    if (task === undefined) continue
    const barrier = barrierOf[index] ?? -1
    const finish = (barrier < 0 ? 0 : (opensAt[barrier] ?? 0)) + msOf(index)
    longest[task.group - 1] = Math.max(longest[task.group - 1] ?? 0, finish)
    for (const opened of opens[index] ?? []) {
      opensAt[opened] = Math.max(opensAt[opened] ?? 0, finish)
      const left = (waiting[opened] ?? 0) - 1
      waiting[opened] = left
      if (left === 0) for (const member of barriers[opened]?.members ?? []) queue.push(member)
    }
  }
  return longest
}
