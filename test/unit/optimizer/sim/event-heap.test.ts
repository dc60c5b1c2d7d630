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

test('what is retained comes out in its order, and before what is pushed later for the same time', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 100 }),
      fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 20 }),
      fc.integer({ min: 1, max: 4 }),
      (times, later, every) => {
        const heap = new EventHeap<number>()
        const push = (time: number, index: number): void => {
          heap.push(time, index)
        }
        times.forEach(push)
        const isKept = (index: number): boolean => index % every === 0
        heap.retain(isKept)
        later.forEach((time, index) => {
          push(time, times.length + index)
        })
        const all = [...times, ...later]
        const expected = all
          .map((_, index) => index)
          .filter((index) => index >= times.length || isKept(index))
        expected.sort((a, b) => all[a]! - all[b]! || a - b)
        expect(heap.size).toBe(expected.length)
        expect(expected.map(() => heap.pop())).toEqual(expected)
      }
    )
  )
})
