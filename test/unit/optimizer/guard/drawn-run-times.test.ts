import { expect, test } from 'vitest'
import { nodeId, type NodeId } from '../../../../base/ids.ts'
import { runTimeDraw } from '../../../../optimizer/guard/drawn-run-times.ts'
import type { FinishedTask } from '../../../../optimizer/guard/history.ts'
import type { UnendedTask } from '../../../../optimizer/guard/unended.ts'
import { finished, unended } from './fixture.ts'

const NO_SPEEDS = new Map<NodeId, number>()
let nextId = 0
const ended = (runMs: number, changes: Partial<FinishedTask> = {}): FinishedTask =>
  finished(++nextId, { runMs, ...changes })
const times = (count: number, runMs: number, changes: Partial<FinishedTask> = {}): FinishedTask[] =>
  Array.from({ length: count }, () => ended(runMs, changes))
const running = (forMs: number, node = 1): Partial<UnendedTask> => ({
  running: { node: nodeId(node), forMs }
})

/** What two hundred tasks like this one are given, without doubles, rising. */
function drawn(
  history: readonly FinishedTask[],
  changes: Partial<UnendedTask> = {},
  others: readonly UnendedTask[] = [],
  speeds: ReadonlyMap<NodeId, number> = NO_SPEEDS
): number[] {
  const draw = runTimeDraw(history, others, speeds)
  const found = Array.from({ length: 200 }, (_, at) => draw(unended(10_000 + at, changes)))
  return [...new Set(found)].sort((a, b) => a - b)
}

test('a task is given what one of its class took', () => {
  const history = [...[10, 20, 30, 40, 50].map((ms) => ended(ms)), ...times(50, 9_000, { name: 'b' })]
  expect(drawn(history)).toEqual([10, 20, 30, 40, 50])
})

test.each<[string, Partial<UnendedTask>]>([
  ['tenant', { tenant: 'other' }],
  ['limit', { limitMs: 90_000 }],
  ['resources', { resources: { cpu: 2_000 } }],
  ['octave of input', { inputBytes: 5_000 }]
])('a class is of one %s', (_, changes) => {
  const history = [...times(5, 10), ...times(5, 700, changes)]
  expect(drawn(history)).toEqual([10])
  expect(drawn(history, changes)).toEqual([700])
})

test('sizes of one octave are of one class, and so are resources in another order', () => {
  const history = [
    ...times(5, 10, { inputBytes: 1_100, resources: { cpu: 1, gpu: 2 } }),
    ...times(5, 700, { inputBytes: 5_000 })
  ]
  expect(drawn(history, { inputBytes: 2_000, resources: { gpu: 2, cpu: 1 } })).toEqual([10])
})

test('of a class of which fewer than five have ended, those of its name count, else of its tenant, else all', () => {
  const rare = { name: 'rare', tenant: 'x', limitMs: 7_000 }
  const own = times(4, 10, rare)
  const named = times(1, 20, { name: 'rare', tenant: 'y' })
  const tenants = times(1, 30, { name: 'c', tenant: 'x' })
  const all = times(1, 40, { name: 'd', tenant: 'z' })
  expect(drawn([...own, ...times(1, 10, rare), ...named, ...tenants, ...all], rare)).toEqual([10])
  expect(drawn([...own, ...named, ...tenants, ...all], rare)).toEqual([10, 20])
  expect(drawn([...own, ...tenants, ...all], rare)).toEqual([10, 30])
  expect(drawn([...own, ...all], rare)).toEqual([10, 40])
  expect(drawn(own, rare)).toEqual([10])
})

test('one that runs is given more than it has run, and more than anything was seen to take if need be', () => {
  const history = [10, 20, 30, 40, 50].map((ms) => ended(ms))
  expect(drawn(history, running(25))).toEqual([30, 40, 50])
  const beyond = drawn(history, running(60))
  expect(beyond[0]).toBeGreaterThan(60)
  expect(beyond[0]).toBeLessThan(62)
  expect(beyond.at(-1)).toBeLessThanOrEqual(16 * 60)
  expect(beyond.length).toBeGreaterThan(100)
})

test('what runs of the class makes it longer for all: the short ones ended first', () => {
  const history = times(10, 10)
  const others = Array.from({ length: 10 }, (_, at) => unended(500 + at, running(1_000)))
  const mean = (values: readonly number[]): number => values.reduce((sum, ms) => sum + ms, 0) / values.length
  const draw = runTimeDraw(history, others, NO_SPEEDS)
  const found = Array.from({ length: 200 }, (_, at) => draw(unended(10_000 + at)))
  expect(found.filter((ms) => ms === 10).length / 200).toBeCloseTo(0.5, 1)
  expect(mean(found)).toBeGreaterThan(1_000)
  expect(found.filter((ms) => ms > 10).every((ms) => ms > 1_000)).toBe(true)
})

test('no attempt is given more than its limit on its node, nor less than it has run', () => {
  const history = times(5, 5_000, { limitMs: 1_000 })
  const speeds = new Map([[nodeId(2), 3]])
  const limitMs = 1_000
  expect(drawn(history, { limitMs })).toEqual([1_000])
  expect(drawn(history, { limitMs, ...running(500) })).toEqual([1_000])
  expect(drawn(history, { limitMs, ...running(1_200) })).toEqual([1_200])
  expect(drawn(history, { limitMs, ...running(500, 2) }, [], speeds)).toEqual([3_000])
})

test('run times and ages are of a node of speed 1', () => {
  const speeds = new Map([
    [nodeId(1), 2],
    [nodeId(2), 0.5]
  ])
  const history = [
    ...[100, 200, 300].map((ms) => ended(ms, { node: nodeId(1) })),
    ...[100, 200, 300].map((ms) => ended(ms, { node: nodeId(2) }))
  ]
  expect(drawn(history, {}, [], speeds)).toEqual([50, 100, 150, 200, 400, 600])
  // 150 ms there are 300 here, and 75 elsewhere.
  expect(drawn(history, running(150, 1), [], speeds)).toEqual([400, 600])
  expect(drawn(history, running(150, 2), [], speeds)).toEqual([100, 150, 200, 400, 600])
})

test('a task is given the same in each replay, whatever else is told of', () => {
  const history = Array.from({ length: 100 }, (_, at) => ended(at + 1))
  const ids = Array.from({ length: 50 }, (_, at) => 20_000 + at)
  const first = runTimeDraw(history, [], NO_SPEEDS)
  const again = runTimeDraw(
    history,
    ids.map((id) => unended(id, { name: 'b' })),
    NO_SPEEDS
  )
  const forward = ids.map((id) => first(unended(id)))
  const backward = [...ids].reverse().map((id) => again(unended(id)))
  expect(backward.reverse()).toEqual(forward)
  expect(new Set(forward).size).toBeGreaterThan(25)
})
