import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { taskId } from '../../../base/ids.ts'
import { runLab } from '../../../node/cli/lab/run-lab.ts'
import { BASELINES } from '../../../optimizer/lab/catalog.ts'
import type { Trace } from '../../../optimizer/lab/trace.ts'
import { fetchInto, runHere } from '../../helpers/cli.ts'
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

const injected = fetchInto(() => server.app)

async function run(...argv: string[]) {
  return await runHere(['lab', ...argv], { fetch: injected })
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

test('a byte order mark before a history is no part of it', async () => {
  const file = join(folder, 'marked.ndjson')
  await run('--from-cluster', '--save', file, '--policies', 'fifo-fit')
  writeFileSync(file, `\ufeff${readFileSync(file, 'utf8')}`)
  expect((await run('--from-file', file, '--policies', 'fifo-fit')).code).toBe(0)
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
  [['--from-cluster', '--seeds', '0'], '--seeds: got "0", expected a whole number from 1 to 10000 (USAGE)'],
  [
    ['--from-cluster', '--policies', 'fifo,'],
    '--policies: got "fifo,", expected names separated by commas (USAGE)'
  ],
  [['--from-cluster', '--html', '/nowhere/x'], '--html: got "/nowhere/x" (ENOENT'],
  [['--from-cluster', '--save', '/nowhere/x'], '--save: got "/nowhere/x" (ENOENT'],
  [['--from-cluster', '--svg', '/dev/null/x'], '--svg: got "/dev/null/x" (ENOTDIR'],
  [['--from-file', join(folder, 'absent')], 'no such file']
])('%j is a usage error', async (argv, message) => {
  const { code, err } = await run(...argv)
  expect([code, err]).toEqual([2, expect.stringContaining(message)])
})

test.each(['html', 'svg', 'save'])(
  '--%s that cannot be written to is found before anything is replayed, and told as an object',
  async (option) => {
    const { code, out } = await run('--from-cluster', `--${option}`, '/dev/null/x', '--json')
    expect(code).toBe(2)
    expect(
      out
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as unknown)
    ).toMatchObject([{ ok: false, error: { code: 'INVALID_REQUEST', option, got: '/dev/null/x' } }])
  }
)

test('a trace without a task is refused, whatever made it', async () => {
  const trace: Trace = {
    name: 'nothing',
    family: 'independent',
    slowdownBoundMs: 1,
    defaultLoad: undefined,
    loadIsUsed: true,
    defaultSeeds: 1,
    instances: () => []
  }
  const options = {
    policies: ['fifo-fit'],
    load: undefined,
    seeds: 1,
    html: undefined,
    svg: undefined,
    tasks: undefined,
    asked: {},
    traceSha256: undefined
  }
  const world = {
    among: BASELINES,
    calibrate: () => [],
    print: () => undefined,
    printJson: undefined,
    note: () => undefined,
    isTerminal: false
  }
  await expect(runLab(trace, options, world)).rejects.toMatchObject({
    code: 'INVALID_REQUEST',
    message: 'nothing: got no task to run, expected at least one'
  })
})

test('a history with a time that no task took, or with tasks that wait for each other, is refused with its line', async () => {
  const path = join(folder, 'history.ndjson')
  await run('--from-cluster', '--save', path, '--policies', 'fifo-fit')
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n')
  const changed = async (change: (task: Record<string, unknown>, index: number) => void) => {
    const tasks = lines.slice(1).map((line) => JSON.parse(line) as Record<string, unknown>)
    tasks.forEach(change)
    const text = [lines[0], '', ...tasks.map((task) => JSON.stringify(task))].join('\n')
    const bad = join(folder, 'changed.ndjson')
    writeFileSync(bad, text)
    return (await run('--from-file', bad, '--policies', 'fifo-fit')).err
  }
  const second = (field: string, value: unknown) => (task: Record<string, unknown>, index: number) => {
    if (index === 1) task[field] = value
  }
  // The blank line counts.
  expect(await changed(second('runMs', 1e300))).toContain(
    'line 4: runMs: got 1e+300, expected up to 100 years'
  )
  expect(await changed(second('finishedAt', 1e15))).toContain('line 4: finishedAt: got 1000000000000000')
  expect(await changed(second('runMs', -5))).toContain(
    'line 4: runMs: got -5, expected milliseconds ≥ 0 that the last attempt ran; 0 when none did'
  )
  expect(await changed(second('needs', ['t-29']))).toContain('line 4: needs: got the cycle t-29 → t-29')
  expect(await changed(second('id', 't-30'))).toContain('line 4: id: got t-30 again, expected each task once')
  expect(await changed(() => undefined)).not.toContain('line')
})

test.each([
  ['', 'line 1: got nothing, expected {"nodes": [...]}'],
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
