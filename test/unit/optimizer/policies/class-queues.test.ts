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

const CLASSES = 4
const key = fc.nat(CLASSES - 1)
const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ what: fc.constant('add'), key, value: fc.integer({ min: 1, max: 3 }) })
  },
  { weight: 4, arbitrary: fc.record({ what: fc.constant('remove'), key, value: fc.nat(40) }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constant('score'), key, value: fc.nat(5) }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('block'), key, value: fc.nat(1) }) }
)

/** What waits, in one list in order of arrival. */
class NaiveQueues {
  readonly waiting: { id: number; key: number; cpu: number }[] = []
  readonly scores = new Map<number, number>()
  readonly blocked = new Set<number>()

  /** Rules 1 and 3: first of what waits of a class and shape, then by score. */
  heads(): { id: number; cpu: number }[] {
    const firsts = this.waiting.filter(
      ({ key, cpu }, at) =>
        !this.blocked.has(key) &&
        this.waiting.findIndex((other) => other.key === key && other.cpu === cpu) === at
    )
    const scoreOf = (key: number): number => this.scores.get(key) ?? 0
    return firsts.sort((a, b) => scoreOf(a.key) - scoreOf(b.key) || a.id - b.id)
  }
}

test('whatever came, left, was scored anew or blocked, queues offer what one list in order of arrival would', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 100, size: 'max' }), (steps) => {
      const naive = new NaiveQueues()
      const queues = new ClassQueues((key) => naive.scores.get(Number(key)) ?? 0)
      let count = 0
      for (const { what, key, value } of steps) {
        if (what === 'add') {
          const task = new LiveTask(taskOf({ work: 1, cpu: value }, count++), [])
          queues.add(task, key)
          naive.waiting.push({ id: task.id, key, cpu: value })
        } else if (what === 'remove') {
          const [gone] = naive.waiting.splice(value % Math.max(1, naive.waiting.length), 1)
          if (gone !== undefined) queues.remove(taskId(gone.id))
        } else if (what === 'score') {
          naive.scores.set(key, value)
          queues.rescore(key)
        } else {
          queues.block(key, value === 1)
          if (value === 1) naive.blocked.add(key)
          else naive.blocked.delete(key)
        }
        const heads = naive.heads()
        expect(queues.best(() => true)?.taskId).toBe(heads[0]?.id)
        expect([...queues.shapes()]).toHaveLength(new Set(naive.waiting.map(({ cpu }) => cpu)).size)
        for (const shape of queues.shapes()) {
          const cpu = Number(/cpu=(\d)/.exec(shape.key)?.[1])
          expect(queues.head(shape)?.taskId).toBe(heads.find((head) => head.cpu === cpu)?.id)
          expect(shape.waiting).toBe(naive.waiting.filter((task) => task.cpu === cpu).length)
        }
        for (let key = 0; key < CLASSES; key++)
          expect(queues.firstOf(key, (id) => id)).toBe(naive.waiting.find((task) => task.key === key)?.id)
        expect(queues.size).toBe(naive.waiting.length)
        expect(new Set(queues.keys())).toEqual(new Set(naive.waiting.map(({ key }) => key)))
      }
    })
  )
})

test('behind a task that waits for ever others come and leave in order, and nothing is kept of them', () => {
  const queues = new ClassQueues(() => 0)
  const task = (id: number): LiveTask => new LiveTask(taskOf({ work: 1, cpu: 1 }, id - 1), [])
  for (let id = 1; id < 50_000; id++) {
    queues.add(task(id), 'class')
    if (id === 2) queues.remove(taskId(1))
    if (id > 5) queues.remove(taskId(id - 2))
  }
  expect(queues.places).toBeLessThan(2 * 1024)
  const left: number[] = []
  for (let head = queues.best(() => true); head !== undefined; head = queues.best(() => true)) {
    left.push(head.taskId)
    queues.remove(head.taskId)
  }
  expect(left).toEqual([2, 3, 49_998, 49_999])
  expect(queues.places).toBe(0)
})
