import fc from 'fast-check'
import { expect, test } from 'vitest'
import { nodeId } from '../../../../base/ids.ts'
import { freedSince } from '../../../../optimizer/policies/freed-nodes.ts'
import type { ClusterView, NodeView } from '../../../../scheduler/policy.ts'

/** As much of a view as is asked for: nodes 1 to `count`. */
function viewOf(count: number): ClusterView {
  const nodes = Array.from({ length: count }, (_, index) => ({ id: nodeId(index + 1) }) as NodeView)
  return { nodes: () => nodes, node: (id: number) => nodes[id - 1] } as unknown as ClusterView
}

test('freed nodes come once each and in order; more than half of all nodes are all', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 9 }),
      fc.array(fc.integer({ min: 1, max: 12 }), { maxLength: 20 }),
      fc.integer({ min: -1, max: 20 }),
      (count, freed, tried) => {
        const view = viewOf(count)
        const since = [...new Set(freed.slice(Math.max(0, tried)))]
        const expected =
          tried < 0 || since.length * 2 > count
            ? view.nodes().map(({ id }) => id)
            : since.filter((id) => id <= count).sort((a, b) => a - b)
        expect(freedSince(freed.map(nodeId), tried, view).map(({ id }) => id)).toEqual(expected)
      }
    )
  )
})
