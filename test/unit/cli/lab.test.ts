import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { taskId } from '../../../base/ids.ts'
import type { CliContext } from '../../../node/cli/context.ts'
import { runCli } from '../../../node/cli/run-cli.ts'
import { fakeServer } from '../../helpers/fake-node.ts'

const folder = mkdtempSync(join(tmpdir(), 'dtss-lab-'))
const server = await fakeServer()
for (let round = 0; round < 6; round++) {
  await server.app.inject({
    method: 'POST',
    url: '/v1/tasks',
    payload: ['a', 'b', 'c', 'd', 'e'].map((name) => ({ name, command: 'x' }))
  })
}
for (let id = 1; id <= 30; id++) server.node.end(taskId(id), { status: 'succeeded' })
afterAll(async () => {
  await server.app.close()
  rmSync(folder, { recursive: true })
})

const injected: typeof fetch = async (input, init) => {
  const { pathname, search } = input as URL
  const reply = await server.app.inject({ method: (init?.method ?? 'GET') as 'GET', url: pathname + search })
  return new Response(reply.rawPayload, { status: reply.statusCode })
}

async function run(...argv: string[]) {
  let out = ''
  let err = ''
  const context: CliContext = {
    stdout: { write: (text) => (out += text) },
    stderr: { write: (text) => (err += text) },
    stdin: (async function* () {
      yield await Promise.resolve('')
    })(),
    env: {},
    signal: new AbortController().signal,
    fetch: injected,
    now: () => 0,
    exitCode: 0
  }
  const code = await runCli(['lab', ...argv], context, '1.2.3')
  const last = out.trimEnd().split('\n').at(-1) ?? ''
  return { code, out, err, json: (): Record<string, unknown> => JSON.parse(last) as Record<string, unknown> }
}

test("a cluster's history is replayed, saved, and replayed from the file to the same result", async () => {
  const file = join(folder, 'history.ndjson')
  const policies = ['--policies', 'fifo-fit,sjf-oracle', '--json']
  const live = await run('--from-cluster', '--save', file, ...policies)
  expect(live.code).toBe(0)
  expect(live.out).toMatch(/^sjf-oracle /m)
  const report = live.json() as {
    ok: boolean
    policies: { policy: string; tasksFinished: number; meanJctS: number }[]
  }
  expect(report.policies.map(({ policy, tasksFinished }) => [policy, tasksFinished])).toEqual([
    ['fifo-fit', 30],
    ['sjf-oracle', 30]
  ])
  // Eight slots, thirty tasks of 20 ms at once: 8 × 20, 8 × 40, 8 × 60 and 6 × 80 ms.
  expect(report.policies[0]?.meanJctS).toBeCloseTo((8 * 20 + 8 * 40 + 8 * 60 + 6 * 80) / 30 / 1000)
  expect(readFileSync(file, 'utf8').trimEnd().split('\n').length).toBe(31)
  const saved = (await run('--from-file', file, ...policies)).json() as typeof report
  expect(saved.policies[0]?.meanJctS).toBe(report.policies[0]?.meanJctS)
})

test('the newest tasks are taken, and a report is written', async () => {
  const html = join(folder, 'report.html')
  const { code, json } = await run(
    '--from-cluster',
    '--limit',
    '10',
    '--policies',
    'fifo-fit',
    '--html',
    html,
    '--json'
  )
  expect(code).toBe(0)
  expect((json()['policies'] as { tasksFinished: number }[])[0]?.tasksFinished).toBe(10)
  const page = readFileSync(html, 'utf8')
  expect(page).toContain('<svg')
  expect(page).not.toMatch(/<(script|link|img)[^>]+(src|href)="http/)
})

test('policies are listed without a cluster', async () => {
  expect((await run('--list')).out).toMatch(/^fifo-fit +/m)
})

test.each([
  [['--policies', 'fifo'], 'expected either --from-cluster or --from-file'],
  [['--from-cluster', '--from-file', 'x'], 'expected either'],
  [['--from-cluster', '--policies', 'lifo'], 'policy: got "lifo"'],
  [['--from-cluster', '--load', '3'], '--load: got "3"'],
  [['--from-cluster', '--limit', '0'], '--limit: got "0"'],
  [['--from-file', join(folder, 'absent')], 'no such file']
])('%j is a usage error', async (argv, message) => {
  const { code, err } = await run(...argv)
  expect([code, err]).toEqual([2, expect.stringContaining(message)])
})

test.each([
  ['{}', 'line 1: got no nodes'],
  ['{"nodes":[{}]}', 'line 1: nodes[0]'],
  ['{"nodes":[]}\n{"id":"t-1"}', 'line 2: group'],
  ['{"nodes":[]}\nx', 'line 2: '],
  ['{"nodes":[]}', 'got 0 tasks']
])('the file %j is refused with its line', async (text, message) => {
  const path = join(folder, 'bad.ndjson')
  writeFileSync(path, text)
  const { code, err } = await run('--from-file', path)
  expect([code, err]).toEqual([2, expect.stringContaining(message)])
})
