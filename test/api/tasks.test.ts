import { beforeEach, expect, test } from 'vitest'
import { AppError } from '../../base/errors.ts'
import { taskId } from '../../base/ids.ts'
import { fakeServer } from '../helpers/fake-node.ts'

let server = await fakeServer()
beforeEach(async () => {
  await server.app.close()
  server = await fakeServer()
  const { app } = server
  await app.inject({
    method: 'POST',
    url: '/v1/tasks',
    payload: [
      { name: 'a', handler: 'h', input: { n: 1 } },
      { name: 'b', command: 'x' },
      { name: 'c', command: 'y' }
    ]
  })
})

async function get(url: string) {
  const reply = await server.app.inject({ url })
  return { status: reply.statusCode, headers: reply.headers, json: reply.json<Record<string, unknown>>() }
}

test('a live task shows what was asked for and how far it is', async () => {
  server.node.run(taskId(1))
  const { json } = await get('/v1/tasks/t-1')
  expect(json).toMatchObject({
    id: 't-1',
    name: 'a',
    status: 'running',
    group: 't-1',
    handler: 'h',
    input: { n: 1 },
    node: 1,
    attempts: 1,
    placement: { node: 1, incarnation: 4, fencingToken: 9, attempt: 1 }
  })
  expect(json).not.toHaveProperty('finishedAt')
})

test('an ended task shows its result and its times', async () => {
  server.node.end(taskId(2), { status: 'succeeded', result: { rows: [1, null] } })
  const { json } = await get('/v1/tasks/t-2')
  expect(json).toMatchObject({
    status: 'succeeded',
    command: 'x',
    result: { rows: [1, null] },
    runMs: 20,
    fencingToken: 9
  })
})

test('status answers under both paths', async () => {
  const expected = { id: 't-1', name: 'a', status: 'ready', terminal: false, attempts: 0 }
  for (const url of ['/v1/tasks/t-1/status', '/tasks/t-1/status']) {
    const { eta, ...status } = (await get(url)).json
    expect(status).toEqual(expected)
    expect(eta).toHaveProperty('finishAt')
  }
})

test('the result of a live task is refused as retryable, that of an ended one is given', async () => {
  expect((await get('/v1/tasks/t-1/result')).json).toMatchObject({
    code: 'NOT_TERMINAL',
    status: 409,
    retryable: true
  })
  server.node.end(taskId(1), {
    status: 'failed',
    error: { code: 'EXIT_CODE', message: 'exit code 2', retryable: true }
  })
  expect((await get('/v1/tasks/t-1/result')).json).toEqual({
    id: 't-1',
    status: 'failed',
    error: { code: 'EXIT_CODE', message: 'exit code 2', retryable: true }
  })
  server.node.end(taskId(2), { status: 'succeeded', result: null })
  expect((await get('/v1/tasks/t-2/result')).json).toEqual({ id: 't-2', status: 'succeeded', result: null })
})

test('unknown, malformed and retired ids are told apart from tasks', async () => {
  server.node.retired.add(taskId(9))
  expect((await get('/v1/tasks/t-77')).json).toMatchObject({ code: 'TASK_NOT_FOUND', status: 404 })
  expect((await get('/v1/tasks/77')).json).toMatchObject({
    code: 'TASK_NOT_FOUND',
    detail: 'id: got "77", expected a task id such as "t-42"',
    got: '77'
  })
  expect((await get('/v1/tasks/t-9')).json).toMatchObject({ code: 'RETIRED', status: 410 })
})

test('a read that waits is answered when the task ends', async () => {
  const reply = get('/v1/tasks/t-1?wait=20s')
  await new Promise(setImmediate)
  server.node.end(taskId(1), { status: 'succeeded' })
  expect((await reply).json['status']).toBe('succeeded')
})

test('a read that waits is answered as it is when the time has passed', async () => {
  expect((await get('/v1/tasks/t-1?wait=1')).json['status']).toBe('ready')
})

test('a wait beyond the limit is refused', async () => {
  expect((await get('/v1/tasks/t-1?wait=31s')).json).toMatchObject({ code: 'LIMIT_EXCEEDED', field: 'wait' })
})

test('reads are linearizable unless they ask for less', async () => {
  await get('/v1/tasks/t-1')
  expect(server.node.readIndexCalls).toBe(1)
  await get('/v1/tasks/t-1?consistency=stale')
  await get(`/v1/tasks/t-1?consistency=stale&index=${server.node.applied}`)
  expect(server.node.readIndexCalls).toBe(1)
})

test('a read waits for an index, and fails with TIMEOUT when it does not come', async () => {
  const { applied } = server.node
  expect((await get(`/v1/tasks/t-1?index=${applied + 1}&consistency=stale`)).status).toBe(200)
  expect((await get(`/v1/tasks/t-1?index=${applied + 50}`)).json).toMatchObject({
    code: 'TIMEOUT',
    status: 503,
    retryable: true,
    field: 'index'
  })
})

test('a cluster without a leader still answers stale reads', async () => {
  server.node.failNext = new AppError('NO_LEADER', 'an election is under way')
  const failed = await get('/v1/tasks/t-1')
  expect(failed.json).toMatchObject({ code: 'NO_LEADER', status: 503 })
  expect(failed.headers['retry-after']).toBe('1')
  server.node.failNext = new AppError('NO_LEADER', 'an election is under way')
  expect((await get('/v1/tasks/t-1?consistency=stale')).status).toBe(200)
})

test('pages run from the newest to the oldest task', async () => {
  const ids = (page: Record<string, unknown>) => (page['tasks'] as { id: string }[]).map(({ id }) => id)
  const first = (await get('/v1/tasks?limit=2')).json
  expect(ids(first)).toEqual(['t-3', 't-2'])
  const second = (await get(`/v1/tasks?limit=2&cursor=${String(first['next'])}`)).json
  expect(ids(second)).toEqual(['t-1'])
  expect(second).not.toHaveProperty('next')
})

test('lists are narrowed by status and name', async () => {
  server.node.end(taskId(2), { status: 'succeeded' })
  const names = async (query: string) =>
    ((await get(`/v1/tasks?${query}`)).json['tasks'] as { name: string }[]).map(({ name }) => name)
  expect(await names('status=succeeded')).toEqual(['b'])
  expect(await names('status=ready,succeeded')).toEqual(['c', 'b', 'a'])
  expect(await names('name=a')).toEqual(['a'])
})

test.each([
  ['limit=0', 'limit'],
  ['limit=1001', 'limit'],
  ['limit=ten', 'limit'],
  ['status=redy', 'status'],
  ['cursor=7', 'cursor'],
  ['limt=3', 'limt'],
  ['consistency=strong', 'consistency'],
  ['index=-1', 'index'],
  ['limit=1&limit=2', 'limit']
])('the query %s is refused and names its field', async (query, field) => {
  expect((await get(`/v1/tasks?${query}`)).json).toMatchObject({ code: 'INVALID_REQUEST', field })
})

test('a task is cancelled by DELETE and by POST, once', async () => {
  const cancel = async (method: 'DELETE' | 'POST', url: string) => {
    const reply = await server.app.inject({ method, url })
    return { status: reply.statusCode, ...reply.json<object>() }
  }
  expect(await cancel('DELETE', '/v1/tasks/t-1')).toEqual({ id: 't-1', status: 'cancelled' })
  expect(await cancel('POST', '/v1/tasks/t-2/cancel')).toEqual({ id: 't-2', status: 'cancelled' })
  expect(await cancel('DELETE', '/v1/tasks/t-1')).toMatchObject({ code: 'ALREADY_TERMINAL' })
  expect(await cancel('DELETE', '/v1/tasks/t-99')).toMatchObject({ code: 'TASK_NOT_FOUND' })
})
