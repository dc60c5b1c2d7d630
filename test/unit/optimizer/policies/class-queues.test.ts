import fc from 'fast-check'
import { expect, test } from 'vitest'
import { taskId } from '../../../../base/ids.ts'
import { ClassQueues } from '../../../../optimizer/policies/class-queues.ts'
import type { Shape } from '../../../../optimizer/policies/class-queues.ts'
import { LiveTask } from '../../../../optimizer/sim/view.ts'
import { taskOf } from '../../../helpers/workloads.ts'

const drawn = fc.array(
  fc.record({ cpu: fc.integer({ min: 1, max: 4 }), score: fc.integer({ min: 0, max: 5 }) }),
  { maxLength: 20 }
)

/** Queues of tasks numbered from 1, each a class of its own. */
function queuesOf(tasks: readonly { readonly cpu: number; readonly score: number }[]): ClassQueues {
  const queues = new ClassQueues((_, head) => tasks[head - 1]!.score)
  tasks.forEach(({ cpu }, index) => {
    queues.add(new LiveTask(taskOf({ work: 1, cpu }, index), []), index)
  })
  return queues
}

test('heads are offered in the order in which one after another is the best', () => {
  fc.assert(
    fc.property(drawn, (tasks) => {
      const offered: number[] = []
      const closed = new Set<Shape>()
      const isOpen = (shape: Shape): boolean => !closed.has(shape)
      queuesOf(tasks).offer(isOpen, ({ shape, taskId: id }) => {
        offered.push(id)
        closed.add(shape)
        return undefined
      })
      const queues = queuesOf(tasks)
      const best: number[] = []
      const tried = new Set<Shape>()
      const isUntried = (shape: Shape): boolean => !tried.has(shape)
      for (let head = queues.best(isUntried); head !== undefined; head = queues.best(isUntried)) {
        best.push(head.taskId)
        tried.add(head.shape)
      }
      expect(offered).toEqual(best)
    })
  )
})

test('whoever removes a task instead of an answer is offered what is behind it in its turn', () => {
  fc.assert(
    fc.property(drawn, (tasks) => {
      const queues = queuesOf(tasks)
      const offered: number[] = []
      queues.offer(
        () => true,
        ({ taskId: id }) => {
          offered.push(id)
          queues.remove(id)
          return undefined
        }
      )
      const inOrder = tasks.map(({ score }, index) => ({ score, id: index + 1 }))
      inOrder.sort((a, b) => a.score - b.score || a.id - b.id)
      expect(offered).toEqual(inOrder.map(({ id }) => id))
      expect(queues.size).toBe(0)
    })
  )
})

test('the first answer ends the offers', () => {
  const queues = queuesOf([
    { cpu: 1, score: 3 },
    { cpu: 2, score: 1 },
    { cpu: 3, score: 2 }
  ])
  const closed = new Set<Shape>()
  const answer = queues.offer(
    (shape) => !closed.has(shape),
    ({ taskId: id, shape }) => {
      if (id === taskId(3)) return 'taken'
      closed.add(shape)
      return undefined
    }
  )
  expect(answer).toBe('taken')
  expect(closed.size).toBe(1)
})
