import fc from 'fast-check'
import { expect, test } from 'vitest'
import { findCycle } from '../../../../optimizer/sim/cycle.ts'

test('what waits for itself is a cycle, alone or by way of others', () => {
  expect(findCycle([[0]])).toEqual([0, 0])
  expect(findCycle([[], [0, 3], [1], [2]])).toEqual([1, 3, 2, 1])
  expect(findCycle([[], [0], [0, 1], [0, 0]])).toBeUndefined()
  expect(findCycle([])).toBeUndefined()
})

test('a cycle is found if and only if no order serves all, and is one', () => {
  const graphs = fc
    .integer({ min: 1, max: 8 })
    .chain((count) =>
      fc.array(fc.array(fc.nat(count - 1), { maxLength: 2 }), { minLength: count, maxLength: count })
    )
  fc.assert(
    fc.property(graphs, (parentsOf) => {
      const cycle = findCycle(parentsOf)
      expect(cycle === undefined).toBe(hasOrder(parentsOf))
      if (cycle === undefined) return
      expect(cycle.at(-1)).toBe(cycle[0])
      expect(cycle.slice(1).every((parent, step) => parentsOf[cycle[step]!]!.includes(parent))).toBe(true)
    })
  )
})

/** Takes away whoever waits for nobody that is left, again and again. */
function hasOrder(parentsOf: readonly (readonly number[])[]): boolean {
  let left = [...parentsOf.keys()]
  for (;;) {
    const next = left.filter((index) => parentsOf[index]!.some((parent) => left.includes(parent)))
    if (next.length === 0) return true
    if (next.length === left.length) return false
    left = next
  }
}
