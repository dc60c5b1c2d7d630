import { expect, test } from 'vitest'
import { nodeId, taskId } from '../../../../base/ids.ts'
import { createRng, type Rng } from '../../../../base/prng.ts'
import { timestampMs } from '../../../../base/units.ts'
import {
  stretchOf,
  unendedInView,
  UnendedSample,
  type Unended,
  type UnendedTask
} from '../../../../optimizer/guard/unended.ts'
import { simulate } from '../../../../optimizer/sim/engine.ts'
import { fixedRunTimes } from '../../../../optimizer/sim/run-models.ts'
import type { SimNode, SimTask } from '../../../../optimizer/sim/types.ts'
import { compileWorkload } from '../../../../optimizer/sim/workload.ts'
import { policyFactory } from '../../../../scheduler/policies/index.ts'
import type { Policy } from '../../../../scheduler/policy.ts'
import { finished, unended } from './fixture.ts'

const STRETCH = { fromAt: 1_000, toAt: 2_000 }

function sampleOf(tasks: readonly UnendedTask[], most?: number): Unended {
  const sample = new UnendedSample<UnendedTask>(STRETCH, most)
  for (const task of tasks) sample.offer(task, task.running !== undefined, task)
  return sample.take((task) => task)
}
const idsIn = ({ tasks }: Unended): number[] => tasks.map(({ id }) => id)
const at = (ms: number): Partial<UnendedTask> => ({ arrivedAt: timestampMs(ms) })
const RUNS: Partial<UnendedTask> = { running: { node: finished(1).node, forMs: 5 } }

/** Groups of so many tasks each, all within the stretch. */
function groups(count: number, size: number): UnendedTask[] {
  return Array.from({ length: count * size }, (_, index) =>
    unended(index + 1, { ...at(1_500), group: taskId(index - (index % size) + 1) })
  )
}

test('the stretch of a replay is from the first to the last arrival of the tasks that arrived last', () => {
  const history = [30, 50, 10, 40, 20].map((ms, index) => finished(index + 1, { arrivedAt: timestampMs(ms) }))
  expect(stretchOf(history, 3)).toEqual({ fromAt: 30, toAt: 50 })
  expect(stretchOf(history, 9)).toEqual({ fromAt: 10, toAt: 50 })
  expect(stretchOf([], 9)).toBeUndefined()
})

test('told of is what arrived within the stretch, and of what arrived before it only what runs', () => {
  const tasks = [
    unended(1, at(999)),
    unended(2, at(1_000)),
    unended(3, at(2_000)),
    unended(4, at(2_001)),
    unended(5, { ...at(999), ...RUNS }),
    unended(6, { ...at(1_500), ...RUNS }),
    unended(7, { ...at(2_001), ...RUNS })
  ]
  const { others, ...sample } = sampleOf(tasks)
  expect(idsIn({ others, ...sample })).toEqual([2, 3, 6, 5])
  expect(others).toBe(0)
})

test('beyond the bound whole groups are left out and counted, and the bound holds', () => {
  const tasks = groups(100, 7)
  const sample = sampleOf(tasks, 50)
  expect(sample.tasks).toHaveLength(49)
  expect(sample.others).toBe(700 - 49)
  const sizes = new Map<number, number>()
  for (const { group } of sample.tasks) sizes.set(group, (sizes.get(group) ?? 0) + 1)
  expect([...sizes.values()]).toEqual([7, 7, 7, 7, 7, 7, 7])
  expect(sampleOf(tasks, 700)).toMatchObject({ others: 0, tasks: { length: 700 } })
  // Others are of the stretch: what runs besides is bounded, and not missing.
  const older = tasks.map((task) => ({ ...task, ...at(1), ...RUNS }))
  expect(sampleOf(older, 50)).toMatchObject({ others: 0, tasks: { length: 49 } })
})

test('each task is as likely to be told of as any other, early or late, of a large group or a small one', () => {
  const single = groups(10_000, 1)
  const kept = idsIn(sampleOf(single, 2_000))
  for (let tenth = 0; tenth < 10; tenth++) {
    const share = kept.filter((id) => id > tenth * 1_000 && id <= (tenth + 1) * 1_000).length
    // 200 expected, give or take 13.
    expect(Math.abs(share - 200)).toBeLessThan(4 * 13)
  }
  const large = groups(20, 100).map((task) => ({
    ...task,
    id: taskId(task.id + 50_000),
    group: taskId(task.group + 50_000)
  }))
  const mixed = idsIn(sampleOf([...groups(2_000, 1), ...large], 2_000))
  // Ten groups of twenty expected, give or take 2.2.
  expect(Math.abs(mixed.filter((id) => id > 50_000).length / 100 - 10)).toBeLessThan(4 * 2.2)
})

test('who is told of does not depend on the order in which tasks are looked at', () => {
  const tasks = groups(300, 3)
  const sorted = (sample: Unended): number[] => idsIn(sample).sort((a, b) => a - b)
  const kept = sorted(sampleOf(tasks, 100))
  expect(sorted(sampleOf([...tasks].reverse(), 100))).toEqual(kept)
  // As the queue grows, what is told of was told of before, or is new.
  const grown = sorted(sampleOf([...tasks, ...groups(400, 3).slice(900)], 100))
  for (const id of grown) expect(id > 900 || kept.includes(id)).toBe(true)
})

test('in a simulation what waits for others is found as what depends on them, if it has been submitted', () => {
  const task = (id: number, submittedAt: number, needs: number[] = []): SimTask => ({
    ...{ id: taskId(id), name: 'a', tenant: 'x', priority: 0, resources: {}, nodeSelector: {} },
    ...{ inputBytes: 0, limitMs: 0, submittedAt, idempotent: false, needs: needs.map(taskId) },
    ...{ transferBytes: [], group: taskId(id), workMs: 1_000, kind: 'any', peakMemoryBytes: 0 }
  })
  const tasks = [task(1, 0), task(2, 0), task(3, 0, [1]), task(4, 0, [3]), task(5, 500), task(6, 900, [1])]
  const node: SimNode = {
    ...{ id: nodeId(1), labels: {}, zone: '', profile: '', slots: 1, resources: {}, speeds: {} }
  }
  const history = [finished(1, { arrivedAt: timestampMs(0) }), finished(2, { arrivedAt: timestampMs(2_000) })]
  const seen: Unended[] = []
  const spy = (rng: Rng): Policy => {
    const policy = policyFactory('fifo')(rng)
    const next = policy.next.bind(policy)
    policy.next = (view) => {
      if (view.now === 500 && seen.length === 0) seen.push(unendedInView(view, history, 2))
      return next(view)
    }
    return policy
  }
  simulate(compileWorkload('six', tasks), [node], spy(createRng(1)), { model: fixedRunTimes() })
  expect(seen[0]?.tasks.map(({ id, running }) => [id, running?.forMs])).toEqual([
    [1, 500],
    [2, undefined],
    [5, undefined],
    [3, undefined],
    [4, undefined]
  ])
})
