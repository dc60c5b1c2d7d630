import { afterAll, beforeEach, expect, test, vi } from 'vitest'
import { AppError } from '../../../base/errors.ts'
import { taskId } from '../../../base/ids.ts'
import { DEADLINES } from '../../../base/wire/deadlines.ts'
import { fetchInto, runHere } from '../../helpers/cli.ts'
import { fakeServer } from '../../helpers/fake-node.ts'

let server = await fakeServer()
beforeEach(async () => {
  await server.app.close()
  server = await fakeServer()
})
afterAll(() => server.app.close())

const injected = fetchInto(() => server.app)

async function run(...argv: string[]) {
  return runWith(injected, ...argv)
}

async function runWith(fetch: typeof globalThis.fetch, ...argv: string[]) {
  return await runHere(argv, { fetch, now: 1_700_000_000_000 })
}

test('policies are listed, set and compared', async () => {
  const { out } = await run('policy', 'list')
  expect(out).toContain('*  least-loaded')
  expect(out).toContain('10 decisions at 2.5 µs (p99 11.0 µs)')
  expect((await run('policy', 'set', 'learned')).out).toBe('policy learned\n')
  expect((await run('policy', 'set', 'lerned')).code).toBe(2)
  expect((await run('policy', 'set', 'lerned', '--json')).json()).toMatchObject({
    ok: false,
    error: { code: 'INVALID_REQUEST', nearest: 'learned' }
  })
  const compared = await run('policy', 'compare', 'fifo,learned', '--tasks', '50')
  expect(compared.out).toMatch(/^fifo +1\.5s +4\.0s +1\.50 +10 % \[2 %, 18 %\]$/m)
  expect(compared.out).toContain('48 tasks and 1 DAG of 1m')
  expect(compared.out).toContain(
    'In the mean they really took 1m 22s under learned\nNote: others were waiting too\n'
  )
  server.node.optimizer.drawn = 2
  expect((await run('policy', 'compare', 'fifo')).out).toContain(
    'In the mean those that have ended really took 1m 22s under learned, and 1m 20s in the replay under learned\n'
  )
  for (const ci95 of [
    { low: 0.02, high: null },
    { low: null, high: null }
  ]) {
    server.node.optimizer.ci95 = ci95
    expect((await run('policy', 'compare', 'fifo')).out).toMatch(/ 10 % \[\?\]$/m)
  }
  expect((await run('policy', 'compare', '--json')).json()).toMatchObject({
    ok: true,
    base: 'learned',
    load: 0.7,
    actual: { meanJctMs: 82_000, policy: 'learned' },
    notes: ['others were waiting too'],
    policies: [{ gain: { ci95: { low: null, high: null } } }, {}, {}]
  })
  expect((await run('policy', 'get')).code).toBe(2)
})

test('the model is shown and steered', async () => {
  const { out } = await run('model', 'status')
  expect(out).toMatch(/^predicting +model 2 serves$/m)
  expect(out).toMatch(/^trainer +training with wasm, 4 % of a core, 900 rows, 12 steps$/m)
  expect((await run('model', 'history')).out).toMatch(/^3 +shadow +300 /m)
  const calibration = (await run('model', 'calibration')).out
  expect(calibration).toMatch(/^default +500 +91 % +99 % +4\.3$/m)
  expect(calibration).toMatch(/^99 % +98 %$/m)
  const { optimizer } = server.node
  const judged = optimizer.calibration()
  optimizer.calibration = () => ({ ...judged, count: 0 })
  expect((await run('model', 'calibration')).out).toMatch(/^nothing has been judged yet/)
  expect((await run('model', 'promote', '3')).out).toBe('model 3 is serving\n')
  expect(await run('model', 'promote', 'x')).toMatchObject({ code: 2 })
  expect((await run('model', 'promote', '9', '--json')).json()).toMatchObject({
    error: { code: 'MODEL_NOT_FOUND' }
  })
  expect((await run('model', 'freeze')).out).toBe('mode frozen, model 3 serves\n')
  expect((await run('model', 'unfreeze', '--json')).json()).toMatchObject({
    ok: true,
    status: { mode: 'auto' }
  })
  expect((await run('model', 'rollback')).out).toContain('statistics predict')
  expect((await run('model', 'rollback')).code).toBe(1)
})

test('an ETA is told with the group, a deadline with its alarm', async () => {
  await run('submit', '--shell', 'x', '--deadline', '1s')
  const { out } = await run('eta', 't-1')
  expect(out).toMatch(/^finishes +in 3\.0s \(p50\), in 9\.0s \(p90\)$/m)
  expect(out).toMatch(/^deadline +in 1\.0s$/m)
  expect(out).toMatch(/^alarm +its deadline/m)
  expect(out).not.toContain('group')
  expect((await run('eta', 't-1', '--json')).json()).toMatchObject({
    ok: true,
    eta: { finishAt: { p50At: 1_700_000_003_000 } },
    group: { tasks: { total: 1 } }
  })
})

test('a deadline may be a date', async () => {
  const at = server.node.now() + 3_600_000
  await run('submit', '--shell', 'x', '--deadline', new Date(at).toISOString())
  expect(server.node.submissions[0]?.tasks[0]?.deadlineAt).toBe(at)
})

test('why shows nodes, the distribution and what it is made of', async () => {
  await run('submit', '--shell', 'x')
  server.node.run(taskId(1))
  const { out } = await run('why', 't-1')
  expect(out).toMatch(/^because +attempt 1 is on node 1$/m)
  expect(out).toMatch(/^predicted +p50 2\.0s {2}p90 5\.0s$/m)
  expect(out).toMatch(/^1 +chosen +1\.9s$/m)
  expect(out).toMatch(/^tasks of all kinds +1\.4s\nname +× 1\.40\nthis task +1\.9s$/m)
  const { optimizer } = server.node
  const { explain } = optimizer
  optimizer.explain = () => ({ ...explain(), contributions: [] })
  expect((await run('why', 't-1')).out).toMatch(
    /^nothing known of it tells it from tasks of all kinds: 1\.4s$/m
  )
})

test('alarms make the exit code 1; suggestions are a table', async () => {
  const { code, out } = await run('alarms')
  expect([code, out.split('\n')[1]]).toEqual([1, 'model  -     0ms ago  model 3 was rejected: not a number'])
  expect((await run('alarms', '--json')).json()).toMatchObject({ ok: false, alarms: [{ kind: 'model' }] })
  server.node.optimizer.alarms = () => Promise.resolve([])
  expect(await run('alarms')).toMatchObject({ code: 0, out: 'no alarms\n' })
  expect((await run('suggest')).out).toMatch(/^resize +default +100 +- +12 MiB +- +12\.0s$/m)
  expect((await run('suggest', '--name', 'rare')).out).toContain('nothing to suggest yet')
  server.node.optimizer.catchingUp = true
  expect((await run('suggest')).out).toMatch(/^the node still reads its history: .*\n(.*\n)+resize /)
  expect((await run('suggest', '--json')).json()).toMatchObject({ ok: true, catchingUp: true })
})

test('alarms are asked of the leader, who alone knows of the policy, and of others where it cannot be reached', async () => {
  const asked: string[] = []
  const isUp = { leader: true }
  const watched: typeof fetch = async (input, init) => {
    const { host, pathname } = input as URL
    if (pathname === '/v1/alarms') asked.push(host)
    if (host === '127.0.0.1:7400' && !isUp.leader) throw new TypeError('fetch failed')
    return await injected(input, init)
  }
  const follower = 'http://127.0.0.1:9'
  expect((await runWith(watched, 'alarms', '--url', follower)).code).toBe(1)
  expect(asked).toEqual(['127.0.0.1:9', '127.0.0.1:7400'])
  isUp.leader = false
  expect((await runWith(watched, 'alarms', '--url', follower)).out).toContain('model 3 was rejected')
  expect(asked.at(-1)).toBe('127.0.0.1:9')
})

test('alarms that the node which is asked has found in itself alone stand beside those of the leader', async () => {
  const { optimizer } = server.node
  const late = { kind: 'deadline', id: 't-1', message: 'late' } as const
  const broken = { kind: 'policy', message: 'learned threw' } as const
  const unread = { kind: 'model', message: 'model 3 does not decode' } as const
  const watched: typeof fetch = async (input, init) => {
    const isLeader = (input as URL).host === '127.0.0.1:7400'
    optimizer.alarms = () => Promise.resolve(isLeader ? [late, broken] : [late, broken, unread])
    return await injected(input, init)
  }
  const { json } = await runWith(watched, 'alarms', '--json', '--url', 'http://127.0.0.1:9')
  expect(json()['alarms']).toEqual([late, broken, { ...unread, message: 'node 2: model 3 does not decode' }])
})

test('alarms of a node are said to be its own where another that was named has gone meanwhile', async () => {
  const { optimizer } = server.node
  const unread = { kind: 'model', message: 'model 3 does not decode' } as const
  let gone = false
  const watched: typeof fetch = async (input, init) => {
    const { host, pathname } = input as URL
    gone ||= pathname === '/v1/alarms'
    if (gone && host === '127.0.0.1:9') throw new TypeError('fetch failed')
    optimizer.alarms = () => Promise.resolve(host === '127.0.0.1:10' ? [unread] : [])
    const reply = await injected(input, init)
    if (pathname !== '/v1/cluster' || host !== '127.0.0.1:10') return reply
    const view = (await reply.json()) as { node: object }
    return new Response(JSON.stringify({ ...view, node: { ...view.node, id: 3 } }), reply)
  }
  const { json } = await runWith(
    watched,
    'alarms',
    '--json',
    '--url',
    'http://127.0.0.1:9,http://127.0.0.1:10'
  )
  expect(json()['alarms']).toEqual([{ ...unread, message: 'node 3: model 3 does not decode' }])
})

test('the status of models says what is waited for, and what predicts where the one that serves cannot be read', async () => {
  const { optimizer } = server.node
  const status = optimizer.modelStatus()
  const trainer = { state: 'waiting', cpuShare: 0, rows: 12, trainAfter: 256, steps: 0, restarts: 0 }
  optimizer.modelStatus = () => ({ ...status, predictedBy: 'statistics', trainer })
  const { out } = await run('model', 'status')
  expect(out).toMatch(/^predicting +model 2 serves, but cannot be used: statistics predict$/m)
  expect(out).toMatch(/^trainer +waiting for attempts to end: 12 of 256 rows so far$/m)
  optimizer.modelStatus = () => ({ ...status, leading: false, trainer })
  expect((await run('model', 'status')).out).toMatch(/^trainer +not on this node: only the leader trains$/m)
  optimizer.models = () => []
  expect((await run('model', 'history')).out).toMatch(/^there is no model yet: /)
})

test('who submits is told when it is expected to be done, beside the ids that programs read', async () => {
  const one = await run('submit', '--shell', 'x')
  expect([one.out, one.err]).toEqual(['t-1\n', 'finishes in 3.0s (p50), in 9.0s (p90)\n'])
  const json = await run('submit', '--shell', 'x', '--json')
  expect([json.json()['eta'], json.err]).toMatchObject([{ finishAt: { p50At: 1_700_000_003_000 } }, ''])
  server.node.end(taskId(1), { status: 'succeeded' })
  const { out } = await run('list')
  expect(out).toMatch(/FINISHES$/m)
  expect(out).toMatch(/^t-2 .* in 3\.0s \(p50\), in 9\.0s \(p90\)$/m)
  server.node.end(taskId(2), { status: 'succeeded' })
  expect((await run('list')).out).not.toContain('FINISHES')
})

test('without a quorum a command says so, and that it is still trying', async () => {
  vi.useFakeTimers()
  try {
    server.node.optimizer.setPolicy = () => Promise.reject(new AppError('NO_LEADER', 'no leader was known'))
    const slow: typeof fetch = async (input, init) => {
      await new Promise((resolve) => setTimeout(resolve, DEADLINES.changeMs))
      return await injected(input, init)
    }
    const command = { ended: false }
    const call = runWith(slow, 'policy', 'set', 'fifo').finally(() => (command.ended = true))
    // Requests into the server end on their own time, so the clock goes on for as long as it takes.
    while (!command.ended) await vi.advanceTimersByTimeAsync(1_000)
    const { code, err } = await call
    expect(code).toBe(3)
    const notes = err.split('\n').filter((line) => line.includes('trying again'))
    expect(notes).toHaveLength(3)
    expect(notes[0]).toBe('dtss: no leader was known (NO_LEADER); trying again after 5.0s')
    expect(err).toMatch(/^dtss: no leader was known \(NO_LEADER\)\nA node answered, but none leads/m)
  } finally {
    vi.useRealTimers()
  }
})
