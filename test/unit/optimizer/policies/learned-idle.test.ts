/** What stands idle for a task that is owed its place, when nothing happens but that time passes. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { nodeId } from '../../../../base/ids.ts'
import { createRng } from '../../../../base/prng.ts'
import { second } from '../../../../base/units.ts'
import type { Policy } from '../../../../scheduler/policy.ts'
import { createStatistics } from '../../../../optimizer/estimator/statistics.ts'
import type { Estimator } from '../../../../optimizer/estimate.ts'
import { learnedIndependent } from '../../../../optimizer/policies/learned/independent.ts'
import { learnedPolicy } from '../../../../optimizer/policies/learned/index.ts'
import { known } from '../../../../optimizer/policies/predictors.ts'
import { machineOf, nodesOf, runPolicy, sketches, starts, wishing } from '../../../helpers/workloads.ts'
import type { TaskSketch } from '../../../helpers/workloads.ts'

const HANGS_MS = 36_000 * second
const PAST = 200
const SLOTS = 4

const expectedMs: Estimator = known('expected', ({ name }) => (name === 'long' ? 60 : 10) * second)

/**
 * Seconds after which three long tasks begin beside one that hangs, while one that needs the whole node is owed its place. After `joins`
 * seconds of them there is a second node, with room for one of the three.
 */
function waitsOf(policy: Policy, joins = Infinity): number[] {
  const tasks: TaskSketch[] = Array.from({ length: PAST }, (_, index) => ({
    work: 10 * second,
    at: Math.floor(index / SLOTS) * 10 * second,
    cpu: 1000
  }))
  const at = PAST * 10 * second
  tasks.push({ work: HANGS_MS, at, cpu: 1000 })
  tasks.push({ work: 10 * second, at: at + second, cpu: SLOTS * 1000, name: 'whole' })
  const longAt = at + 12 * second
  for (let count = 1; count < SLOTS; count++)
    tasks.push({ work: 60 * second, at: longAt, cpu: 1000, name: 'long' })
  const nodes = nodesOf([1, 1]).map((node, index) => {
    const slots = index === 0 ? SLOTS : 1
    return { ...node, slots, resources: { cpu: slots * 1000 } }
  })
  const outages = [{ node: nodeId(2), from: 0, to: longAt + joins * second }]
  const begun = starts(runPolicy(tasks, nodes, policy, { outages })).slice(PAST + 2)
  return begun.map((start) => (start - longAt) / second)
}

test.each([
  ['learned', () => learnedPolicy(expectedMs)(createRng(1))],
  ['learned-independent', () => learnedIndependent(expectedMs)]
])('%s holds room back for a while, and not for as long as an attempt hangs', (_, policy) => {
  const waits = waitsOf(policy())
  expect(Math.min(...waits)).toBeGreaterThan(0)
  expect(Math.max(...waits)).toBeLessThan(20)
  // Who is asked all the time lets go no earlier, and no later.
  const hurried = wishing(policy(), (at, now) =>
    at === undefined ? undefined : Math.min(at, now + second / 10)
  )
  for (const [index, wait] of waitsOf(hurried).entries()) expect(wait).toBeCloseTo(waits[index]!, 0)
})

test('what is held back on one node begins at once on another that joins', () => {
  const policy = learnedIndependent(expectedMs)
  expect(Math.min(...waitsOf(policy, 2))).toBe(2)
})

test('whoever waits for a reservation wants to be asked again later, not at once for ever', () => {
  let wishes = 0
  const heard = (policy: Policy): Policy =>
    wishing(policy, (at, now) => {
      if (at !== undefined) wishes++
      expect(at ?? Infinity).toBeGreaterThan(now)
      return at
    })
  waitsOf(heard(learnedIndependent(expectedMs)))
  expect(wishes, 'the task that needs the whole node is waited for').toBeGreaterThan(0)
  const share = fc.double({ min: 0, max: 1, noNaN: true })
  fc.assert(
    fc.property(sketches(4), share, (drawn, part) => {
      runPolicy(drawn, machineOf(4), heard(learnedIndependent(createStatistics(), { share: part })))
    })
  )
})
