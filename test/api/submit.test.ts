import { expect, test } from 'vitest'
import { LIMITS } from '../../base/limits.ts'
import { fakeServer } from '../helpers/fake-node.ts'

const server = await fakeServer()
const { app, node } = server

async function post(body: unknown, headers: Record<string, string> = {}, url = '/v1/tasks') {
  const payload = typeof body === 'string' ? body : JSON.stringify(body)
  const reply = await app.inject({
    method: 'POST',
    url,
    headers: { 'content-type': 'application/json', ...headers },
    payload
  })
  return { status: reply.statusCode, headers: reply.headers, json: reply.json<Record<string, unknown>>() }
}

test('a single task is answered with 202, its id and its location', async () => {
  const { status, headers, json } = await post({ command: 'echo hi' })
  expect(status).toBe(202)
  expect(headers.location).toBe(`/v1/tasks/${String(json['id'])}`)
  expect(json).toMatchObject({ count: 1, ids: [json['id']], replayed: false })
})

test('an array is answered with ids in its order', async () => {
  const { status, headers, json } = await post([
    { name: 'a', handler: 'x' },
    { name: 'b', handler: 'x', needs: ['a'] }
  ])
  expect(status).toBe(202)
  expect(headers.location).toBeUndefined()
  expect(json['count']).toBe(2)
  expect(json['id']).toBeUndefined()
})

test("the seed's path submits too", async () => {
  const { status } = await post({ command: 'true' }, {}, '/tasks/submit')
  expect(status).toBe(202)
})

test('every reply carries the applied index, the node and the leader', async () => {
  const { headers } = await post({ command: 'true' })
  expect(headers['dtss-applied-index']).toBe(String(node.applied))
  expect(headers['dtss-node']).toBe('2')
  expect(headers['dtss-leader']).toBe('1')
})

test('a point of time to start at is a number or text with an offset', async () => {
  const at = Math.floor(node.now() / 60_000) * 60_000 + 3_600_000
  const text = new Date(at).toISOString()
  for (const runAt of [at, text, text.replace(/:00\.000Z$/, 'Z'), text.replace('Z', '+00:00')]) {
    expect((await post({ handler: 'x', runAt })).status).toBe(202)
    expect(node.submissions.at(-1)?.tasks[0]?.notBefore).toBe(at)
  }
})

test('defaults are filled in before the port sees a task', async () => {
  await post({ command: 'make', env: { A: '1' }, workingDirectory: '/tmp' })
  const task = node.submissions.at(-1)?.tasks[0]
  expect(JSON.parse(new TextDecoder().decode(task?.params))).toEqual({
    command: 'make',
    env: { A: '1' },
    workingDirectory: '/tmp'
  })
  expect(task).toMatchObject({
    name: 'shell',
    tenant: 'default',
    executor: 'shell',
    handler: '',
    needs: [],
    priority: 0,
    retry: { maxAttempts: 3, baseDelayMs: 1000, maxDelayMs: 60_000 },
    scheduleToStartMs: 0,
    startToCloseMs: 0,
    killGraceMs: 10_000,
    delivery: 'at-least-once',
    idempotent: false,
    onLeaseLoss: 'kill',
    isolation: 'process',
    notBefore: 0
  })
})

test('lengths of time are accepted as milliseconds and as text', async () => {
  await post({ handler: 'x', timeouts: { startToCloseMs: '1.5m' }, killGraceMs: 250, delayMs: '2s' })
  const task = node.submissions.at(-1)?.tasks[0]
  expect(task).toMatchObject({ startToCloseMs: 90_000, killGraceMs: 250, notBefore: node.now() + 2000 })
})

test('needs name siblings by name and earlier tasks by id', async () => {
  const earlier = await post({ command: 'true' })
  await post([
    { name: 'a', handler: 'x' },
    { name: 'b', handler: 'x', needs: { left: 'a', right: String(earlier.json['id']) } }
  ])
  const id = Number(String(earlier.json['id']).slice(2))
  expect(node.submissions.at(-1)?.tasks[1]?.needs).toEqual([
    { as: 'left', ref: 'a' },
    { as: 'right', ref: id }
  ])
})

test('a repeated idempotency key with the same content answers with the first ids', async () => {
  const first = await post(
    { handler: 'x', input: { a: 1, b: [2, { d: 1, c: 2 }] } },
    { 'idempotency-key': 'k1' }
  )
  const again = await post('{ "input": {"b":[2,{"c":2,"d":1}], "a": 1}, "handler":"x"}', {
    'idempotency-key': '"k1"'
  })
  expect(first.headers['idempotent-replayed']).toBeUndefined()
  expect(again.headers['idempotent-replayed']).toBe('true')
  expect(again.json['ids']).toEqual(first.json['ids'])
})

test('the same idempotency key with other content is refused', async () => {
  await post({ handler: 'x', input: [1, 2] }, { 'idempotency-key': 'k2' })
  const other = await post({ handler: 'x', input: [2, 1] }, { 'idempotency-key': 'k2' })
  expect(other.status).toBe(422)
  expect(other.json['code']).toBe('IDEMPOTENCY_MISMATCH')
})

/** What is refused, and how it is said. `detail` is part of the message. */
const refusals: readonly {
  name: string
  body: unknown
  code: string
  status?: number
  field?: string
  detail?: string
}[] = [
  { name: 'malformed JSON', body: '{"command": ', code: 'INVALID_JSON', field: 'body' },
  { name: 'an empty body', body: '', code: 'INVALID_REQUEST', field: 'body', detail: 'got nothing' },
  { name: 'a number as the body', body: 3, code: 'INVALID_REQUEST', field: 'body' },
  { name: 'an empty array', body: [], code: 'INVALID_REQUEST', field: 'tasks' },
  {
    name: 'a typo',
    body: { comand: 'x' },
    code: 'INVALID_REQUEST',
    field: 'comand',
    detail: 'did you mean command?'
  },
  {
    name: 'a typo deep in an array',
    body: [{ handler: 'x' }, { handler: 'x', retry: { maxAttempt: 2 } }],
    code: 'INVALID_REQUEST',
    field: 'tasks[1].retry.maxAttempt',
    detail: 'did you mean maxAttempts?'
  },
  {
    name: 'an unknown executor',
    body: { executor: 'shel', command: 'x' },
    code: 'UNKNOWN_EXECUTOR',
    status: 422,
    field: 'executor'
  },
  { name: 'neither command nor handler', body: { name: 'x' }, code: 'INVALID_REQUEST', field: 'executor' },
  {
    name: 'a handler for the shell',
    body: { executor: 'shell', command: 'x', handler: 'y' },
    code: 'INVALID_REQUEST',
    field: 'handler'
  },
  {
    name: 'a command for a handler',
    body: { executor: 'js', handler: 'y', command: 'x' },
    code: 'INVALID_REQUEST',
    field: 'command'
  },
  {
    name: 'a wrong type',
    body: { command: 5 },
    code: 'INVALID_REQUEST',
    field: 'command',
    detail: 'got 5, expected a command line'
  },
  {
    name: 'text that is no duration',
    body: { handler: 'x', delayMs: 'soon' },
    code: 'INVALID_REQUEST',
    field: 'delayMs',
    detail: 'got "soon"'
  },
  {
    name: 'a delay over the limit',
    body: { handler: 'x', delayMs: '31d' },
    code: 'LIMIT_EXCEEDED',
    status: 422,
    field: 'delayMs'
  },
  {
    name: 'both delay and runAt',
    body: { handler: 'x', delayMs: 1, runAt: 1 },
    code: 'INVALID_REQUEST',
    field: 'runAt'
  },
  {
    name: 'a day that the month does not have',
    body: { handler: 'x', runAt: '2027-02-29T18:00Z' },
    code: 'INVALID_REQUEST',
    field: 'runAt',
    detail: 'got "2027-02-29T18:00Z", expected a date that there is'
  },
  {
    name: 'a deadline in a month that there is not',
    body: { handler: 'x', deadlineAt: '2027-13-01T18:00Z' },
    code: 'INVALID_REQUEST',
    field: 'deadlineAt'
  },
  {
    name: 'a kill grace over the limit',
    body: { handler: 'x', killGraceMs: '6m' },
    code: 'LIMIT_EXCEEDED',
    status: 422,
    field: 'killGraceMs'
  },
  {
    name: 'too many attempts',
    body: { handler: 'x', retry: { maxAttempts: 101 } },
    code: 'INVALID_REQUEST',
    field: 'retry.maxAttempts'
  },
  {
    name: 'a first delay above the longest',
    body: { handler: 'x', retry: { baseDelayMs: 10, maxDelayMs: 5 } },
    code: 'INVALID_REQUEST',
    field: 'retry.maxDelayMs'
  },
  {
    name: 'retries of at-most-once',
    body: { handler: 'x', delivery: 'at-most-once', retry: { maxAttempts: 2 } },
    code: 'INVALID_REQUEST',
    field: 'retry.maxAttempts'
  },
  {
    name: 'continuing after lease loss without idempotence',
    body: { handler: 'x', onLeaseLoss: 'continue' },
    code: 'INVALID_REQUEST',
    field: 'onLeaseLoss'
  },
  {
    name: 'a thread for the shell',
    body: { command: 'x', isolation: 'thread' },
    code: 'INVALID_REQUEST',
    field: 'isolation'
  },
  {
    name: 'a name that reads as an id',
    body: { command: 'x', name: 't-7' },
    code: 'INVALID_REQUEST',
    field: 'name'
  },
  {
    name: 'a lone surrogate in a name',
    body: '{"command":"x","name":"a\\ud800"}',
    code: 'INVALID_REQUEST',
    field: 'name'
  },
  {
    name: 'an inherited name as a handler',
    body: { handler: 'constructor' },
    code: 'INVALID_REQUEST',
    field: 'handler'
  },
  {
    name: 'an inherited name as a resource',
    body: { handler: 'x', resources: { valueOf: 1 } },
    code: 'INVALID_REQUEST',
    field: 'resources'
  },
  {
    name: 'a fractional resource',
    body: { handler: 'x', resources: { cpu: 0.5 } },
    code: 'INVALID_REQUEST',
    field: 'resources.cpu'
  },
  {
    name: 'a need twice',
    body: [
      { name: 'a', handler: 'x' },
      { handler: 'x', needs: ['a', 'a'] }
    ],
    code: 'INVALID_REQUEST',
    field: 'tasks[1].needs'
  },
  {
    name: 'cyclic needs',
    body: [
      { name: 'a', handler: 'x', needs: ['b'] },
      { name: 'b', handler: 'x', needs: ['a'] }
    ],
    code: 'CYCLIC_NEEDS',
    field: 'needs',
    status: 422
  },
  {
    name: 'a need that does not exist',
    body: { handler: 'x', needs: ['nobody'] },
    code: 'UNKNOWN_NEED',
    status: 422,
    field: 'needs'
  },
  {
    name: 'a large input',
    body: { handler: 'x', input: 'a'.repeat(LIMITS.taskInputBytes) },
    code: 'LIMIT_EXCEEDED',
    status: 422,
    field: 'input'
  },
  {
    name: 'a deep input',
    body: `{"handler":"x","input":${'['.repeat(50_000)}${']'.repeat(50_000)}}`,
    code: 'LIMIT_EXCEEDED',
    status: 422,
    field: 'input'
  },
  {
    name: 'a large batch',
    body: Array.from({ length: 1001 }, () => ({ handler: 'x' })),
    code: 'LIMIT_EXCEEDED',
    status: 422,
    field: 'tasks'
  }
]

test.each(refusals)(
  '$name is refused with $code, and nothing is submitted',
  async ({ body, code, status, field, detail }) => {
    const before = node.records.size
    const reply = await post(body)
    expect({ code: reply.json['code'], status: reply.status, field: reply.json['field'] }).toEqual({
      code,
      status: status ?? 400,
      field
    })
    if (detail !== undefined) expect(reply.json['detail']).toContain(detail)
    expect(reply.headers['content-type']).toContain('application/problem+json')
    expect(node.records.size).toBe(before)
  }
)

test('an input at the very limit is accepted', async () => {
  const { status } = await post({ handler: 'x', input: 'a'.repeat(LIMITS.taskInputBytes - 2) })
  expect(status).toBe(202)
})

test('a body that is not JSON by its type is refused with 415', async () => {
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/jsonx']) {
    const reply = await post('{"command":"x"}', { 'content-type': type })
    expect([reply.status, reply.json['code']]).toEqual([415, 'UNSUPPORTED_MEDIA_TYPE'])
  }
})

test('bytes that are not UTF-8 are refused as invalid JSON', async () => {
  const payload = Buffer.concat([Buffer.from('{"command":"'), Buffer.from([0xff, 0xfe]), Buffer.from('"}')])
  const reply = await app.inject({
    method: 'POST',
    url: '/v1/tasks',
    headers: { 'content-type': 'application/json' },
    payload
  })
  expect(reply.json<{ code: string }>().code).toBe('INVALID_JSON')
})

test('a negative zero priority is stored as zero', async () => {
  await post('{"handler":"x","priority":-0}')
  expect(Object.is(node.submissions.at(-1)?.tasks[0]?.priority, 0)).toBe(true)
})

test('ids are in the order of the request, also where the needs ask for another', async () => {
  const { json } = await post([
    { name: 'last', handler: 'x', needs: ['first'] },
    { name: 'first', handler: 'x' }
  ])
  const [last, first] = (json['ids'] as string[]).map((id) => Number(id.slice(2)))
  expect(last).toBe((first ?? 0) + 1)
  expect(json['firstId']).toBe(`t-${first ?? 0}`)
})

test('what is wrong between tasks is said in the terms of the body', async () => {
  const single = await post({ handler: 'x', needs: ['nobody'] })
  expect(single.json).toMatchObject({ code: 'UNKNOWN_NEED', field: 'needs' })
  expect(single.json['detail']).toMatch(/^needs: got "nobody"/)
  const several = await post([{ handler: 'x' }, { handler: 'x', needs: ['nobody'] }])
  expect(several.json).toMatchObject({ code: 'UNKNOWN_NEED', field: 'tasks[1].needs' })
})
