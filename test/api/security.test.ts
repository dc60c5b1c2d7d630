import { expect, test } from 'vitest'
import { checkBinding, createHostCheck } from '../../api/hosts.ts'
import { fakeServer } from '../helpers/fake-node.ts'

const { app, node } = await fakeServer({
  host: '127.0.0.1',
  allowedHosts: ['node-1.lan'],
  allowedOrigins: ['http://localhost:5173']
})

async function submitFrom(headers: Record<string, string>): Promise<number> {
  const reply = await app.inject({ method: 'POST', url: '/v1/tasks', headers, payload: { command: 'true' } })
  return reply.statusCode
}

test('a page whose name was rebound to this machine is refused, reads and writes alike', async () => {
  const headers = { host: 'attacker.example:7400', origin: 'http://attacker.example:7400' }
  const before = node.records.size
  expect(await submitFrom(headers)).toBe(403)
  expect(await submitFrom({ host: 'attacker.example:7400' })).toBe(403)
  for (const url of ['/v1/tasks', '/v1/cluster', '/metrics', '/openapi.json', '/nowhere']) {
    const reply = await app.inject({ url, headers })
    expect([reply.statusCode, reply.json<{ code: string }>().code]).toEqual([403, 'HOST_NOT_ALLOWED'])
  }
  expect(node.records.size).toBe(before)
})

test('a page of another origin is refused even when it knows our name', async () => {
  const host = 'localhost:7400'
  for (const origin of [
    'http://attacker.example',
    'null',
    'http://localhost:9999',
    'http://localhost:7400.attacker.example'
  ]) {
    expect(await submitFrom({ host, origin })).toBe(403)
  }
})

test('our own names, configured names and configured origins are accepted', async () => {
  for (const host of ['localhost:7400', '127.0.0.1:7400', '[::1]:7400', 'LOCALHOST', 'node-1.lan:80']) {
    expect(await submitFrom({ host })).toBe(202)
    expect(await submitFrom({ host, origin: `http://${host}` })).toBe(202)
  }
  expect(await submitFrom({ host: 'localhost:7400', origin: 'http://localhost:5173' })).toBe(202)
})

test('no reply allows another origin to read it', async () => {
  const reply = await app.inject({ url: '/v1/tasks', headers: { origin: 'http://localhost:5173' } })
  expect(Object.keys(reply.headers).filter((name) => name.startsWith('access-control'))).toEqual([])
  const preflight = await app.inject({ method: 'OPTIONS', url: '/v1/tasks', headers: { host: 'localhost' } })
  expect(preflight.statusCode).toBe(405)
})

test('hosts that are not of the form name:port are refused', () => {
  const check = createHostCheck({ host: '127.0.0.1' })
  for (const host of [
    undefined,
    '',
    'localhost:x',
    'user@localhost',
    'localhost/x',
    'localhost:80:80',
    '127.0.0.1.attacker.example'
  ]) {
    expect(() => {
      check(host, undefined)
    }, String(host)).toThrow(expect.objectContaining({ code: 'HOST_NOT_ALLOWED' }) as Error)
  }
})

test('an unspecified address accepts any address but no foreign name', () => {
  const check = createHostCheck({ host: '0.0.0.0' })
  check('192.0.2.7:7400', undefined)
  check('[2001:db8::1]:7400', undefined)
  expect(() => {
    check('attacker.example', undefined)
  }).toThrow()
})

test('without authentication only loopback addresses are bound', () => {
  for (const host of ['127.0.0.1', '127.8.8.8', '::1', '[::1]', 'localhost']) checkBinding(host, false)
  for (const host of ['0.0.0.0', '::', '192.0.2.7', 'node-1.lan', '127.attacker.example']) {
    expect(() => {
      checkBinding(host, false)
    }, host).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }) as Error)
    checkBinding(host, true)
  }
})
