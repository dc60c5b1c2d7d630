import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { LIMITS } from '../../base/limits.ts'
import { durationMs } from '../../base/units.ts'
import type { AttemptExit, AttemptStart } from '../../runtime/ports/attempt-host.ts'
import { attempt, json, parsed, shell, whenSaid } from '../helpers/attempts.ts'
import { commandsOf, processesOf, startRealHost } from '../helpers/real-attempts.ts'
import type { RealHost } from '../helpers/real-attempts.ts'

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
        export default () => { spawn('sleep', ['1000'], { detached: true }).unref() }
    export const hides = async () => {
      await new Promise((resolve) => spawn('sh', ['-c', '(setsid sleep 1000 &)']).once('exit', resolve))
    }
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

const failure = (exit: AttemptExit): unknown[] => [exit.outcome, exit.error?.code, exit.error?.retryable]

describe('attempts of one host', () => {
  let shared: RealHost
  let lastToken = 0
  beforeAll(async () => {
    const folder = mkdtempSync(join(tmpdir(), 'dtss-test-'))
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
    const graces = { "trap 'exit 0' TERM": durationMs(120_000), "trap '' TERM": durationMs(200) }
    for (const [trap, killGraceMs] of Object.entries(graces)) {
      const token = next()
      shared.host.begin(shell(token, `${trap}; echo ready; while true; do sleep 0.01; done`, { killGraceMs }))
      await whenSaid(shared.record, () => shared.record.output(token) === 'ready\n')
      shared.host.stop(attempt(token).token, 'drain')
      const exit = await shared.exitOf(token)
      expect(exit).toMatchObject({ outcome: 'stopped', reason: 'drain' })
      if (killGraceMs === 200) expect(exit.runMs).toBeGreaterThanOrEqual(200)
      else expect(exit.runMs).toBeLessThan(killGraceMs)
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
    expect(commandsOf(shared.folder, 'sleep')).toBe(0)
    for (const handler of ['spawns', 'spawns.hides']) {
      expect(await js(handler)).toMatchObject({ outcome: 'succeeded' })
      expect(commandsOf(shared.folder, 'sleep')).toBe(0)
    }
  })

  test('the rest of a group has its grace although its leader obeyed at once', async () => {
    const token = next()
    const slow = `(trap 'echo tidied; exit' TERM; echo ready; while true; do sleep 0.01; done) & wait`
    shared.host.begin(shell(token, slow, { killGraceMs: durationMs(120_000) }))
    await whenSaid(shared.record, () => shared.record.output(token) === 'ready\n')
    shared.host.stop(attempt(token).token, 'cancel')
    expect((await shared.exitOf(token)).runMs).toBeLessThan(120_000)
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
