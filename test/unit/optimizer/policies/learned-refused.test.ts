import { expect, test } from 'vitest'
import { createStatistics } from '../../../../optimizer/estimator/statistics.ts'
import { FinishFirst } from '../../../../optimizer/policies/learned/dag-finish.ts'
import { SharedGroups } from '../../../../optimizer/policies/learned/groups.ts'
import { LiveNode, LiveTask, SimView } from '../../../../optimizer/sim/view.ts'
import { nodesOf, taskOf } from '../../../helpers/workloads.ts'

const QUEUES: readonly [string, () => SharedGroups | FinishFirst][] = [
  ['SharedGroups', () => new SharedGroups(createStatistics())],
  ['FinishFirst', () => new FinishFirst(createStatistics())]
]

test.each(QUEUES)('a placement that was refused is as if it had never been: %s', (_, make) => {
  const sketches = [
    { work: 100, group: 1 },
    { work: 100, group: 1 },
    { work: 100, group: 1, needs: [1, 2] }
  ]
  const dependents = [[3], [3], []].map((ids) => ids.map((id) => taskOf({ work: 1 }, id - 1).id))
  const tasks = sketches.map((sketch, index) => new LiveTask(taskOf(sketch, index), dependents[index] ?? []))
  const view = new SimView(
    tasks,
    nodesOf([1, 0.5]).map((node) => new LiveNode(node))
  )
  const queue = make()
  queue.reset(view)
  for (const task of tasks.slice(0, 2)) {
    task.status = 'ready'
    queue.add(task, view)
  }
  queue.peek(view)
  const before = queue.remembered
  for (let round = 0; round < 3; round++) {
    const { taskId, node } = queue.peek(view)!
    queue.gone(taskId, node, view)
    expect(queue.waiting).toBe(1)
    expect(queue.remembered).toBeGreaterThan(before)
    queue.add(view.task(taskId)!, view)
    expect(queue.waiting).toBe(2)
    expect(queue.remembered).toBe(before)
  }
})
