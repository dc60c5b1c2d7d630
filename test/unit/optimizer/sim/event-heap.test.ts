import fc from 'fast-check'
import { expect, test } from 'vitest'
import { EventHeap } from '../../../../optimizer/sim/event-heap.ts'

test('events come out by time, and in order of insertion among equal times', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 200 }), (times) => {
      const heap = new EventHeap<number>()
      times.forEach((time, index) => {
        heap.push(time, index)
      })
      const expected = times.map((_, index) => index).sort((a, b) => times[a]! - times[b]! || a - b)
      expect(Array.from(times, () => heap.pop())).toEqual(expected)
      expect(heap.pop()).toBeUndefined()
    })
  )
})

test('pushing between pops keeps the order', () => {
  const heap = new EventHeap<string>()
  heap.push(5, 'five')
  heap.push(3, 'three')
  expect(heap.pop()).toBe('three')
  heap.push(4, 'four')
  heap.push(5, 'five again')
  expect([heap.nextTime, heap.pop(), heap.pop(), heap.pop()]).toEqual([4, 'four', 'five', 'five again'])
  expect(heap.nextTime).toBe(Infinity)
})
