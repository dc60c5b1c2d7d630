import { expect, test } from 'vitest'
import { contendersOf } from '../../../../node/optimizer/comparison.ts'

test('each policy is compared once, the base first', () => {
  expect(contendersOf('learned', ['fifo', 'learned', 'fifo'])).toEqual(['learned', 'fifo'])
})
