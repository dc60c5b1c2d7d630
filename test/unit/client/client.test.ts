import { expect, test, vi } from 'vitest'
import { taskId } from '../../../base/ids.ts'
import { DEADLINES } from '../../../base/wire/deadlines.ts'
import { DtssError, createClient } from '../../../client/index.ts'
import { accepted, deadUrl, problem, refused, scripted, setUp } from './support.ts'

test('one task and several are submitted, read, listed and cancelled', async () => {
  const { client, node } = await setUp()
  const { id } = await client.submit({ command: 'true', name: 'a' })
  const { ids } = await client.submitMany([
    { handler: 'x', name: 'b' },
    { handler: 'y', needs: ['b'], name: 'c' }
  ])
  expect([id, ids]).toEqual(['t-1', ['t-2', 't-3']])
  expect(await client.status(id)).toMatchObject({ id, status: 'ready' })
  node.end(taskId(2), { status: 'succeeded', result: [1] })
  expect(await client.get('t-2')).toMatchObject({ status: 'succeeded', result: [1] })
  expect(await client.result('t-2')).toEqual({ id: 't-2', status: 'succeeded', result: [1] })
  const names = []
  for await (const task of client.list({ pageSize: 1 })) names.push(task.name)
  expect(names).toEqual(['c', 'b', 'a'])
  expect(await client.cancel(id)).toEqual({ id, status: 'cancelled' })
  expect(await client.cancel(id)).toEqual({ id, status: 'cancelled' })
  expect((await client.cluster()).leader?.id).toBe(1)
  expect((await client.nodes()).map((member) => member.id)).toEqual([1])
})

test('a refusal is an error with its code, status and field', async () => {
  const { client } = await setUp()
  const error = await client.submit({ comand: 'x' } as object).catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(DtssError)
  expect(error).toMatchObject({
    code: 'INVALID_REQUEST',
    status: 400,
    retryable: false,
    details: { field: 'comand', nearest: 'command' }
  })
})

test('a node that is gone is passed over, and the one that answers is asked first from then on', async () => {
  const live = await setUp()
  const seen: string[] = []
  const client = createClient({
    urls: [await deadUrl(), live.url],
    fetch: (input, init) => {
      seen.push((input as URL).origin)
      return fetch(input, init)
    }
  })
  await client.submit({ command: 'true' })
  await client.status('t-1')
  expect(seen.slice(1)).toEqual([live.url, live.url])
  expect(live.node.records.size).toBe(1)
})

test('no node at all is UNREACHABLE', async () => {
  const client = createClient({ urls: [await deadUrl()], retries: 1, baseDelayMs: 1 })
  await expect(client.status('t-1')).rejects.toMatchObject({
    code: 'UNREACHABLE',
    status: 0,
    retryable: true
  })
})

/** What `fetch` of Node throws when nothing listens at any of a name's addresses. */
const noConnection = (code = 'ECONNREFUSED') => {
  const each = (): Error => Object.assign(new Error(`connect ${code}`), { code })
  throw new TypeError('fetch failed', { cause: new AggregateError([each(), each()]) })
}

test('what must not be sent twice goes to the next node when there was no connection, and else to none', async () => {
  const { fake, requests } = scripted(noConnection, noConnection, accepted)
  const urls = ['http://a', 'http://b', 'http://c']
  const client = createClient({ urls, fetch: fake, baseDelayMs: 1 })
  const once = { idempotencyKey: false as const }
  expect(await client.submit({ command: 'true' }, once)).toMatchObject({ id: 't-1' })
  expect(requests.map(({ url }) => new URL(url).host)).toEqual(['a', 'b', 'c'])
  for (const failure of [refused, () => noConnection('ECONNRESET'), problem('NO_LEADER', 503)]) {
    const after = scripted(failure, accepted)
    const other = createClient({ urls, fetch: after.fake, baseDelayMs: 1 })
    await expect(other.submit({ command: 'true' }, once)).rejects.toBeInstanceOf(DtssError)
    expect(after.requests).toHaveLength(1)
  }
})

test('a submission is repeated under one key, so that it takes effect once', async () => {
  const { fake, requests } = scripted(refused, problem('TIMEOUT', 503), accepted)
  const client = createClient({ fetch: fake, baseDelayMs: 1 })
  expect(await client.submit({ command: 'true' })).toEqual({ id: 't-1', replayed: false })
  const keys = requests.map(({ init }) => (init?.headers as Record<string, string>)['idempotency-key'])
  expect(keys).toHaveLength(3)
  expect(keys[0]).toMatch(/^[0-9a-f]{32}$/)
  expect(new Set(keys).size).toBe(1)
})

test('each submission draws a key of its own, and a given one is used', async () => {
  const { client, sent } = await setUp()
  await client.submit({ command: 'true' })
  await client.submit({ command: 'true' })
  await client.submit({ command: 'true' }, { idempotencyKey: 'mine' })
  const again = await client.submit({ command: 'true' }, { idempotencyKey: 'mine' })
  const keys = sent.map(({ headers }) => headers['idempotency-key'])
  expect(keys[0]).not.toBe(keys[1])
  expect(keys.slice(2)).toEqual(['mine', 'mine'])
  expect(again).toEqual({ id: 't-3', replayed: true })
})

test('a submission without a key is sent once', async () => {
  const { fake, requests } = scripted(refused, accepted)
  const client = createClient({ fetch: fake, baseDelayMs: 1 })
  await expect(client.submit({ command: 'true' }, { idempotencyKey: false })).rejects.toMatchObject({
    code: 'UNREACHABLE'
  })
  expect(requests).toHaveLength(1)
  expect(requests[0]?.init?.headers).not.toHaveProperty('idempotency-key')
})

test('a refusal that time does not heal is not repeated', async () => {
  const { fake, requests } = scripted(problem('NOT_TERMINAL', 409))
  await expect(createClient({ fetch: fake }).result('t-1')).rejects.toMatchObject({ code: 'NOT_TERMINAL' })
  expect(requests).toHaveLength(1)
})

test('a busy node is asked again no sooner than it says', async () => {
  vi.useFakeTimers()
  try {
    const { fake, requests } = scripted(problem('OVERLOADED', 503, { 'retry-after': '2' }), accepted)
    const call = createClient({ fetch: fake, baseDelayMs: 1 }).submit({ command: 'true' })
    await vi.advanceTimersByTimeAsync(1_999)
    expect(requests).toHaveLength(1)
    await vi.advanceTimersByTimeAsync(2)
    await call
    expect(requests).toHaveLength(2)
  } finally {
    vi.useRealTimers()
  }
})

test('a busy cluster is given up on after the retries', async () => {
  const { fake, requests } = scripted(problem('NO_LEADER', 503))
  await expect(createClient({ fetch: fake, baseDelayMs: 1, retries: 2 }).status('t-1')).rejects.toMatchObject(
    { code: 'NO_LEADER' }
  )
  expect(requests).toHaveLength(3)
})

/** A node without a leader, which says so when it has waited for one for so long. */
const leaderless =
  (afterMs: number): typeof fetch =>
  (_, init) =>
    new Promise((resolve, reject) => {
      setTimeout(() => {
        resolve(problem('NO_LEADER', 503, { 'retry-after': '1' })())
      }, afterMs)
      init?.signal?.addEventListener('abort', () => {
        reject(init.signal?.reason as Error)
      })
    })

test.each(['changeMs', 'proposalMs', 'readMs'] as const)(
  'a node that waits for a leader as long as it may (%s) is still heard',
  async (limit) => {
    vi.useFakeTimers()
    try {
      const told: [string, number][] = []
      const client = createClient({
        fetch: leaderless(DEADLINES[limit]),
        retries: 1,
        onRetry: ({ code }, triedMs) => told.push([code, triedMs])
      })
      const call = client.setPolicy('fifo').catch((error: unknown) => error)
      await vi.advanceTimersByTimeAsync(2 * DEADLINES[limit] + 2_000)
      expect(await call).toMatchObject({ code: 'NO_LEADER', status: 503 })
      expect(told).toEqual([['NO_LEADER', DEADLINES[limit]]])
    } finally {
      vi.useRealTimers()
    }
  }
)

test('what a node said is told rather than that another is gone, unless something may have reached that one', async () => {
  const gone = () => noConnection()
  const setPolicy = async (...replies: Parameters<typeof scripted>): Promise<unknown> => {
    const { fake } = scripted(...replies)
    const client = createClient({ urls: ['http://a', 'http://b'], fetch: fake, baseDelayMs: 1, retries: 2 })
    return await client.setPolicy('fifo').catch((error: unknown) => error)
  }
  const leader = problem('NO_LEADER', 503)
  expect(await setPolicy(gone, leader, gone)).toMatchObject({ code: 'NO_LEADER' })
  expect(await setPolicy(leader, gone, refused)).toMatchObject({ code: 'UNREACHABLE' })
  expect(await setPolicy(gone, gone, gone)).toMatchObject({ code: 'UNREACHABLE' })
})

test('a reply that is not from DTSS is told apart', async () => {
  const { fake } = scripted(() => new Response('<html>', { status: 404 }))
  await expect(createClient({ fetch: fake }).status('t-1')).rejects.toMatchObject({
    code: 'UNEXPECTED_REPLY',
    status: 404
  })
})

test('a node that does not answer in time is passed over', async () => {
  const silent = (): Promise<Response> => new Promise(() => undefined)
  const { fake, requests } = scripted(silent, accepted)
  const aborting: typeof fetch = (input, init) =>
    Promise.race([
      fake(input, init),
      new Promise<never>((_, reject) =>
        init?.signal?.addEventListener('abort', () => {
          reject(init.signal?.reason as Error)
        })
      )
    ])
  await createClient({ fetch: aborting, timeoutMs: 5, baseDelayMs: 1 }).submit({ command: 'true' })
  expect(requests).toHaveLength(2)
})

test('an aborted call rejects with the reason of its signal, also between retries', async () => {
  const { fake } = scripted(problem('NO_LEADER', 503, { 'retry-after': '60' }))
  const controller = new AbortController()
  const call = createClient({ fetch: fake }).status('t-1', { signal: controller.signal })
  setImmediate(() => {
    controller.abort(new Error('enough'))
  })
  await expect(call).rejects.toThrow('enough')
})

test('a stale read never goes back behind what the client has seen', async () => {
  const { client, sent, node } = await setUp()
  await client.submit({ command: 'true' })
  await client.status('t-1', { consistency: 'stale' })
  expect(sent.at(-1)?.url).toContain(`consistency=stale&index=${node.applied}`)
})

test('waiting ends when the task does', async () => {
  const { client, node } = await setUp()
  await client.submit({ command: 'true' })
  const waiting = client.wait('t-1')
  setImmediate(() => {
    node.end(taskId(1), {
      status: 'failed',
      error: { code: 'EXIT_CODE', message: 'exit 2', retryable: true }
    })
  })
  expect(await waiting).toMatchObject({ status: 'failed', error: { code: 'EXIT_CODE' } })
})

test('waiting gives up after its time', async () => {
  const { client } = await setUp()
  await client.submit({ command: 'true' })
  await expect(client.wait('t-1', { timeoutMs: 5 })).rejects.toMatchObject({ code: 'TIMEOUT' })
})

test('logs are read as bytes, whatever they hold', async () => {
  const { client, node } = await setUp()
  await client.submit({ command: 'x' })
  const written = [Uint8Array.of(0xff, 0x00), new TextEncoder().encode('é\n')]
  for (const bytes of written) node.write(taskId(1), bytes)
  const read = []
  for await (const { bytes } of client.logs('t-1')) read.push(bytes)
  expect(read).toEqual(written)
})

test('followed logs resume at another node where the first one was cut', async () => {
  const first = await setUp()
  const second = await setUp()
  for (const { node, client } of [first, second]) {
    await client.submit({ command: 'x' })
    node.write(taskId(1), 'one\n')
  }
  second.node.write(taskId(1), 'two\n')
  second.node.end(taskId(1), { status: 'succeeded' })
  const text = []
  const client = createClient({ urls: [first.url, second.url], baseDelayMs: 1 })
  const logs = client.logs('t-1', { follow: true })
  for (;;) {
    const { done, value } = await logs.next()
    if (done === true) {
      expect(value).toBe('succeeded')
      break
    }
    text.push(new TextDecoder().decode((value as { bytes: Uint8Array }).bytes))
    if (text.length === 1) await first.app.close()
  }
  expect(text).toEqual(['one\n', 'two\n'])
})

test('following an unknown task fails at once', async () => {
  const { client } = await setUp()
  await expect(client.logs('t-9', { follow: true }).next()).rejects.toMatchObject({ code: 'TASK_NOT_FOUND' })
})

const historyLines = (...ids: readonly string[]): string =>
  ids.map((id) => `${JSON.stringify({ id })}\n`).join('')

test('history is read export after export, and goes on where one was cut', async () => {
  const { fake, requests } = scripted(
    () => new Response(`${historyLines('t-9', 't-8')}{"id":"t-`),
    () => new Response(`${historyLines('t-7')}{"end":true,"tasks":1,"next":"t-7"}\n`),
    () => new Response(`${historyLines('t-6')}{"end":true,"tasks":1}\n`)
  )
  const ids: string[] = []
  for await (const task of createClient({ fetch: fake }).history()) ids.push(task.id)
  expect(ids).toEqual(['t-9', 't-8', 't-7', 't-6'])
  expect(requests.map(({ url }) => new URL(url).searchParams.get('cursor'))).toEqual([null, 't-8', 't-7'])
})

test('history ends at the limit', async () => {
  const { client, node } = await setUp()
  await client.submitMany(['a', 'b', 'c'].map((name) => ({ name, command: 'x' })))
  for (const id of [1, 2, 3]) node.end(taskId(id), { status: 'succeeded' })
  const ids: string[] = []
  for await (const task of client.history({ limit: 2 })) ids.push(task.id)
  expect(ids).toEqual(['t-3', 't-2'])
})
