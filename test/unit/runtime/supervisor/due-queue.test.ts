import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createDueQueue } from '../../../../runtime/supervisor/due-queue.ts'
import type { DueQueue } from '../../../../runtime/supervisor/due-queue.ts'

function drain(queue: DueQueue<number>): number[] {
  const moments: number[] = []
  for (let next = queue.peek(); next !== undefined; next = queue.peek()) {
    moments.push(next.at)
    queue.take()
  }
  return moments
}

test('moments come out in order, whatever order they went in', () => {
  fc.assert(
    fc.property(fc.array(fc.integer()), (moments) => {
      const queue = createDueQueue<number>()
      for (const at of moments) queue.add(at, at)
      expect(drain(queue)).toEqual(moments.toSorted((a, b) => a - b))
    })
  )
})

test('pruning keeps what is wanted, in order', () => {
  fc.assert(
    fc.property(fc.array(fc.integer()), (moments) => {
      const queue = createDueQueue<number>()
      for (const at of moments) queue.add(at, at)
      queue.prune((at) => at % 2 === 0)
      expect(drain(queue)).toEqual(moments.filter((at) => at % 2 === 0).toSorted((a, b) => a - b))
    })
  )
})
