/** What a request gets that exceeds a limit, against what docs/limits.md says of it. */
import { expect, test } from 'vitest'
import { LIMITS } from '../../base/limits.ts'
import { hour } from '../../base/units.ts'
import { fakeServer } from '../helpers/fake-node.ts'
import { limitsDocument } from '../helpers/documented.ts'

const { app, node } = await fakeServer()
const day = 24 * hour
const rows = limitsDocument().split('\n')

const task = (fields: object): unknown => ({ command: 'true', ...fields })
const many = (count: number, of = (index: number): unknown => index): Record<string, unknown> =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`n${index}`, of(index)]))
const nested = (depth: number): unknown => (depth === 0 ? 0 : [nested(depth - 1)])

const BEYOND: readonly [limit: keyof typeof LIMITS, body: unknown, headers?: Record<string, string>][] = [
  ['taskInputBytes', task({ input: 'x'.repeat(LIMITS.taskInputBytes) })],
  ['inputDepth', task({ input: nested(LIMITS.inputDepth + 1) })],
  ['requestBodyBytes', task({ input: 'x'.repeat(LIMITS.requestBodyBytes) })],
  ['batchTasks', Array.from({ length: LIMITS.batchTasks + 1 }, () => task({}))],
  ['taskNeeds', task({ needs: Array.from({ length: LIMITS.taskNeeds + 1 }, (_, id) => `t-${id + 1}`) })],
  ['nameLength', task({ name: 'x'.repeat(LIMITS.nameLength + 1) })],
  ['labels', task({ nodeSelector: many(LIMITS.labels + 1, String) })],
  ['labels', task({ resources: many(LIMITS.labels + 1) })],
  ['idempotencyKeyLength', task({}), { 'idempotency-key': 'x'.repeat(LIMITS.idempotencyKeyLength + 1) }],
  ['taskAttempts', task({ retry: { maxAttempts: LIMITS.taskAttempts + 1 } })],
  ['taskDurationMs', task({ delayMs: LIMITS.taskDurationMs + 1 })],
  ['resourceAmount', task({ resources: { memory: LIMITS.resourceAmount + 1 } })],
  ['taskParamsBytes', task({ command: 'x'.repeat(LIMITS.taskParamsBytes) })],
  ['killGraceMs', task({ killGraceMs: LIMITS.taskDurationMs + 1 })]
]

async function codeOf(body: unknown, headers: Record<string, string> = {}): Promise<unknown> {
  const reply = await app.inject({
    method: 'POST',
    url: '/v1/tasks',
    headers: { 'content-type': 'application/json', ...headers },
    payload: JSON.stringify(body)
  })
  return reply.json<{ code?: string }>().code
}

test.each(BEYOND)('what exceeds %s gets the code that its text names', async (limit, body, headers) => {
  const row = rows.find((line) => line.startsWith(`| \`${limit}\``)) ?? ''
  const named = /`([A-Z_]{5,})`/.exec(row)?.[1] ?? 'LIMIT_EXCEEDED'
  expect(await codeOf(body, headers)).toBe(named)
})

test.each([
  ['a delay as text', { delayMs: '31d' }],
  ['a point of time to start at', { runAt: node.now() + 31 * day }],
  ['a deadline', { deadlineAt: new Date(node.now() + 31 * day).toISOString() }],
  ['a grace of more than its own limit', { killGraceMs: LIMITS.killGraceMs + 1 }],
  ['an environment', { env: many(5, () => 'x'.repeat(LIMITS.taskParamsBytes / 4)) }]
])('%s beyond its limit is LIMIT_EXCEEDED', async (_, fields) => {
  expect(await codeOf(task(fields))).toBe('LIMIT_EXCEEDED')
})

test('how far ahead a deadline may lie is said in days', async () => {
  const reply = await app.inject({
    method: 'POST',
    url: '/v1/tasks',
    payload: task({ deadlineAt: node.now() + 63.25 * day }) as object
  })
  expect(reply.json<{ detail: string }>().detail).toBe(
    'deadlineAt: got 63.3 days from now, expected at most 30 days from now'
  )
})

test('a page of more tasks than the limit is refused', async () => {
  const reply = await app.inject({ url: `/v1/tasks?limit=${LIMITS.pageTasks + 1}` })
  expect(reply.json<{ code: string }>().code).toBe('INVALID_REQUEST')
})
