import { expect, test, vi } from 'vitest'
import { createClient } from '../../../client/index.ts'
import type { Client } from '../../../client/index.ts'
import { deadUrl, problem, scripted, setUp } from './support.ts'

test('optimizer calls pass over a node that is gone, and what is repeated takes effect once', async () => {
  const live = await setUp()
  const dead = await deadUrl()
  const urls = [dead, live.url, dead]
  const { optimizer } = live.node
  /** Lets the node act and loses its first reply. */
  const losingReplies = (): Client => {
    let lost = false
    return createClient({
      urls: [live.url, dead],
      baseDelayMs: 1,
      fetch: async (input, init) => {
        const response = await fetch(input, init)
        if (init?.method !== 'POST' || lost) return response
        lost = true
        throw new TypeError('fetch failed', { cause: new Error('socket hang up') })
      }
    })
  }
  expect(await createClient({ urls }).promoteModel(3)).toMatchObject({ version: 3, state: 'serving' })
  expect(await losingReplies().promoteModel(1)).toMatchObject({ version: 1, state: 'serving' })
  expect(await losingReplies().rollBackModel()).toMatchObject({ mode: 'auto' })
  expect([optimizer.serving, [...optimizer.rolledBack]]).toEqual([undefined, [1]])
  await createClient({ urls }).promoteModel(2)
  await createClient({ urls }).rollBackModel({ version: 2 })
  expect([...optimizer.rolledBack]).toEqual([1, 2])
  expect(await createClient({ urls }).comparePolicies({ policies: ['fifo'] })).toMatchObject({ tasks: 2000 })
  await expect(createClient({ urls }).rollBackModel()).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' })
  await expect(createClient({ urls }).rollBackModel({ version: 3 })).rejects.toMatchObject({
    code: 'MODEL_STATE_INVALID'
  })
})

test('a comparison is a read: a node that dies over it, or is busy, is passed over', async () => {
  const live = await setUp()
  const asked: string[] = []
  const failing =
    (...failures: (() => Response)[]): typeof fetch =>
    async (input, init) => {
      asked.push((input as URL).origin)
      return failures.shift()?.() ?? (await fetch(input, init))
    }
  const died = (): never => {
    throw new TypeError('fetch failed', { cause: new Error('other side closed') })
  }
  for (const failure of [died, problem('OVERLOADED', 503)]) {
    const client = createClient({ urls: ['http://first', live.url], baseDelayMs: 1, fetch: failing(failure) })
    expect(await client.comparePolicies({ tasks: 50 })).toMatchObject({ tasks: 50 })
  }
  expect(asked).toEqual(['http://first', live.url, 'http://first', live.url])
  expect(live.node.optimizer.comparisons).toHaveLength(2)
})

test('a comparison that no node answers is asked of each once, and of no other when the time has passed', async () => {
  const [a, b] = ['http://a', 'http://b']
  const asked: string[] = []
  const busy: typeof fetch = async (input) => {
    asked.push((input as URL).origin)
    return await Promise.resolve(problem('OVERLOADED', 503)())
  }
  await expect(
    createClient({ urls: [a, b], baseDelayMs: 1, fetch: busy }).comparePolicies()
  ).rejects.toThrow()
  expect(asked).toEqual([a, b])
  vi.useFakeTimers()
  try {
    const silent: typeof fetch = (input, init) => {
      asked.push((input as URL).origin)
      return new Promise((_, reject) => {
        init?.signal?.addEventListener('abort', () => {
          reject(init.signal?.reason as Error)
        })
      })
    }
    const comparison = createClient({ urls: [a, b], fetch: silent }).comparePolicies()
    const refused = expect(comparison).rejects.toThrow('no reply within')
    await vi.advanceTimersByTimeAsync(600_000)
    await refused
  } finally {
    vi.useRealTimers()
  }
  expect(asked).toEqual([a, b, a])
})

test('the optimizer is asked and told', async () => {
  const { client, node } = await setUp()
  const { id } = await client.submit({ command: 'x' })
  expect((await client.policy()).current).toBe('least-loaded')
  expect((await client.setPolicy('learned')).current).toBe('learned')
  await expect(client.setPolicy('none')).rejects.toMatchObject({ code: 'INVALID_REQUEST' })
  expect((await client.comparePolicies({ policies: ['fifo'] })).policies[0]?.policy).toBe('fifo')
  expect((await client.models()).map(({ version }) => version)).toEqual([3, 2, 1])
  expect((await client.modelStatus()).serving?.version).toBe(2)
  expect((await client.modelCalibration()).count).toBe(500)
  expect((await client.promoteModel(3)).state).toBe('serving')
  expect((await client.rollBackModel()).serving).toBeUndefined()
  expect((await client.setModelMode('frozen')).mode).toBe('frozen')
  expect((await client.why(id)).reason).toBe('in-line')
  expect((await client.group(id)).tasks.total).toBe(1)
  expect((await client.alarms()).length).toBe(1)
  expect(await client.suggestions({ name: 'rare' })).toEqual([])
  expect(await client.suggestionList({ name: 'rare' })).toEqual({ suggestions: [] })
  expect(node.optimizer.current).toBe('learned')
})

test('what may not happen twice is sent once', async () => {
  // There is no version to name: what serves by the second time is another.
  const { fake, requests } = scripted(() => Response.json({ mode: 'auto' }), problem('NO_LEADER', 503))
  await expect(createClient({ fetch: fake, baseDelayMs: 1 }).rollBackModel()).rejects.toMatchObject({
    code: 'NO_LEADER'
  })
  expect(requests.length).toBe(2)
})
