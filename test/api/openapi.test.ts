/** The served document is true: every reply that these calls draw fits the schema that it gives for path and status. */
import { expect, test } from 'vitest'
import { Compile } from 'typebox/compile'
import { Type } from 'typebox'
import type { TSchema } from 'typebox'
import { taskId } from '../../base/ids.ts'
import { readRepositoryFile } from '../helpers/documented.ts'
import { fakeServer } from '../helpers/fake-node.ts'

interface Operation {
  readonly operationId: string
  readonly requestBody?: {
    readonly required?: boolean
    readonly content: Readonly<Record<string, { readonly schema: object }>>
  }
  readonly responses: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, { readonly schema: object }>> }>
  >
}
interface Document {
  readonly openapi: string
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components: { readonly schemas: Readonly<Record<string, object>> }
}

const { app, node } = await fakeServer()
const document = (await app.inject({ url: '/openapi.json' })).json<Document>()

test('docs/api.md names every time of a reply that is no integer', () => {
  const fractions = new Set<string>()
  const visit = (schema: object): void => {
    for (const [key, value] of Object.entries(schema)) {
      if (typeof value !== 'object' || value === null) continue
      if (/(Ms|At)$/.test(key) && (value as { type?: unknown }).type === 'number') fractions.add(key)
      visit(value as object)
    }
  }
  visit(document.components.schemas)
  const [, names = ''] =
    /Replies carry integers, but for ([^:]*:.*?) have fractions/s.exec(readRepositoryFile('docs/api.md')) ??
    []
  expect([...names.matchAll(/`(\w+)`/g)].map(([, name]) => name).sort()).toEqual([...fractions].sort())
})

/** A check of values against a schema of the document, whose references are those of its components. */
function checker(schema: object): (value: unknown) => boolean {
  const resolve = (part: unknown): unknown => {
    if (Array.isArray(part)) return part.map(resolve)
    if (typeof part !== 'object' || part === null) return part
    const reference = (part as { $ref?: string }).$ref
    if (reference !== undefined) {
      const target = document.components.schemas[reference.replace('#/components/schemas/', '')]
      if (target === undefined) throw new Error(`the document does not define ${reference}`)
      return resolve(target)
    }
    return Object.fromEntries(Object.entries(part).map(([key, value]) => [key, resolve(value)]))
  }
  const validator = Compile(Type.Unsafe(resolve(schema) as TSchema))
  return (value) => validator.Check(value)
}

test('the document is OpenAPI 3.1 and every operation has an id of its own', () => {
  expect(document.openapi).toBe('3.1.0')
  const ids = Object.values(document.paths).flatMap((path) =>
    Object.values(path).map(({ operationId }) => operationId)
  )
  expect(ids).not.toContain(undefined)
  expect(new Set(ids).size).toBe(ids.length)
})

test('the document names every route of the first cut', () => {
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`)
  )
  expect(operations.sort()).toEqual([
    'DELETE /v1/tasks/{id}',
    'GET /livez',
    'GET /metrics',
    'GET /readyz',
    'GET /tasks/{id}/status',
    'GET /v1/alarms',
    'GET /v1/cluster',
    'GET /v1/groups/{id}',
    'GET /v1/history/export',
    'GET /v1/models',
    'GET /v1/models/calibration',
    'GET /v1/models/status',
    'GET /v1/nodes',
    'GET /v1/nodes/{id}',
    'GET /v1/policy',
    'GET /v1/suggestions',
    'GET /v1/tasks',
    'GET /v1/tasks/{id}',
    'GET /v1/tasks/{id}/logs',
    'GET /v1/tasks/{id}/result',
    'GET /v1/tasks/{id}/status',
    'GET /v1/tasks/{id}/why',
    'POST /tasks/submit',
    'POST /v1/models/rollback',
    'POST /v1/models/{version}/promote',
    'POST /v1/models/{version}/rollback',
    'POST /v1/nodes/{id}/leave',
    'POST /v1/policy/compare',
    'POST /v1/tasks',
    'POST /v1/tasks/{id}/cancel',
    'PUT /v1/models/mode',
    'PUT /v1/policy'
  ])
})

type Call = readonly [
  method: 'GET' | 'POST' | 'PUT' | 'DELETE',
  path: string,
  url: string,
  status: number,
  body?: object
]
const calls: readonly Call[] = [
  [
    'POST',
    '/v1/tasks',
    '/v1/tasks',
    202,
    { name: 'a', command: 'x', env: { A: 'b' }, resources: { cpu: 1 } }
  ],
  [
    'POST',
    '/v1/tasks',
    '/v1/tasks',
    202,
    [
      { name: 'b', handler: 'x', input: [1] },
      { handler: 'x', needs: ['b'] }
    ]
  ],
  ['POST', '/tasks/submit', '/tasks/submit', 202, { command: 'x' }],
  ['POST', '/v1/tasks', '/v1/tasks', 400, { comand: 'x' }],
  ['POST', '/v1/tasks', '/v1/tasks', 422, { executor: 'y' }],
  ['GET', '/v1/tasks/{id}', '/v1/tasks/t-1', 200],
  ['GET', '/v1/tasks/{id}', '/v1/tasks/t-2', 200],
  ['GET', '/v1/tasks/{id}', '/v1/tasks/t-3', 200],
  ['GET', '/v1/tasks/{id}', '/v1/tasks/t-99', 404],
  ['GET', '/v1/tasks/{id}/status', '/v1/tasks/t-2/status', 200],
  ['GET', '/tasks/{id}/status', '/tasks/t-1/status', 200],
  ['GET', '/v1/tasks/{id}/result', '/v1/tasks/t-1/result', 200],
  ['GET', '/v1/tasks/{id}/result', '/v1/tasks/t-3/result', 409],
  ['GET', '/v1/tasks', '/v1/tasks?limit=2', 200],
  ['GET', '/v1/tasks', '/v1/tasks?limit=0', 400],
  ['GET', '/v1/tasks/{id}/logs', '/v1/tasks/t-1/logs', 200],
  ['GET', '/v1/cluster', '/v1/cluster', 200],
  ['GET', '/v1/nodes', '/v1/nodes', 200],
  ['GET', '/v1/nodes/{id}', '/v1/nodes/1', 200],
  ['GET', '/v1/nodes/{id}', '/v1/nodes/7', 404],
  ['POST', '/v1/nodes/{id}/leave', '/v1/nodes/1/leave', 202],
  ['POST', '/v1/nodes/{id}/leave', '/v1/nodes/7/leave', 404],
  ['GET', '/v1/tasks/{id}/why', '/v1/tasks/t-1/why', 200],
  ['GET', '/v1/tasks/{id}/why', '/v1/tasks/t-2/why', 200],
  ['GET', '/v1/tasks/{id}/why', '/v1/tasks/t-99/why', 404],
  ['GET', '/v1/groups/{id}', '/v1/groups/t-2', 200],
  ['GET', '/v1/groups/{id}', '/v1/groups/t-99', 404],
  ['GET', '/v1/policy', '/v1/policy', 200],
  ['PUT', '/v1/policy', '/v1/policy', 200, { name: 'learned' }],
  ['PUT', '/v1/policy', '/v1/policy', 400, { name: 'lerned' }],
  ['POST', '/v1/policy/compare', '/v1/policy/compare', 200, { policies: ['fifo'], tasks: 100 }],
  ['GET', '/v1/models', '/v1/models', 200],
  ['GET', '/v1/models/status', '/v1/models/status', 200],
  ['GET', '/v1/models/calibration', '/v1/models/calibration', 200],
  ['POST', '/v1/models/{version}/promote', '/v1/models/3/promote', 200],
  ['POST', '/v1/models/{version}/promote', '/v1/models/9/promote', 404],
  ['POST', '/v1/models/rollback', '/v1/models/rollback', 200],
  ['POST', '/v1/models/rollback', '/v1/models/rollback', 404],
  ['POST', '/v1/models/{version}/rollback', '/v1/models/2/rollback', 409],
  ['POST', '/v1/models/{version}/promote', '/v1/models/1/promote', 200],
  ['POST', '/v1/models/{version}/rollback', '/v1/models/1/rollback', 200],
  ['PUT', '/v1/models/mode', '/v1/models/mode', 200, { mode: 'frozen' }],
  ['GET', '/v1/alarms', '/v1/alarms', 200],
  ['GET', '/v1/suggestions', '/v1/suggestions', 200],
  ['GET', '/livez', '/livez', 200],
  ['GET', '/readyz', '/readyz', 200],
  ['DELETE', '/v1/tasks/{id}', '/v1/tasks/t-3', 202],
  ['POST', '/v1/tasks/{id}/cancel', '/v1/tasks/t-3/cancel', 409]
]

test('every reply fits the schema that the document gives for it, and no schema is of the anything-goes kind', async () => {
  for (const [method, path, url, status, body] of calls) {
    const reply = await app.inject({ method, url, ...(body === undefined ? {} : { payload: body }) })
    if (url === '/tasks/submit') {
      node.end(taskId(1), { status: 'failed', error: { code: 'X', message: 'y', retryable: false } })
      node.write(taskId(1), 'output')
      node.run(taskId(2))
    }
    expect(reply.statusCode, `${method} ${url}`).toBe(status)
    const { responses } = document.paths[path]![method.toLowerCase()]!
    const type = status < 400 ? 'application/json' : 'application/problem+json'
    const schema = (responses[status] ?? responses[`${String(status)[0] ?? ''}XX`])?.content?.[type]?.schema
    expect(schema, `${method} ${path} ${status}`).toBeDefined()
    const check = checker(schema!)
    expect(check(reply.json()), `${method} ${url}: ${reply.body}`).toBe(true)
    expect(check({ unexpected: true })).toBe(false)
  }
})

test('what the document says of a submission is what the server accepts', async () => {
  const check = checker(
    document.paths['/v1/tasks']!['post']!.requestBody!.content['application/json']!.schema
  )
  const bodies: readonly (readonly [boolean, object])[] = [
    [true, { command: 'x' }],
    [true, [{ handler: 'x', timeouts: { startToCloseMs: '3m' } }]],
    [false, { command: 5 }],
    [false, { command: 'x', comand: 'y' }],
    [false, []],
    [false, { handler: 'x', retry: { maxAttempts: 0 } }]
  ]
  for (const [fits, body] of bodies) {
    const reply = await app.inject({ method: 'POST', url: '/v1/tasks', payload: body })
    expect([check(body), reply.statusCode === 202], JSON.stringify(body)).toEqual([fits, fits])
  }
})

test('a body that may be left out is not said to be required, and all others are', async () => {
  const posts = Object.values(document.paths).flatMap(({ post }) =>
    post?.requestBody === undefined ? [] : [post]
  )
  const optional = posts.filter(({ requestBody }) => requestBody?.required !== true)
  expect(optional.map(({ operationId }) => operationId)).toEqual(['comparePolicies'])
  expect((await app.inject({ method: 'POST', url: '/v1/policy/compare' })).statusCode).toBe(200)
})
