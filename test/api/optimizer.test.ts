import { beforeEach, expect, test } from 'vitest'
import { AppError } from '../../base/errors.ts'
import { taskId } from '../../base/ids.ts'
import { fakeServer } from '../helpers/fake-node.ts'

let server = await fakeServer()
beforeEach(async () => {
  await server.app.close()
  server = await fakeServer()
})

type Json = Record<string, unknown>

async function call(method: 'GET' | 'POST' | 'PUT', url: string, payload?: object) {
  const reply = await server.app.inject({ method, url, ...(payload === undefined ? {} : { payload }) })
  return { status: reply.statusCode, json: reply.json<Json>() }
}

async function submit(payload: object): Promise<Json> {
  return (await call('POST', '/v1/tasks', payload)).json
}

test('a policy is set by its name; an unknown one is refused with the names there are', async () => {
  expect((await call('GET', '/v1/policy')).json).toMatchObject({ current: 'least-loaded', fallbacks: 0 })
  expect((await call('PUT', '/v1/policy', { name: 'learned' })).json).toMatchObject({ current: 'learned' })
  expect((await call('PUT', '/v1/policy', { name: 'auto' })).json).toMatchObject({
    current: 'learned',
    mode: 'auto'
  })
  expect((await call('PUT', '/v1/policy', { name: 'lerned' })).json).toMatchObject({
    status: 400,
    code: 'INVALID_REQUEST',
    field: 'name',
    expected: 'one of fifo, least-loaded, learned, auto',
    nearest: 'learned'
  })
  expect((await call('PUT', '/v1/policy', { name: 'atuo' })).json).toMatchObject({ nearest: 'auto' })
  expect((await call('PUT', '/v1/policy', {})).json).toMatchObject({ field: 'name' })
  expect(server.node.optimizer.current).toBe('learned')
})

test('policies are compared on what is asked for, by default all on 2,000 tasks', async () => {
  const { json } = await call('POST', '/v1/policy/compare')
  expect(json).toMatchObject({ base: 'least-loaded', tasks: 2000 })
  expect(server.node.optimizer.comparisons[0]?.policies).toEqual(['fifo', 'least-loaded', 'learned'])
  await call('POST', '/v1/policy/compare', { policies: ['fifo'], tasks: 50 })
  expect(server.node.optimizer.comparisons[1]).toMatchObject({ policies: ['fifo'], tasks: 50 })
  expect((await call('POST', '/v1/policy/compare', { policies: ['lifo'] })).json).toMatchObject({
    field: 'policies'
  })
  expect((await call('POST', '/v1/policy/compare', { tasks: 9 })).json).toMatchObject({ field: 'tasks' })
})

test.each(['/v1/models/rollback', '/v1/models/3/promote', '/v1/models/3/rollback'])(
  'a body that would be passed over is refused: POST %s',
  async (url) => {
    const reply = await call('POST', url, { version: 1 })
    expect(reply.json).toMatchObject({ code: 'INVALID_REQUEST', field: 'body' })
    expect(reply.status).toBe(400)
  }
)

test('models are shown, promoted, rolled back and frozen', async () => {
  const { json } = await call('GET', '/v1/models')
  expect((json['models'] as Json[]).map(({ version, state }) => [version, state])).toEqual([
    [3, 'shadow'],
    [2, 'serving'],
    [1, 'retired']
  ])
  expect((await call('GET', '/v1/models/status')).json).toMatchObject({
    mode: 'auto',
    serving: { version: 2 },
    trainer: { backend: 'wasm' }
  })
  expect((await call('POST', '/v1/models/3/promote')).json).toMatchObject({ version: 3, state: 'serving' })
  expect((await call('POST', '/v1/models/x/promote')).json).toMatchObject({ code: 'MODEL_NOT_FOUND' })
  expect((await call('POST', '/v1/models/rollback')).json).not.toHaveProperty('serving')
  expect((await call('POST', '/v1/models/rollback')).json).toMatchObject({ code: 'MODEL_NOT_FOUND' })
  expect((await call('POST', '/v1/models/2/rollback')).json).toMatchObject({ code: 'MODEL_STATE_INVALID' })
  await call('POST', '/v1/models/1/promote')
  const rolledBack = await call('POST', '/v1/models/1/rollback')
  expect(rolledBack.json).not.toHaveProperty('serving')
  expect(await call('POST', '/v1/models/1/rollback')).toMatchObject({
    status: rolledBack.status,
    json: rolledBack.json
  })
  expect((await call('PUT', '/v1/models/mode', { mode: 'frozen' })).json).toMatchObject({ mode: 'frozen' })
  expect((await call('PUT', '/v1/models/mode', { mode: 'melted' })).json).toMatchObject({ field: 'mode' })
  expect((await call('GET', '/v1/models/calibration')).json).toMatchObject({ coverage90: 0.91 })
})

test('reads of the optimizer are linearizable unless they ask for less', async () => {
  for (const url of ['/v1/policy', '/v1/models', '/v1/models/status', '/v1/alarms', '/v1/suggestions']) {
    const before = server.node.readIndexCalls
    await call('GET', url)
    expect(server.node.readIndexCalls, url).toBe(before + 1)
    await call('GET', `${url}?consistency=stale`)
    expect(server.node.readIndexCalls, url).toBe(before + 1)
  }
})

test('a live task shows what is expected of it, an ended one does not', async () => {
  await submit({ command: 'x' })
  expect((await call('GET', '/v1/tasks/t-1')).json).toMatchObject({
    predicted: { medianMs: 2000, by: 'model 2' },
    eta: { finishAt: { p50At: 1_700_000_003_000 } },
    alarms: []
  })
  server.node.end(taskId(1), { status: 'succeeded' })
  const { json } = await call('GET', '/v1/tasks/t-1')
  for (const field of ['predicted', 'eta', 'alarms']) expect(json).not.toHaveProperty(field)
})

test('advice that fails is logged and costs nobody the task', async () => {
  await submit({ command: 'x' })
  server.node.optimizer.failNext = new Error('no such class')
  const { status, json } = await call('GET', '/v1/tasks/t-1')
  expect([status, json['status']]).toEqual([200, 'ready'])
  expect(json).not.toHaveProperty('eta')
  expect(server.logged).toMatchObject([{ error: { message: 'no such class' } }])
})

test('a deadline is a length of time from now, or a point of time in either form', async () => {
  const now = server.node.now()
  const iso = new Date(now + 60_000).toISOString()
  await submit([
    { command: 'a', deadlineMs: '1m' },
    { command: 'b', name: 'b', deadlineAt: now + 60_000 },
    { command: 'c', name: 'c', deadlineAt: iso },
    { command: 'd', name: 'd' }
  ])
  const deadlines = server.node.submissions[0]?.tasks.map(({ deadlineAt }) => deadlineAt)
  expect(deadlines).toEqual([now + 60_000, now + 60_000, now + 60_000, 0])
  const { json } = await call('GET', '/v1/tasks/t-1')
  expect(json).toMatchObject({ deadlineAt: now + 60_000, alarms: [{ kind: 'deadline', id: 't-1' }] })
  expect((await call('GET', '/v1/tasks/t-4')).json).not.toHaveProperty('deadlineAt')
})

test.each([
  [{ deadlineMs: 0 }, 'deadlineMs'],
  [{ deadlineMs: '31d' }, 'deadlineMs'],
  [{ deadlineMs: -1 }, 'deadlineMs'],
  [{ deadlineAt: 5 }, 'deadlineAt'],
  [{ deadlineAt: 'tomorrow' }, 'deadlineAt'],
  [{ deadlineAt: '2033-01-01T10:00' }, 'deadlineAt'],
  [{ deadlineAt: '2023-11-14T22:13:20Z' }, 'deadlineAt'],
  [{ deadlineAt: '2999-01-01T10:00Z' }, 'deadlineAt'],
  [{ deadlineMs: '1m', deadlineAt: '2033-01-01T10:00Z' }, 'deadlineAt'],
  [{ deadline: '1m' }, 'deadline']
])('the deadline %j is refused and names its field', async (fields, field) => {
  const json = await submit({ command: 'x', ...fields })
  expect(json).toMatchObject({ field })
  expect(server.node.submissions).toEqual([])
})

test('why says where a task is, who could run it, and what its prediction is made of', async () => {
  await submit({ command: 'x' })
  expect((await call('GET', '/v1/tasks/t-1/why')).json).toMatchObject({
    reason: 'in-line',
    readyTasks: 1,
    policy: 'least-loaded',
    nodes: [{ node: 1, verdict: 'fits', medianMs: 1900 }],
    experts: [{ name: 'statistics' }],
    typicalMs: 1400,
    contributions: [{ feature: 'name', factor: 1.4 }]
  })
  server.node.run(taskId(1))
  expect((await call('GET', '/v1/tasks/t-1/why')).json).toMatchObject({
    reason: 'placed',
    message: 'attempt 1 is on node 1',
    nodes: [{ node: 1, verdict: 'chosen', medianMs: 1900 }]
  })
  server.node.end(taskId(1), {
    status: 'failed',
    error: { code: 'EXIT_CODE', message: 'exit code 2', retryable: true }
  })
  expect((await call('GET', '/v1/tasks/t-1/why')).json).toMatchObject({
    reason: 'ended',
    message: 'it failed on node 1 after 1 attempt: exit code 2 (EXIT_CODE)'
  })
})

test('why a task waits is told although its prediction fails', async () => {
  await submit({ command: 'x' })
  server.node.optimizer.failNext = new Error('no such class')
  server.node.optimizer.failDetail = new Error('no such class either')
  const { status, json } = await call('GET', '/v1/tasks/t-1/why')
  expect([status, json['reason'], json['nodes']]).toEqual([200, 'in-line', [{ node: 1, verdict: 'fits' }]])
  expect(json).not.toHaveProperty('quantiles')
  expect(server.logged.length).toBe(2)
})

test('a group counts its tasks, measures its progress in time, and has an ETA until it is done', async () => {
  await submit({ command: 'other' })
  await submit([
    { name: 'a', command: 'x' },
    { name: 'b', command: 'x', needs: ['a'] },
    { name: 'c', command: 'x', needs: ['b'] }
  ])
  await submit({ command: 'later' })
  server.node.end(taskId(2), { status: 'succeeded' })
  server.node.run(taskId(3))
  const { json } = await call('GET', '/v1/groups/t-4')
  expect(json).toMatchObject({
    id: 't-2',
    tasks: { total: 3, ended: 1, succeeded: 1, failed: 0, running: 1, waiting: 1, retired: 0 },
    eta: { finishAt: { p90At: 1_700_000_009_000 } }
  })
  expect(json['progress']).toBeCloseTo(20 / 60)
  server.node.end(taskId(3), { status: 'failed', error: { code: 'X', message: 'y', retryable: false } })
  server.node.end(taskId(4), { status: 'skipped' })
  const { json: done } = await call('GET', '/v1/groups/t-2')
  expect(done).toMatchObject({
    progress: 1,
    finishedAt: 1_700_000_000_025,
    tasks: { succeeded: 1, failed: 1 }
  })
  expect(done).not.toHaveProperty('eta')
})

test('alarms and suggestions are listed', async () => {
  expect((await call('GET', '/v1/alarms')).json).toMatchObject({ alarms: [{ kind: 'model' }] })
  expect((await call('GET', '/v1/suggestions')).json).toMatchObject({ suggestions: [{ name: 'resize' }] })
  expect((await call('GET', '/v1/suggestions?name=rare')).json).toEqual({ suggestions: [] })
  server.node.optimizer.catchingUp = true
  expect((await call('GET', '/v1/suggestions?name=rare')).json).toEqual({ suggestions: [], catchingUp: true })
})

function lines(body: string): Json[] {
  return body
    .trimEnd()
    .split('\n')
    .map((text) => JSON.parse(text) as Json)
}

test('history is exported newest first, a stretch at a time, and says when it is whole', async () => {
  await submit(['a', 'b', 'c', 'd'].map((name) => ({ name, command: 'x', resources: { cpu: 500 } })))
  for (const id of [1, 2, 4]) server.node.end(taskId(id), { status: 'succeeded' })
  const all = await server.app.inject({ url: '/v1/history/export' })
  expect(all.headers['content-type']).toContain('application/x-ndjson')
  expect(lines(all.body).map(({ id, end }) => id ?? end)).toEqual(['t-4', 't-2', 't-1', true])
  expect(lines(all.body)[0]).toMatchObject({
    name: 'd',
    group: 't-1',
    resources: { cpu: 500 },
    status: 'succeeded',
    runMs: 20,
    node: 1,
    peakMemoryBytes: 1024,
    needs: []
  })
  const some = lines((await server.app.inject({ url: '/v1/history/export?limit=2' })).body)
  expect(some.at(-1)).toEqual({ end: true, tasks: 2, next: 't-2' })
  const rest = lines((await server.app.inject({ url: '/v1/history/export?limit=2&cursor=t-2' })).body)
  expect(rest.map(({ id, end, next }) => [id ?? end, next])).toEqual([
    ['t-1', undefined],
    [true, undefined]
  ])
  expect((await server.app.inject({ url: '/v1/history/export?cursor=2' })).json<Json>()).toMatchObject({
    field: 'cursor'
  })
})

test('an export that cannot be read to its end has no last line, and is logged', async () => {
  await submit([{ name: 'a', command: 'x' }])
  server.node.tasks = () => Promise.reject(new AppError('STORAGE_FAILED', 'the disk is gone'))
  const reply = await server.app.inject({ url: '/v1/history/export' }).catch(() => undefined)
  expect(reply?.body ?? '').not.toContain('"end":true')
  expect(server.logged).toMatchObject([{ error: { message: 'the disk is gone' } }])
})

test('a submission says when it is expected to be done, if it asks', async () => {
  const finishAt = { p50At: 1_700_000_003_000, p90At: 1_700_000_009_000 }
  expect(await submit({ command: 'x' })).not.toHaveProperty('eta')
  const one = await call('POST', '/v1/tasks?eta=true', { command: 'x' })
  expect(one).toMatchObject({ status: 202, json: { id: 't-2', eta: { finishAt, startAt: {} } } })
  const two = await call('POST', '/tasks/submit?eta=true', [{ command: 'x' }, { command: 'y' }])
  expect(two.json).toMatchObject({ ids: ['t-3', 't-4'], eta: { finishAt } })
  expect(two.json['eta']).not.toHaveProperty('startAt')
  expect((await call('POST', '/v1/tasks?eta=perhaps', { command: 'x' })).json).toMatchObject({ field: 'eta' })
})

test('a submission is acknowledged whatever becomes of its eta, and tasks are shown without it', async () => {
  const { optimizer } = server.node
  optimizer.failNext = new Error('no forecast')
  const { status, json } = await call('POST', '/v1/tasks?eta=true', { command: 'x' })
  expect([status, json['id'], json['eta']]).toEqual([202, 't-1', undefined])
  for (const url of ['/v1/tasks', '/v1/tasks/t-1/status']) {
    optimizer.failNext = new Error('no forecast')
    const reply = await call('GET', url)
    expect(reply.status).toBe(200)
    expect(JSON.stringify(reply.json)).not.toContain('eta')
  }
})

test('the status and the list of tasks say when those that live are expected to be done', async () => {
  await submit([{ command: 'x' }, { command: 'y' }, { command: 'z' }])
  server.node.end(taskId(2), { status: 'succeeded' })
  expect((await call('GET', '/v1/tasks/t-1/status')).json).toHaveProperty('eta.finishAt.p90At')
  expect((await call('GET', '/v1/tasks/t-2/status')).json).not.toHaveProperty('eta')
  const { tasks } = (await call('GET', '/v1/tasks')).json as { tasks: Json[] }
  expect(tasks.map(({ id, eta }) => [id, eta !== undefined])).toEqual([
    ['t-3', true],
    ['t-2', false],
    ['t-1', true]
  ])
})
