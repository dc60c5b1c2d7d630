import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { LIMITS } from '../../base/limits.ts'
import { incarnation } from '../../base/ids.ts'
import { durationMs } from '../../base/units.ts'
import type { AttemptExit, AttemptStart } from '../../runtime/ports/attempt-host.ts'
import { attempt, json, parsed, whenSaid } from '../helpers/attempts.ts'
import { processesOf, startRealHost } from '../helpers/real-attempts.ts'
import type { RealHost } from '../helpers/real-attempts.ts'

const shell = (token: number, command: string | string[], over: Partial<AttemptStart> = {}): AttemptStart =>
  attempt(token, { executor: 'shell', handler: '', params: json({ command }), ...over })

const MODULES = {
  'basic.mjs': `
    export default (input, ctx) => ({ input, needs: ctx.needs, attempt: ctx.attempt, token: ctx.fencingToken, id: ctx.taskId })
    export const pid = () => process.pid
    export const nothing = () => undefined
    export const big = () => 'x'.repeat(${LIMITS.taskResultBytes})
    export const cyclic = () => { const a = {}; a.a = a; return a }
  `,
  'fails.mjs': `
    export default () => { throw Object.assign(new Error('no such row'), { code: 'ROW_MISSING' }) }
    export const finally_ = () => { throw Object.assign(new Error('never'), { retryable: false }) }
    export const exits = () => process.exit(7)
    export const segfaults = () => process.kill(process.pid, 'SIGSEGV')
    export const uncaught = () => new Promise(() => setImmediate(() => { throw new Error('late') }))
  `,
  'stops.mjs': `
    const aborted = (signal) => new Promise((resolve) => signal.addEventListener('abort', resolve))
    export const obeys = async (input, { signal }) => { console.log('ready'); await aborted(signal); return 1 }
    export const ignores = async () => { console.log('ready'); await new Promise(() => setInterval(() => {}, 1000)) }
    export const blocks = () => { for (;;); }
  `,
  'prints.mjs': `
    export default async (lines, ctx) => {
      for (let i = 0; i < lines; i++) { console.log('line ' + i); if (i % 10 === 0) await null }
      console.error('to stderr'); ctx.log('by log', { a: 1 })
    }
    export const late = () => { setTimeout(() => console.log('too late'), 1) }
  `,
  'spawns.mjs': `
    import { spawn } from 'node:child_process'
    export default () => { spawn('setsid', ['sleep', '1000'], { detached: true }).unref(); return process.pid }
  `,
  'typed.ts': `
    import { double } from './_lib/double.ts'
    interface Input { readonly n: number }
    export const task = { name: 'typed-task', run: (input: Input): number => double(input.n) }
    export const where = (): string => import.meta.url
  `
}

function addLibrary(folder: string): void {
  mkdirSync(join(folder, 'handlers', '_lib'), { recursive: true })
  writeFileSync(
    join(folder, 'handlers', '_lib', 'double.ts'),
    'export const double = (n: number): number => 2 * n'
  )
}

const hosts: RealHost[] = []
const folders: string[] = []
async function start(...args: Parameters<typeof startRealHost>): Promise<RealHost> {
  const host = await startRealHost(...args)
  hosts.push(host)
  return host
}
function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'dtss-test-'))
  folders.push(folder)
  return folder
}
/** Processes started by commands, by how their command lines begin. */
const alive = (host: { folder: string }, word: string): number =>
  processesOf(host.folder).filter(({ command }) => command.startsWith(word)).length
const failure = (exit: AttemptExit): unknown[] => [exit.outcome, exit.error?.code, exit.error?.retryable]

describe('one host', () => {
  let shared: RealHost
  let lastToken = 0
  beforeAll(async () => {
    const folder = newFolder()
    addLibrary(folder)
    shared = await startRealHost(MODULES, { slots: 8 }, folder)
  })
  afterAll(async () => {
    await shared.close()
    expect(processesOf(shared.folder)).toEqual([])
  })
  const next = (): number => ++lastToken
  const js = (handler: string, over: Partial<AttemptStart> = {}): Promise<AttemptExit> =>
    shared.run(attempt(next(), { handler, ...over }))
  const sh = (command: string | string[], over: Partial<AttemptStart> = {}): Promise<AttemptExit> =>
    shared.run(shell(next(), command, over))

  test('a handler gets its input, its dependencies and its token, and returns JSON', async () => {
    const exit = await js('basic', { input: json({ a: 1 }), needs: { left: json([2]) }, attempt: 3 })
    expect(exit.outcome).toBe('succeeded')
    expect(parsed(exit.result)).toEqual({
      input: { a: 1 },
      needs: { left: [2] },
      attempt: 3,
      token: lastToken,
      id: `t-${lastToken}`
    })
    expect(shared.record.started).toContain(lastToken)
    expect(exit.peakMemoryBytes).toBeGreaterThan(1e6)
  })

  test('a handler that returns nothing has no result', async () => {
    expect(await js('basic.nothing')).toMatchObject({ outcome: 'succeeded', result: new Uint8Array(0) })
  })

  test('TypeScript handlers are compiled with what they import, and keep their own name and place', async () => {
    expect(parsed((await js('typed-task', { input: json({ n: 21 }) })).result)).toBe(42)
    expect(parsed((await js('typed.where')).result)).toMatch(/handlers\/typed\.ts$/)
    expect(shared.host.offer.handlers['typed-task']).toMatch(/^[0-9a-f]{32}$/)
  })

  test.each([
    ['fails', 'ROW_MISSING', true],
    ['fails.finally_', 'Error', false],
    ['fails.exits', 'CRASHED', true],
    ['fails.segfaults', 'CRASHED', true],
    ['fails.uncaught', 'CRASHED', true],
    ['basic.big', 'RESULT_TOO_LARGE', false],
    ['basic.cyclic', 'RESULT_INVALID', false],
    ['no-such', 'UNKNOWN_HANDLER', false]
  ])('handler %s fails with %s', async (handler, code, retryable) => {
    expect(failure(await js(handler))).toEqual(['failed', code, retryable])
  })

  test.each([
    [{ command: 5 }, 'INVALID_PARAMS', false],
    [{ command: 'true', workingDirectory: '/no/such/folder' }, 'SPAWN_FAILED', false],
    [{ command: ['/no/such/program'] }, 'SPAWN_FAILED', false],
    [{ command: 'exit 3' }, 'EXIT_CODE', true],
    [{ command: 'kill -9 $$' }, 'SIGNALLED', true],
    [{ command: 'echo no-json > $DTSS_RESULT_FILE' }, 'RESULT_INVALID', false],
    [{ command: 'head -c 100000 /dev/zero > $DTSS_RESULT_FILE' }, 'RESULT_TOO_LARGE', false]
  ])('command %j fails with %s', async (params, code, retryable) => {
    const exit = await sh('', { params: json(params) })
    expect(failure(exit)).toEqual(['failed', code, retryable])
  })

  test('a command is told by environment, files and standard input, and sees nothing else of the node', async () => {
    process.env['SECRET_OF_THE_NODE'] = 'x'
    const exit = await sh(
      'cat; cat $DTSS_NEEDS_FILE; env | cut -d= -f1 | sort | tr "\\n" " "; ls /proc/self/fd | wc -l',
      {
        input: json('in'),
        needs: { left: json(1) }
      }
    )
    delete process.env['SECRET_OF_THE_NODE']
    expect(exit.outcome).toBe('succeeded')
    const said = shared.record.output(lastToken, 'stdout')
    expect(said).toMatch(/^"in"\{"left":1\}/)
    expect(said).toContain('DTSS_ATTEMPT DTSS_FENCING_TOKEN DTSS_INPUT DTSS_INPUT_FILE DTSS_MARK')
    expect(said).not.toContain('SECRET')
    // Standard streams and the folder that `ls` reads.
    expect(said.trimEnd()).toMatch(/ 4$/)
  })

  test('the result is the file, else the last line if it is JSON, else none', async () => {
    expect(parsed((await sh('echo 1; echo "[2]" > $DTSS_RESULT_FILE')).result)).toEqual([2])
    expect(parsed((await sh('echo text; echo "{\\"a\\":3}"')).result)).toEqual({ a: 3 })
    expect((await sh('echo text')).result.length).toBe(0)
  })

  test('output arrives whole and in order', async () => {
    await js('prints', { input: json(5000) })
    const lines = Array.from({ length: 5000 }, (_, index) => `line ${index}\n`).join('')
    expect(shared.record.output(lastToken, 'stdout')).toBe(`${lines}by log { a: 1 }\n`)
    expect(shared.record.output(lastToken, 'stderr')).toBe('to stderr\n')
    await sh('i=0; while [ $i -lt 2000 ]; do echo $i; i=$((i+1)); done; echo $i >&2')
    const numbers = Array.from({ length: 2000 }, (_, index) => `${index}\n`).join('')
    expect(shared.record.output(lastToken, 'stdout')).toBe(numbers)
    expect(shared.record.output(lastToken, 'stderr')).toBe('2000\n')
  })

  test('50 MB of output pass through without being lost', async () => {
    await sh('head -c 50000000 /dev/zero')
    expect(shared.record.output(lastToken, 'stdout').length).toBe(50_000_000)
  })

  test("what a handler writes after its end is nobody's output", async () => {
    await js('prints.late')
    const late = lastToken
    await js('prints', { input: json(50) })
    await sh('true')
    expect(shared.record.output(late)).toBe('')
    expect(shared.record.output(late + 1)).not.toContain('too late')
  })

  test('a request to stop is honoured, or else answered with a kill', async () => {
    for (const handler of ['stops.obeys', 'stops.ignores']) {
      for (const isolation of ['process', 'thread'] as const) {
        const token = next()
        shared.host.begin(attempt(token, { handler, isolation }))
        await whenSaid(shared.record, () => shared.record.output(token) === 'ready\n')
        shared.host.stop(attempt(token).token, 'cancel')
        expect(await shared.exitOf(token)).toMatchObject({ outcome: 'stopped', reason: 'cancel' })
      }
    }
    for (const trap of ["trap 'exit 0' TERM", "trap '' TERM"]) {
      const token = next()
      shared.host.begin(shell(token, `${trap}; echo ready; while true; do sleep 0.01; done`))
      await whenSaid(shared.record, () => shared.record.output(token) === 'ready\n')
      shared.host.stop(attempt(token).token, 'drain')
      const exit = await shared.exitOf(token)
      expect(exit).toMatchObject({ outcome: 'stopped', reason: 'drain' })
      expect(exit.runMs > 200).toBe(trap === "trap '' TERM")
    }
  })

  test.each(['process', 'thread'] as const)(
    'a handler that blocks its %s is killed at its timeout',
    async (isolation) => {
      const blocked = js('stops.blocks', { isolation, startToCloseMs: durationMs(50) })
      const beside = js('basic', { isolation })
      expect(await beside).toMatchObject({ outcome: 'succeeded' })
      expect(await blocked).toMatchObject({
        outcome: 'stopped',
        reason: 'timeout',
        error: { code: 'TIMEOUT' }
      })
    }
  )

  test("nothing of a tree outlives its attempt: double forks, sessions of their own, handlers' children", async () => {
    expect(
      await sh('sleep 1001 & (setsid sleep 1002 &); (setsid sh -c "setsid sleep 1003 & wait" &); sleep 0.1')
    ).toMatchObject({
      outcome: 'succeeded'
    })
    expect(alive(shared, 'sleep 100')).toBe(0)
    expect(await js('spawns')).toMatchObject({ outcome: 'succeeded' })
    expect(alive(shared, 'sleep 1000')).toBe(0)
  })

  test('the rest of a group has its grace although its leader obeyed at once', async () => {
    const token = next()
    const slow = `(trap 'echo tidied; exit' TERM; echo ready; while true; do sleep 0.01; done) & wait`
    shared.host.begin(shell(token, slow, { killGraceMs: durationMs(10_000) }))
    await whenSaid(shared.record, () => shared.record.output(token) === 'ready\n')
    shared.host.stop(attempt(token).token, 'cancel')
    expect((await shared.exitOf(token)).runMs).toBeLessThan(5000)
    expect(shared.record.output(token, 'stdout')).toBe('ready\ntidied\n')
  })

  test('1,000 attempts have one report each and share few processes', async () => {
    const from = lastToken + 1
    for (let count = 0; count < 1000; count++) shared.host.begin(attempt(next(), { handler: 'basic.pid' }))
    await whenSaid(
      shared.record,
      () => shared.record.exits.filter(({ token }) => token >= from).length >= 1000
    )
    const exits = shared.record.exits.filter(({ token }) => token >= from)
    expect(new Set(exits.map(({ token }) => token)).size).toBe(1000)
    expect(exits.length).toBe(1000)
    const pids = new Set(exits.map(({ result }) => parsed(result)))
    expect(pids.size).toBeLessThanOrEqual(8)
  })

  test('an unknown executor is refused', async () => {
    expect(failure(await js('x', { executor: 'wasm' }))).toEqual(['failed', 'UNKNOWN_EXECUTOR', false])
  })
})

describe('leases and deaths', () => {
  afterEach(async () => {
    for (const host of hosts.splice(0)) await host.close()
    for (const folder of folders.splice(0)) {
      expect(processesOf(folder)).toEqual([])
      rmSync(folder, { recursive: true, force: true })
    }
  })

  test('at the end of the lease everything is killed by itself, except what may continue', async () => {
    const real = await start(MODULES)
    const second = incarnation(2)
    const soon = (ms: number): void => {
      real.host.extendLease(
        second,
        (performance.now() + ms) as Parameters<RealHost['host']['extendLease']>[1]
      )
    }
    soon(2000)
    real.host.begin(shell(1, 'exec sleep 1001', { incarnation: second }))
    real.host.begin(attempt(2, { handler: 'stops.ignores', incarnation: second }))
    real.host.begin(shell(3, 'exec sleep 1003', { incarnation: second, onLeaseLoss: 'continue' }))
    real.host.begin(attempt(4, { handler: 'stops.ignores', incarnation: second, onLeaseLoss: 'continue' }))
    const lapsed = { outcome: 'stopped', reason: 'lease', error: { code: 'LEASE_LOST' } }
    expect(await real.exitOf(1)).toMatchObject(lapsed)
    expect(await real.exitOf(2)).toMatchObject(lapsed)
    expect(alive(real, 'sleep 1003')).toBe(1)
    expect(real.record.exits.length).toBe(2)
    expect(await real.run(shell(5, 'true', { incarnation: second }))).toMatchObject({
      outcome: 'not-started',
      reason: 'lease'
    })
    await real.host.endIncarnation(second)
    expect(real.record.exits.filter(({ token }) => token <= 4).length).toBe(4)
    expect(alive(real, 'sleep')).toBe(0)
    expect(await real.run(attempt(6, { handler: 'basic' }))).toMatchObject({ outcome: 'not-started' })
  })

  test('without a lease nothing starts', async () => {
    const real = await start(MODULES)
    const third = incarnation(3)
    for (const [token, executor] of [
      [1, 'js'],
      [2, 'shell']
    ] as const) {
      const exit = await real.run(
        attempt(token, { executor, handler: 'basic', params: json({ command: 'true' }), incarnation: third })
      )
      expect(exit).toMatchObject({ outcome: 'not-started', reason: 'lease' })
    }
    expect(real.record.started).toEqual([])
  })

  test('a stop takes back what waits for a process', async () => {
    const real = await start(MODULES, { slots: 1 })
    real.host.begin(attempt(1, { handler: 'stops.ignores' }))
    await whenSaid(real.record, () => real.record.output(1) === 'ready\n')
    real.host.begin(attempt(2, { handler: 'basic' }))
    real.host.stop(attempt(2).token, 'cancel')
    expect(await real.exitOf(2)).toMatchObject({ outcome: 'not-started', reason: 'cancel' })
    expect(real.record.started).toEqual([1])
  })

  test('when the supervisor is killed, what it ran is killed and reported, and a new one takes over', async () => {
    const real = await start(MODULES)
    real.host.begin(shell(1, '(setsid sleep 1001 &); echo ready; sleep 1001'))
    real.host.begin(attempt(2, { handler: 'stops.ignores' }))
    await whenSaid(real.record, () => real.record.output(1) !== '' && real.record.output(2) !== '')
    const supervisor = real.processes().find(({ command }) => command.includes('supervisor/main'))
    process.kill(supervisor!.pid, 'SIGKILL')
    await whenSaid(real.record, () => real.record.lost.length === 1)
    expect(real.record.exits.map(({ outcome, reason }) => [outcome, reason])).toEqual([
      ['stopped', 'lease'],
      ['stopped', 'lease']
    ])
    expect(alive(real, 'sleep')).toBe(0)
    expect(await real.run(attempt(3, { handler: 'basic' }))).toMatchObject({ outcome: 'not-started' })
    const second = incarnation(2)
    real.host.extendLease(second, 1e9 as Parameters<RealHost['host']['extendLease']>[1])
    expect(await real.run(attempt(4, { handler: 'basic', incarnation: second }))).toMatchObject({
      outcome: 'succeeded'
    })
    expect(await real.run(shell(5, 'true', { incarnation: second }))).toMatchObject({ outcome: 'succeeded' })
  })

  test('when the node is killed, nothing of it survives', async () => {
    const folder = newFolder()
    await startNode(folder).then((node) => node.kill('SIGKILL'))
    await gone(folder)
  })

  test('what a node and its supervisor left behind is killed before the next one starts', async () => {
    const folder = newFolder()
    const node = await startNode(folder)
    const supervisor = processesOf(folder).find(({ command }) => command.includes('supervisor/main'))
    // Stopped, the supervisor cannot notice that its node is gone.
    process.kill(supervisor!.pid, 'SIGSTOP')
    await node.kill('SIGKILL')
    expect(alive({ folder }, 'sleep')).toBe(2)
    const real = await start(MODULES, {}, folder)
    expect(alive({ folder }, 'sleep')).toBe(0)
    expect(processesOf(folder).some(({ pid }) => pid === supervisor!.pid)).toBe(false)
    expect(real.logged.some(({ message }) => message.includes('predecessor'))).toBe(true)
  })

  test('a module that cannot be loaded is named, and the others are offered', async () => {
    const real = await start({ 'good.mjs': 'export default () => 1', 'bad.ts': 'export default (' })
    expect(Object.keys(real.host.offer.handlers)).toEqual(['good'])
    expect(real.logged).toContainEqual({ level: 'error', message: 'a handler module cannot be loaded' })
  })

  test("a handler's hash follows what it imports", async () => {
    const hashes: (string | undefined)[] = []
    for (const library of ['export const n = 1', 'export const n = 1', 'export const n = 2']) {
      const folder = newFolder()
      mkdirSync(join(folder, 'handlers', '_lib'), { recursive: true })
      writeFileSync(join(folder, 'handlers', '_lib', 'n.mjs'), library)
      const modules = { 'a.mjs': 'import { n } from "./_lib/n.mjs"; export default () => n' }
      const real = await start(modules, {}, folder)
      hashes.push(real.host.offer.handlers['a'])
    }
    expect(hashes[0]).toBe(hashes[1])
    expect(hashes[0]).not.toBe(hashes[2])
  })
})

/** A node process of its own with two attempts that would run for long; resolves when both run. */
async function startNode(folder: string): Promise<{ kill(signal: NodeJS.Signals): Promise<void> }> {
  const script = join(folder, 'node.mjs')
  const url = (path: string): string => JSON.stringify(`file://${resolve('dist', path)}`)
  writeFileSync(
    script,
    `
    import { createAttemptHost } from ${url('node/supervisor/attempt-host.js')}
    import { createClock } from ${url('node/system/clock.js')}
    const clock = createClock()
    const none = () => {}
    const host = createAttemptHost({
      dataFolder: process.argv[2], slots: 2, executors: ['shell'], clock,
      log: { debug: none, info: none, warn: none, error: none }
    })
    let left = 2
    await host.start({ onStarted: none, onExit: none, onLost: none, onOutput: () => { if (--left === 0) console.log('ready') } })
    host.extendLease(1, clock.monotonicNow() + 3600000)
    const begin = (token, command) => host.begin({
      taskId: token, token, attempt: 1, incarnation: 1, name: 'x', executor: 'shell', handler: '',
      params: new TextEncoder().encode(JSON.stringify({ command })), input: new Uint8Array(0), needs: {},
      startToCloseMs: 0, killGraceMs: 1000, isolation: 'process', onLeaseLoss: 'kill'
    })
    begin(1, 'echo on; exec sleep 1001')
    begin(2, 'echo on; setsid sleep 1002 & wait')
    `
  )
  const child = spawn(process.execPath, [script, join(folder, 'data')], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  await new Promise((done) => child.stdout.once('data', done))
  const exited = new Promise<void>((done) => {
    child.once('exit', () => {
      done()
    })
  })
  return {
    kill: (signal) => {
      child.kill(signal)
      return exited
    }
  }
}

/** Resolves when no process of the folder is left; the end of other people's processes can only be looked for. */
async function gone(folder: string): Promise<void> {
  while (processesOf(folder).length > 0) await new Promise((done) => setImmediate(done))
}
