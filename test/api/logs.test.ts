import { beforeEach, expect, test } from 'vitest'
import { listen } from '../../api/server.ts'
import { LIMITS } from '../../base/limits.ts'
import { taskId } from '../../base/ids.ts'
import { fakeServer } from '../helpers/fake-node.ts'

let server = await fakeServer()
const id = taskId(1)
beforeEach(async () => {
  await server.app.close()
  server = await fakeServer({ heartbeatMs: 5 })
  await server.app.inject({ method: 'POST', url: '/v1/tasks', payload: { command: 'x' } })
})

const LOGS = '/v1/tasks/t-1/logs'

test('a page holds the chunks with their positions', async () => {
  server.node.write(id, 'one\n')
  server.node.write(id, 'two\n', 'stderr')
  const reply = await server.app.inject({ url: LOGS })
  expect(reply.json()).toEqual({
    id: 't-1',
    status: 'ready',
    next: '1-8',
    more: false,
    chunks: [
      { attempt: 1, offset: 0, stream: 'stdout', text: 'one\n' },
      { attempt: 1, offset: 4, stream: 'stderr', text: 'two\n' }
    ]
  })
})

test('a page can start within a chunk', async () => {
  server.node.write(id, 'one\n')
  const reply = await server.app.inject({ url: `${LOGS}?after=1-2` })
  expect(reply.json()).toMatchObject({ chunks: [{ offset: 2, text: 'e\n' }], next: '1-4' })
})

test('bytes that are no text are kept as they are', async () => {
  server.node.write(id, Uint8Array.of(0xe2, 0x82))
  const reply = await server.app.inject({ url: LOGS })
  expect(reply.json()).toMatchObject({ chunks: [{ base64: '4oI=' }], next: '1-2' })
})

test('a long output comes in pages that lose nothing', async () => {
  const piece = 'x'.repeat(LIMITS.logPageBytes / 2 + 1)
  for (let index = 0; index < 3; index += 1) server.node.write(id, piece)
  let after = '1-0'
  let total = 0
  for (let more = true; more;) {
    const page = (await server.app.inject({ url: `${LOGS}?after=${after}` })).json<{
      next: string
      more: boolean
      chunks: { text: string }[]
    }>()
    total += page.chunks.reduce((sum, { text }) => sum + text.length, 0)
    after = page.next
    more = page.more
  }
  expect(total).toBe(3 * piece.length)
})

test('plain text is the output itself', async () => {
  server.node.write(id, 'grüße ')
  server.node.write(id, 'and errors\n', 'stderr')
  for (const request of [{ url: `${LOGS}?format=text` }, { url: LOGS, headers: { accept: 'text/plain' } }]) {
    const reply = await server.app.inject(request)
    expect(reply.headers['content-type']).toBe('text/plain; charset=utf-8')
    expect(reply.body).toBe('grüße and errors\n')
  }
})

test('followed events come as the output does, with signs of life between, and end with the task', async () => {
  server.node.write(id, 'early\n')
  const url = await listen(server.app, { host: '127.0.0.1', port: 0 })
  const reply = await fetch(`${url}${LOGS}?follow=true`)
  expect(reply.headers.get('content-type')).toBe('text/event-stream')
  let body = ''
  let alive = false
  const decoder = new TextDecoder()
  for await (const part of reply.body as AsyncIterable<Uint8Array>) {
    body += decoder.decode(part, { stream: true })
    if (alive || !body.includes(': alive\n\n')) continue
    alive = true
    server.node.write(id, 'late\n')
    server.node.end(id, { status: 'succeeded' })
  }
  const events = body.split('\n\n').filter((block) => block !== '' && !block.startsWith(':'))
  expect(events).toEqual([
    'id: 1-6\nevent: chunk\ndata: {"attempt":1,"offset":0,"stream":"stdout","text":"early\\n"}',
    'id: 1-11\nevent: chunk\ndata: {"attempt":1,"offset":6,"stream":"stdout","text":"late\\n"}',
    'event: end\ndata: {"id":"t-1","status":"succeeded"}'
  ])
})

test('a follower resumes after the last event that it saw', async () => {
  server.node.write(id, 'one\n')
  server.node.write(id, 'two\n')
  server.node.end(id, { status: 'failed' })
  const reply = await server.app.inject({ url: `${LOGS}?follow=true`, headers: { 'last-event-id': '1-4' } })
  expect(reply.body).not.toContain('one')
  expect(reply.body).toContain('id: 1-8\nevent: chunk')
})

test('closing the server ends a stream without an end event, so that its reader resumes elsewhere', async () => {
  const url = await listen(server.app, { host: '127.0.0.1', port: 0 })
  const reply = await fetch(`${url}${LOGS}?follow=true`)
  const body = reply.text()
  await server.app.close()
  expect(await body).not.toContain('event: end')
})

test('a malformed position and an unknown task are refused before a stream begins', async () => {
  const reply = await server.app.inject({ url: `${LOGS}?follow=true`, headers: { 'last-event-id': 'x' } })
  expect(reply.json()).toMatchObject({ code: 'INVALID_REQUEST', field: 'last-event-id' })
  const unknown = await server.app.inject({ url: '/v1/tasks/t-9/logs?follow=true' })
  expect(unknown.json()).toMatchObject({ code: 'TASK_NOT_FOUND' })
})
