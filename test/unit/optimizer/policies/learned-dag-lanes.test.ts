/** Lanes are kept up from decision to decision: they are what one would work out anew each time. */
import { expect, test } from 'vitest'
import fc from 'fast-check'
import { nodeId, taskId } from '../../../../base/ids.ts'
import { Lanes } from '../../../../optimizer/policies/learned/dag-lanes.ts'
import type { Running } from '../../../../optimizer/policies/learned/dag-times.ts'
import { LiveNode } from '../../../../optimizer/sim/view.ts'
import { nodesOf } from '../../../helpers/workloads.ts'

const NODES = 3
const SLOTS = 4

const step = fc.oneof(
  fc.record({
    type: fc.constant('begin' as const),
    node: fc.nat(NODES - 1),
    ms: fc.integer({ min: 1, max: 99 })
  }),
  fc.record({ type: fc.constant('end' as const), at: fc.nat(9) }),
  fc.record({ type: fc.constant('move' as const), at: fc.nat(9), ms: fc.integer({ min: 1, max: 99 }) }),
  fc.record({ type: fc.constant('decide' as const), ms: fc.nat(50), occupy: fc.nat(NODES - 1) })
)

test('lanes are those of what runs and of what is free, whatever happened and whatever earlier decisions added', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const nodes = nodesOf([1, 1, 1], SLOTS).map((node) => new LiveNode(node))
      const lanes = new Lanes()
      lanes.lay(nodes)
      const running: Running[] = []
      let now = 0
      let count = 0
      for (const one of steps) {
        if (one.type === 'begin') {
          const host = nodes[one.node]!
          if (host.freeSlots === 0) continue
          host.take({}, 1)
          const attempt = {
            ...{ id: taskId(++count), node: nodeId(one.node + 1), at: now, endsAt: now + one.ms },
            ...{ isCopy: false, isIdempotent: false, lateAt: 0, lookAt: 0, isOver: false }
          }
          running.push(attempt)
          lanes.add(attempt)
        } else if (one.type === 'end') {
          const [attempt] = running.splice(one.at, 1)
          if (attempt === undefined) continue
          nodes[attempt.node - 1]!.take({}, -1)
          lanes.remove(attempt)
        } else if (one.type === 'move') {
          const attempt = running[one.at]
          if (attempt === undefined) continue
          attempt.endsAt = now + one.ms
          lanes.moved(attempt)
        } else {
          now += one.ms
          lanes.begin(nodes, now)
          nodes.forEach((node, index) => {
            const ends = running.filter((attempt) => attempt.node === node.id).map(({ endsAt }) => endsAt)
            const free = Array<number>(node.freeSlots).fill(0)
            const expected = [...free, ...ends].sort((a, b) => a - b)
            expect(lanes.of(index)).toEqual(expected)
            expect(lanes.firstAt[index]).toBe(Math.max(now, expected[0]!))
          })
          const before = [...lanes.of(one.occupy)]
          lanes.occupy(one.occupy, 0, now + 200)
          expect(lanes.of(one.occupy)).toEqual([...before.slice(1), now + 200].sort((a, b) => a - b))
        }
      }
      const firsts = running.map(({ at, endsAt }) => at + 1.5 * (endsAt - at))
      lanes.begin(nodes, now)
      expect(lanes.surprisedAt).toBe(Math.min(Infinity, ...firsts))
    })
  )
})
