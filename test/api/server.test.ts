import { connect } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { listen } from '../../api/server.ts'
import { AppError } from '../../base/errors.ts'
import { fakeServer } from '../helpers/fake-node.ts'

let server = await fakeServer()
afterEach(async () => {
  await server.app.close()
  server = await fakeServer()
})

test('an unknown path is 404, a wrong method 405 with Allow', async () => {
  const unknown = await server.app.inject({ url: '/v2/tasks' })
  expect([unknown.statusCode, unknown.json<{ code: string }>().code]).toEqual([404, 'NOT_FOUND'])
  const wrong = await server.app.inject({ method: 'PUT', url: '/v1/tasks/t-1?x=1', payload: {} })
  expect([wrong.statusCode, wrong.json<{ code: string }>().code]).toEqual([405, 'METHOD_NOT_ALLOWED'])
  expect(wrong.headers.allow).toBe('DELETE, GET, HEAD')
})

test('a path that cannot be decoded is a problem', async () => {
  const reply = await server.app.inject({ url: '/v1/tasks/%zz' })
  expect([reply.statusCode, reply.json<{ code: string }>().code]).toEqual([400, 'INVALID_REQUEST'])
})

test('what nobody foresaw is INTERNAL: logged under the id that the reply names, and not told', async () => {
  server.node.failNext = new Error('secret at /home/somebody')
  const reply = await server.app.inject({ method: 'POST', url: '/v1/tasks', payload: { command: 'x' } })
  const { code, instance } = reply.json<{ code: string; instance: string }>()
  expect([reply.statusCode, code]).toEqual([500, 'INTERNAL'])
  expect(reply.body).not.toMatch(/secret|somebody|\bat \b.*\.ts/)
  expect(server.logged).toMatchObject([
    { requestId: instance.split(':').at(-1), error: { message: 'secret at /home/somebody' } }
  ])
})

test('an overloaded node says when to come back', async () => {
  server.node.failNext = new AppError('OVERLOADED', 'too much', { details: { retryAfterMs: 2500 } })
  const reply = await server.app.inject({ method: 'POST', url: '/v1/tasks', payload: { command: 'x' } })
  expect([reply.statusCode, reply.headers['retry-after']]).toEqual([503, '3'])
  expect(reply.json()).toMatchObject({ code: 'OVERLOADED', retryable: true })
})

test('health, readiness and metrics answer', async () => {
  expect((await server.app.inject({ url: '/livez' })).json()).toEqual({ ok: true, checks: [] })
  expect((await server.app.inject({ url: '/readyz' })).statusCode).toBe(200)
  server.node.healthy = false
  const unready = await server.app.inject({ url: '/readyz' })
  expect(unready.statusCode).toBe(503)
  expect(unready.json()).toEqual({ ok: false, checks: [{ name: 'leader', ok: false, detail: 'node 1' }] })
  const metrics = await server.app.inject({ url: '/metrics' })
  expect(metrics.headers['content-type']).toContain('text/plain')
  expect(metrics.body).toBe('dtss_applied_index 7\n')
})

test('the cluster, its nodes and one of them are shown', async () => {
  expect((await server.app.inject({ url: '/v1/cluster' })).json()).toEqual(server.node.cluster())
  expect((await server.app.inject({ url: '/v1/nodes' })).json()).toEqual({ nodes: server.node.nodes() })
  expect((await server.app.inject({ url: '/v1/nodes/1' })).json()).toEqual(server.node.nodes()[0])
  expect((await server.app.inject({ url: '/v1/nodes/9' })).json()).toMatchObject({ code: 'NODE_NOT_FOUND' })
})

test('a node is told to leave once, by its number; an unknown one is refused', async () => {
  const reply = await server.app.inject({ method: 'POST', url: '/v1/nodes/1/leave' })
  expect([reply.statusCode, reply.json<{ id: number }>().id]).toEqual([202, 1])
  const unknown = await server.app.inject({ method: 'POST', url: '/v1/nodes/9/leave' })
  expect([unknown.statusCode, unknown.json<{ code: string }>().code]).toEqual([404, 'NODE_NOT_FOUND'])
  expect(server.node.left).toEqual([1])
})

test('a body of 10 MB is refused with 413 over a real connection, which stays usable', async () => {
  const url = await listen(server.app, { host: '127.0.0.1', port: 0 })
  for (let round = 0; round < 3; round += 1) {
    const reply = await fetch(`${url}/v1/tasks`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ command: 'x'.repeat(10_000_000) })
    })
    expect([reply.status, ((await reply.json()) as { code: string }).code]).toEqual([413, 'BODY_TOO_LARGE'])
  }
  const accepted = await fetch(`${url}/v1/tasks`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ command: 'true' })
  })
  expect(accepted.status).toBe(202)
})

test('the connection of a body that is too large is not cut under its sender', async () => {
  const headers = { 'content-type': 'application/json' }
  const payload = 'x'.repeat(9_000_000)
  const reply = await server.app.inject({ method: 'POST', url: '/v1/tasks', headers, payload })
  expect(reply.statusCode).toBe(413)
  expect(reply.headers.connection).not.toBe('close')
})

test('a port in use is a coded error', async () => {
  const url = await listen(server.app, { host: '127.0.0.1', port: 0 })
  const other = await fakeServer()
  await expect(
    listen(other.app, { host: '127.0.0.1', port: Number(new URL(url).port) })
  ).rejects.toMatchObject({ code: 'PORT_IN_USE' })
  await other.app.close()
})

test('an address that others reach is not bound', async () => {
  await expect(listen(server.app, { host: '0.0.0.0', port: 0 })).rejects.toMatchObject({
    code: 'CONFIG_INVALID'
  })
})

test('what is not HTTP is answered with a problem too', async () => {
  const url = new URL(await listen(server.app, { host: '127.0.0.1', port: 0 }))
  const socket = connect(Number(url.port), url.hostname)
  socket.end('HELLO\r\n\r\n')
  let reply = ''
  for await (const part of socket.setEncoding('utf8') as AsyncIterable<string>) reply += part
  expect(reply).toMatch(/^HTTP\/1.1 400 Bad Request\r\ncontent-type: application\/problem\+json/)
  expect(JSON.parse(reply.split('\r\n\r\n')[1] ?? '')).toMatchObject({
    code: 'INVALID_REQUEST',
    retryable: false
  })
})
