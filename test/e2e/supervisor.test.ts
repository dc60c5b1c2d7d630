import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { incarnation } from '../../base/ids.ts'
import { attempt, json, shell, whenSaid } from '../helpers/attempts.ts'
import { commandsOf, processesOf, startRealHost } from '../helpers/real-attempts.ts'
import type { RealHost } from '../helpers/real-attempts.ts'

const MODULES = {
  'basic.mjs': 'export default () => 1',
  'ignores.mjs': `export default async () => { console.log('ready'); await new Promise(() => setInterval(() => {}, 1000)) }`
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
    real.host.extendLease(second, (performance.now() + ms) as Parameters<RealHost['host']['extendLease']>[1])
  }
  soon(2000)
  // The lease goes on until all run, however long that takes here.
  const renewal = setInterval(soon, 200, 2000)
  real.host.begin(shell(1, 'exec sleep 1001', { incarnation: second }))
  real.host.begin(attempt(2, { handler: 'ignores', incarnation: second }))
  real.host.begin(shell(3, 'exec sleep 1003', { incarnation: second, onLeaseLoss: 'continue' }))
  real.host.begin(attempt(4, { handler: 'ignores', incarnation: second, onLeaseLoss: 'continue' }))
  await whenSaid(
    real.record,
    () => real.record.started.length === 4 && [2, 4].every((token) => real.record.output(token) === 'ready\n')
  )
  clearInterval(renewal)
  const lapsed = { outcome: 'stopped', reason: 'lease', error: { code: 'LEASE_LOST' } }
  expect(await real.exitOf(1)).toMatchObject(lapsed)
  expect(await real.exitOf(2)).toMatchObject(lapsed)
  expect(commandsOf(real.folder, 'sleep 1003')).toBe(1)
  expect(real.record.exits.length).toBe(2)
  expect(await real.run(shell(5, 'true', { incarnation: second }))).toMatchObject({
    outcome: 'not-started',
    reason: 'lease'
  })
  await real.host.endIncarnation(second)
  expect(real.record.exits.filter(({ token }) => token <= 4).length).toBe(4)
  expect(commandsOf(real.folder, 'sleep')).toBe(0)
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
  real.host.begin(attempt(1, { handler: 'ignores' }))
  await whenSaid(real.record, () => real.record.output(1) === 'ready\n')
  real.host.begin(attempt(2, { handler: 'basic' }))
  real.host.stop(attempt(2).token, 'cancel')
  expect(await real.exitOf(2)).toMatchObject({ outcome: 'not-started', reason: 'cancel' })
  expect(real.record.started).toEqual([1])
})

test('when the supervisor is killed, what it ran is killed and reported, and a new one takes over', async () => {
  const real = await start(MODULES)
  real.host.begin(shell(1, '(setsid sleep 1001 &); echo ready; sleep 1001'))
  real.host.begin(attempt(2, { handler: 'ignores' }))
  await whenSaid(real.record, () => real.record.output(1) !== '' && real.record.output(2) !== '')
  const supervisor = real.processes().find(({ command }) => command.includes('supervisor/main'))
  process.kill(supervisor!.pid, 'SIGKILL')
  await whenSaid(real.record, () => real.record.lost.length === 1)
  expect(real.record.exits.map(({ outcome, reason }) => [outcome, reason])).toEqual([
    ['stopped', 'lease'],
    ['stopped', 'lease']
  ])
  expect(commandsOf(real.folder, 'sleep')).toBe(0)
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
  const node = await startNode(folder)
  const socket = socketFolder(folder)
  expect(existsSync(socket)).toBe(true)
  await node.kill('SIGKILL')
  await gone(folder)
  expect(existsSync(socket)).toBe(false)
})

test('what a node and its supervisor left behind is killed before the next one starts', async () => {
  const folder = newFolder()
  const node = await startNode(folder)
  const supervisor = processesOf(folder).find(({ command }) => command.includes('supervisor/main'))
  // Stopped, the supervisor cannot notice that its node is gone.
  process.kill(supervisor!.pid, 'SIGSTOP')
  await node.kill('SIGKILL')
  expect(commandsOf(folder, 'sleep')).toBe(2)
  const socket = socketFolder(folder)
  expect(existsSync(socket)).toBe(true)
  const real = await start(MODULES, {}, folder)
  expect([existsSync(socket), existsSync(socketFolder(folder))]).toEqual([false, true])
  expect(commandsOf(folder, 'sleep')).toBe(0)
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

/** The folder of the socket of the node that started last. */
function socketFolder(folder: string): string {
  return dirname(readFileSync(join(folder, 'data', 'attempts', 'socket'), 'utf8'))
}

/** Resolves when no process of the folder is left; the end of other people's processes can only be looked for. */
async function gone(folder: string): Promise<void> {
  while (processesOf(folder).length > 0) await new Promise((done) => setImmediate(done))
}
