import { expect, test } from 'vitest'
import { taskId } from '../../../base/ids.ts'
import { LIMITS } from '../../../base/limits.ts'
import type { DraftNeed, TaskDraft } from '../../../scheduler/dag.ts'
import { orderSubmission } from '../../../scheduler/dag.ts'
import { spec } from '../../helpers/scheduler.ts'

function draft(
  name: string,
  refs: readonly (string | number)[] = [],
  overrides: Partial<TaskDraft> = {}
): TaskDraft {
  const needs = refs.map((ref): DraftNeed => ({
    as: String(ref),
    ref: typeof ref === 'number' ? taskId(ref) : ref
  }))
  return { ...spec({ name }), needs, ...overrides }
}

test('drafts in order stay in order', () => {
  const { submission, positions } = orderSubmission([draft('a'), draft('b', ['a']), draft('c')])
  expect(submission.tasks.map((task) => task.name)).toEqual(['a', 'b', 'c'])
  expect(positions).toEqual([0, 1, 2])
  expect(submission.tasks[1]?.needs).toEqual([{ position: 0, as: 'a' }])
})

test('others are brought into an order in which each stands after its needs', () => {
  const { submission, positions } = orderSubmission([
    draft('report', ['merge', 7]),
    draft('merge', ['left', 'right']),
    draft('left'),
    draft('right')
  ])
  expect(submission.tasks.map((task) => task.name)).toEqual(['left', 'right', 'merge', 'report'])
  expect(positions).toEqual([3, 2, 0, 1])
  expect(submission.tasks[3]?.needs).toEqual([
    { position: 2, as: 'merge' },
    { id: 7, as: '7' }
  ])
})

test.each<readonly [string, readonly TaskDraft[], string, RegExp]>([
  [
    'a cycle',
    [draft('a', ['c']), draft('b', ['a']), draft('c', ['b']), draft('d', ['a'])],
    'CYCLIC_NEEDS',
    /a → c → b → a/
  ],
  ['a task that needs itself', [draft('a', ['a'])], 'CYCLIC_NEEDS', /a → a/],
  ['an unknown name', [draft('a', ['z'])], 'UNKNOWN_NEED', /tasks\[0\]\.needs: got "z"/],
  ['a name that two tasks have', [draft('a'), draft('a'), draft('b', ['a'])], 'DUPLICATE_NAME', /tasks\[2\]/],
  ['a need named twice', [draft('a'), draft('b', ['a', 'a'])], 'INVALID_REQUEST', /twice/],
  ['no tasks', [], 'LIMIT_EXCEEDED', /got 0 tasks/],
  ['a name too long', [draft('x'.repeat(200))], 'LIMIT_EXCEEDED', /tasks\[0\]\.name/],
  [
    'a resource called __proto__',
    [draft('a', [], { resources: JSON.parse('{"__proto__": 1}') as never })],
    'LIMIT_EXCEEDED',
    /resources/
  ]
])('%s is refused: %#', (_, drafts, code, message) => {
  let error: unknown
  try {
    orderSubmission(drafts)
  } catch (caught) {
    error = caught
  }
  expect(error).toMatchObject({ code, message: expect.stringMatching(message) as string })
})

test('names may repeat where nobody refers to them', () => {
  expect(orderSubmission([draft('a'), draft('a')]).positions).toEqual([0, 1])
})

test('a chain of a thousand tasks in reverse is no deep recursion, and a cycle of a thousand is named in short', () => {
  const chain = Array.from({ length: LIMITS.batchTasks }, (_, index) =>
    draft(`t${index}`, index + 1 < LIMITS.batchTasks ? [`t${index + 1}`] : [])
  )
  expect(orderSubmission(chain).positions[0]).toBe(LIMITS.batchTasks - 1)
  const circle = chain.map((each, index) => (index + 1 < LIMITS.batchTasks ? each : draft(each.name, ['t0'])))
  expect(() => orderSubmission(circle)).toThrow(/t0 → t1 .*… → t0/)
})
