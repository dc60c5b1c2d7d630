/** The ring of messages in flight against a plain list. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Inflights } from '../../consensus/tracker/inflights.ts'

const operation = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('add' as const), bytes: fc.nat(30) }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('free' as const), back: fc.integer({ min: -2, max: 12 }) })
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('reset' as const) }) }
)

test('the window frees, counts and fills like a list of (index, bytes)', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 40 }),
      fc.oneof(fc.constant(Infinity), fc.integer({ min: 1, max: 200 })),
      fc.array(operation, { maxLength: 200 }),
      (maxMessages, maxBytes, operations) => {
        const window = new Inflights(maxMessages, maxBytes)
        let list: { index: number; bytes: number }[] = []
        let last = 0
        for (const step of operations) {
          const full = (): boolean =>
            list.length >= maxMessages || list.reduce((sum, { bytes }) => sum + bytes, 0) >= maxBytes
          if (step.kind === 'add' && !full()) {
            last += 1 + (step.bytes % 3)
            window.add(last, step.bytes)
            list.push({ index: last, bytes: step.bytes })
          } else if (step.kind === 'free') {
            const upTo = last - step.back
            window.freeUpTo(upTo)
            list = list.filter(({ index }) => index > upTo)
          } else if (step.kind === 'reset') {
            window.reset()
            list = []
          }
          expect(window.count).toBe(list.length)
          expect(window.full).toBe(full())
        }
      }
    )
  )
})

test('nothing can be added to a full window', () => {
  const byCount = new Inflights(1, Infinity)
  byCount.add(1, 0)
  expect(() => {
    byCount.add(2, 0)
  }).toThrow(/full window/)
  const byBytes = new Inflights(10, 5)
  byBytes.add(1, 7)
  expect(() => {
    byBytes.add(2, 0)
  }).toThrow(/full window/)
})
