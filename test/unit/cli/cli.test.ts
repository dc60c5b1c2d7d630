import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeEach, expect, test } from 'vitest'
import { taskId } from '../../../base/ids.ts'
import { fetchInto, runHere, type CliWorld } from '../../helpers/cli.ts'
import { readRepositoryFile } from '../../helpers/documented.ts'
import { fakeServer } from '../../helpers/fake-node.ts'

const folder = mkdtempSync(join(tmpdir(), 'dtss-cli-'))
let server = await fakeServer()
beforeEach(async () => {
  await server.app.close()
  server = await fakeServer({ heartbeatMs: 5 })
})
afterAll(async () => {
  await server.app.close()
  rmSync(folder, { recursive: true })
})

const injected = fetchInto(() => server.app)

/** Runs one command line and gives what it wrote and its exit code. */
async function run(argv: readonly string[], options: CliWorld = {}) {
  return await runHere(argv, { fetch: injected, now: 1_700_000_065_000, ...options })
}

function file(name: string, content: unknown): string {
  const path = join(folder, name)
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content))
  return path
}

test('help names every command and the exit codes', async () => {
  const { code, out } = await run(['--help'])
  expect(code).toBe(0)
  for (const name of ['start', 'dev', 'submit', 'status', 'result', 'list', 'logs', 'cancel', 'nodes']) {
    expect(out).toMatch(new RegExp(`^ {2}${name}\\b`, 'm'))
  }
  const inOneLine = (text: string): string => text.replaceAll(/\s+/g, ' ')
  const [, codes = ''] = /Exit codes: (0 success; .* or there are alarms; .*)\./.exec(inOneLine(out)) ?? []
  expect(inOneLine(readRepositoryFile('docs/api.md'))).toContain(codes)
  expect(codes).toContain('130 interrupted')
  expect(out).toContain('Exit codes: 0 success')
  expect((await run(['help', 'submit'])).out).toContain('--shell <command>')
  expect((await run(['--version'])).out).toBe('1.2.3\n')
})

test('an unknown command or option is a usage error with the nearest one', async () => {
  expect(await run(['sumbit'])).toMatchObject({ code: 2, err: expect.stringContaining('submit') as string })
  expect(await run(['list', '--stauts', 'x'])).toMatchObject({
    code: 2,
    err: expect.stringContaining('--status') as string
  })
})

test('a command line becomes a task', async () => {
  const argv = [
    'submit',
    '--shell',
    'make',
    '--name',
    'build',
    '--env',
    'A=1=2',
    '--cwd',
    '/tmp',
    '--timeout',
    '10m',
    '--delay',
    '1500',
    '--attempts',
    '5',
    '--priority',
    '-3',
    '--idempotent',
    '--tenant',
    'ci'
  ]
  const { code, out } = await run(argv)
  expect([code, out]).toEqual([0, 't-1\n'])
  const task = server.node.submissions[0]?.tasks[0]
  expect(task).toMatchObject({
    name: 'build',
    startToCloseMs: 600_000,
    notBefore: server.node.now() + 1500,
    priority: -3,
    idempotent: true,
    tenant: 'ci',
    retry: { maxAttempts: 5 }
  })
  expect(JSON.parse(new TextDecoder().decode(task?.params))).toEqual({
    command: 'make',
    env: { A: '1=2' },
    workingDirectory: '/tmp'
  })
})

test('a handler is called with its input', async () => {
  await run(['submit', '--js', 'resize', '--input', '{"width": 3}'])
  const task = server.node.submissions[0]?.tasks[0]
  expect(task?.handler).toBe('resize')
  expect(new TextDecoder().decode(task?.input)).toBe('{"width":3}')
})

test('a file and standard input are submitted whole', async () => {
  const tasks = [
    { name: 'a', command: 'x' },
    { name: 'b', command: 'y', needs: ['a'] }
  ]
  expect((await run(['submit', file('tasks.json', tasks), '--json'])).json()).toMatchObject({
    ok: true,
    ids: ['t-1', 't-2'],
    replayed: false
  })
  expect((await run(['submit', '-'], { stdin: '{"command": "x"}' })).out).toBe('t-3\n')
})

test('a key submits once', async () => {
  await run(['submit', '--shell', 'x', '--key', 'k'])
  expect((await run(['submit', '--shell', 'x', '--key', 'k', '--json'])).json()).toMatchObject({
    ok: true,
    ids: ['t-1'],
    replayed: true
  })
})

test.each([
  ['neither a file nor a task', ['submit']],
  ['both a file and a task', ['submit', 'x.json', '--shell', 'y']],
  ['a shell and a handler', ['submit', '--shell', 'x', '--js', 'y']],
  ['input that is not JSON', ['submit', '--js', 'x', '--input', '{']],
  ['a file that is not there', ['submit', join(folder, 'absent.json')]],
  ['a file that is not JSON', ['submit', file('broken.json', '{"a"')]],
  ['a file that is no task', ['submit', file('number.json', '3')]],
  ['a variable without a value', ['submit', '--shell', 'x', '--env', 'A']],
  ['a priority that is no number', ['submit', '--shell', 'x', '--priority', 'high']],
  ['a URL that is none', ['list', '--url', 'localhost:7400']],
  ['a limit that is no count', ['list', '--limit', '0']]
])('%s is a usage error, in both forms', async (_, argv) => {
  const plain = await run(argv)
  expect([plain.code, plain.out]).toEqual([2, ''])
  expect(plain.err).toMatch(/^dtss: .*(expected|ENOENT|JSON)/)
  expect((await run([...argv, '--json'])).json()).toMatchObject({ ok: false, error: { code: 'USAGE' } })
})

test.each([
  [['model', 'promote'], "missing required argument 'version'"],
  [['policy', 'set'], "missing required argument 'name'"],
  [
    ['policy', 'compare', '--tasks', 'abc'],
    `option '--tasks <count>' argument 'abc' is invalid. got "abc", expected an integer from 20 to 5000`
  ],
  [['policy', 'compare', '--tasks', '0'], `'0' is invalid. got "0", expected an integer from 20 to 5000`],
  [['start', '--timing', 'foo'], `'foo' is invalid. got "foo", expected one of default, lan`],
  [['start', '--log-level', 'loud'], `got "loud", expected one of debug, info, warn, error, silent`],
  [['dev', '--timing', 'foo'], `'foo' is invalid. got "foo", expected one of default, lan`],
  [['nosuch'], "unknown command 'nosuch'"],
  [['list', '--stauts', 'x'], "unknown option '--stauts' (Did you mean --status?)"]
])('the command line %j is refused in both forms', async (argv, message) => {
  const plain = await run(argv)
  expect([plain.code, plain.out]).toEqual([2, ''])
  expect(plain.err).toMatch(/^dtss: .* \(USAGE\)\n$/)
  expect(plain.err).toContain(message)
  const { code, json } = await run([...argv, '--json'])
  expect([code, json()]).toEqual([
    2,
    { ok: false, error: { code: 'USAGE', message: expect.stringContaining(message) as string } }
  ])
})

test('without a command the help is shown, and the exit code is that of misuse', async () => {
  const { code, err } = await run(['policy'])
  expect(code).toBe(2)
  expect(err).toContain('compare [options] [names]')
  expect(err).toMatch(/\ndtss: got no command, expected one; see --help \(USAGE\)\n$/)
})

test('what the cluster refuses is told with its field', async () => {
  const { code, err } = await run(['submit', file('typo.json', { comand: 'x' })])
  expect([code, err]).toEqual([
    2,
    'dtss: comand: unknown property; did you mean command? (INVALID_REQUEST)\n'
  ])
  expect((await run(['status', 't-9', '--json'])).json()).toMatchObject({
    ok: false,
    error: { code: 'TASK_NOT_FOUND' }
  })
  expect((await run(['status', 't-9'])).code).toBe(1)
})

test('a cluster that cannot be reached is exit code 3', async () => {
  const fetchNothing: typeof fetch = () =>
    Promise.reject(new TypeError('fetch failed', { cause: new Error('connect ECONNREFUSED 127.0.0.1:7400') }))
  const { code, err } = await run(['nodes'], { fetch: fetchNothing })
  expect(code).toBe(3)
  expect(err).toBe(
    'dtss: http://127.0.0.1:7400: connect ECONNREFUSED 127.0.0.1:7400 (UNREACHABLE)\nIs a node running there? Set --url or DTSS_URL.\n'
  )
})

test('the environment names the node unless an option does', async () => {
  const asked: string[] = []
  const recording: typeof fetch = (input, init) => {
    asked.push((input as URL).origin)
    return injected(input, init)
  }
  const env = { DTSS_URL: 'http://one:1,http://two:2' }
  await run(['nodes'], { env, fetch: recording })
  await run(['nodes', '--url', 'http://three:3'], { env, fetch: recording })
  expect(asked).toEqual(['http://one:1', 'http://three:3'])
})

test('waiting prints the result and fails when the task does', async () => {
  const succeed: typeof fetch = async (input, init) => {
    const reply = await injected(input, init)
    if (init?.method === 'POST') server.node.end(taskId(1), { status: 'succeeded', result: { n: 1 } })
    return reply
  }
  expect(await run(['submit', '--shell', 'x', '--wait'], { fetch: succeed })).toMatchObject({
    code: 0,
    out: 't-1\n{\n  "n": 1\n}\n',
    err: 'finishes any moment\nt-1 succeeded in 20ms\n'
  })
  const fail: typeof fetch = async (input, init) => {
    const reply = await injected(input, init)
    if (init?.method === 'POST')
      server.node.end(taskId(2), {
        status: 'failed',
        error: { code: 'EXIT_CODE', message: 'exit code 7', retryable: true }
      })
    return reply
  }
  const failed = await run(['submit', '--shell', 'x', '--wait', '--json'], { fetch: fail })
  expect(failed.code).toBe(1)
  expect(failed.json()).toMatchObject({ ok: false, ids: ['t-2'], tasks: [{ id: 't-2', status: 'failed' }] })
})

test('following copies the output, each stream to its own', async () => {
  const write: typeof fetch = async (input, init) => {
    const reply = await injected(input, init)
    if (init?.method === 'POST') {
      server.node.write(taskId(1), 'out\n')
      server.node.write(taskId(1), 'err\n', 'stderr')
      server.node.end(taskId(1), { status: 'succeeded' })
    }
    return reply
  }
  expect(await run(['submit', '--shell', 'x', '--follow'], { fetch: write })).toMatchObject({
    code: 0,
    out: 'out\n',
    err: 't-1\nfinishes any moment\nerr\nt-1 succeeded in 20ms\n'
  })
  expect((await run(['logs', 't-1', '--json'])).json()).toMatchObject({
    ok: true,
    id: 't-1',
    next: '1-8',
    chunks: [
      { stream: 'stdout', text: 'out\n' },
      { stream: 'stderr', text: 'err\n' }
    ]
  })
  expect((await run(['logs', 't-1', '--follow', '--after', '1-4'])).err).toBe('err\n')
})

test('status is aligned and human', async () => {
  await run(['submit', '--shell', 'make all', '--name', 'build'])
  server.node.run(taskId(1))
  expect((await run(['status', 't-1'])).out).toBe(
    [
      'task       t-1  build',
      'status     running',
      'runs       make all',
      'attempts   1 of 3',
      'node       1',
      'submitted  1m 5s ago',
      'started    1m 5s ago',
      'finishes   any moment',
      ''
    ].join('\n')
  )
})

test('the list is a table of at most the limit', async () => {
  for (const name of ['a', 'b', 'long-name']) await run(['submit', '--shell', 'x', '--name', name])
  server.node.end(taskId(3), { status: 'succeeded' })
  expect((await run(['list', '--limit', '2'])).out).toBe(
    [
      'ID   NAME       STATUS     NODE  ATTEMPTS  SUBMITTED  TOOK  FINISHES',
      't-3  long-name  succeeded  1     1         1m 5s ago  20ms  -',
      't-2  b          ready      -     0         1m 5s ago  -     any moment',
      ''
    ].join('\n')
  )
  expect((await run(['list', '--status', 'succeeded', '--json'])).json()).toMatchObject({
    ok: true,
    tasks: [{ id: 't-3' }]
  })
})

test('a result is JSON that can be piped', async () => {
  await run(['submit', '--shell', 'x'])
  expect(await run(['result', 't-1'])).toMatchObject({
    code: 1,
    err: expect.stringContaining('NOT_TERMINAL') as string
  })
  server.node.end(taskId(1), { status: 'succeeded', result: [1] })
  expect(await run(['result', 't-1'])).toMatchObject({ code: 0, out: '[\n  1\n]\n', err: '' })
  expect((await run(['result', 't-1', '--wait', '--json'])).json()).toEqual({
    ok: true,
    id: 't-1',
    status: 'succeeded',
    result: [1]
  })
})

test('cancel and nodes answer in both forms', async () => {
  await run(['submit', '--shell', 'x'])
  expect((await run(['cancel', 't-1'])).out).toBe('t-1  cancelled\n')
  expect((await run(['cancel', 't-1', '--json'])).json()).toEqual({
    ok: true,
    id: 't-1',
    status: 'cancelled'
  })
  const { out } = await run(['nodes'])
  expect(out).toContain('1   leader  active  1/8    a     http://127.0.0.1:7400  0.1.0')
  expect(out).toContain('leader 1, term 3')
  expect((await run(['nodes', '--json'])).json()).toMatchObject({ ok: true, term: 3, nodes: [{ id: 1 }] })
})
