import { expect, test } from 'vitest'
import { criticalPaths } from '../../../../optimizer/sim/critical-path.ts'
import { quantileAt } from '../../../../optimizer/sim/quantile-table.ts'
import { uniform } from '../../../../optimizer/sim/draw.ts'
import { compileWorkload } from '../../../../optimizer/sim/workload.ts'
import { taskOf, workloadOf } from '../../../helpers/workloads.ts'

test('tasks that share the array of their needs share one barrier and one list of dependents', () => {
  const needs = [{ work: 1 }, { work: 1 }].map(taskOf).map(({ id }) => id)
  const later = [2, 3].map((index) => ({ ...taskOf({ work: 1 }, index), needs }))
  const workload = compileWorkload('shared', [...[{ work: 1 }, { work: 1 }].map(taskOf), ...later])
  expect(workload.barriers).toEqual([{ needs: [1, 2], members: [3, 4] }])
  expect(workload.dependents[0]).toBe(workload.dependents[1])
})

test.each([
  [
    'a cycle',
    [
      { work: 1, needs: [2] },
      { work: 1, needs: [1] }
    ],
    /test: task 1: needs: got the cycle 1 → 2 → 1, expected none/
  ],
  ['a dependency that does not exist', [{ work: 1, needs: [7] }], /needs: got 7, expected 1 to 1/],
  [
    'submissions out of order',
    [
      { work: 1, at: 5 },
      { work: 1, at: 4 }
    ],
    /submittedAt: got 4, expected ≥ 5/
  ],
  ['work that is not a number', [{ work: NaN }], /workMs: got NaN/],
  ['work without end', [{ work: Infinity }], /workMs: got Infinity/]
])('%s is refused', (_, tasks, message) => {
  expect(() => workloadOf(tasks)).toThrow(message)
})

test('the critical path is the longest chain of a group, and of each task what ends in it', () => {
  const sketches = [
    { work: 5, group: 1 },
    { work: 7, group: 1, needs: [1] },
    { work: 1, group: 1, needs: [1] },
    { work: 2, group: 1, needs: [2, 3] },
    { work: 9 }
  ]
  const { ofGroup, ofTask } = criticalPaths(workloadOf(sketches), (index) => sketches[index]!.work)
  expect(Array.from(ofGroup)).toEqual([14, 0, 0, 0, 9])
  expect(Array.from(ofTask)).toEqual([5, 12, 6, 14, 9])
})

test('paths are measured from submission: of the task, and of the first of its group', () => {
  const sketches = [
    { work: 10, group: 1 },
    { work: 2, group: 1, at: 4, needs: [1] },
    { work: 3, group: 1, at: 50, needs: [1] }
  ]
  const { ofGroup, ofTask } = criticalPaths(workloadOf(sketches), (index) => sketches[index]!.work)
  expect(Array.from(ofTask)).toEqual([10, 8, 3])
  expect(Array.from(ofGroup)).toEqual([53, 0, 0])
})

test('a quantile table is linear between its levels', () => {
  const table = { levels: [0, 0.5, 1], values: [1, 2, 6] }
  expect([0, 0.25, 0.5, 0.75, 1].map((q) => quantileAt(table, q))).toEqual([1, 1.5, 2, 4, 6])
})

test('draws are uniform, and differ by seed, task, attempt and purpose', () => {
  const draws = Array.from({ length: 10_000 }, (_, task) => uniform(1, task, 1, 1))
  expect(draws.reduce((sum, value) => sum + value, 0) / draws.length).toBeCloseTo(0.5, 1)
  expect(Math.max(...draws)).toBeLessThan(1)
  const variants = [
    uniform(1, 1, 1, 1),
    uniform(2, 1, 1, 1),
    uniform(1, 2, 1, 1),
    uniform(1, 1, 2, 1),
    uniform(1, 1, 1, 2)
  ]
  expect(new Set(variants).size).toBe(variants.length)
})
