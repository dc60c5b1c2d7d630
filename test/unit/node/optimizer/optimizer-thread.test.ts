import { afterEach, expect, test } from 'vitest'
import { OptimizerThread } from '../../../../node/optimizer/optimizer-thread.ts'
import type { FromThread, ReplayRequest } from '../../../../node/optimizer/protocol.ts'
import { NOTHING_UNENDED } from '../../../../optimizer/guard/unended.ts'

const REPLAY: ReplayRequest = {
  type: 'replay',
  count: 1,
  nodes: [],
  unended: NOTHING_UNENDED,
  contenders: []
}
const threads: OptimizerThread[] = []

afterEach(async () => {
  await Promise.all(threads.splice(0).map((thread) => thread.end()))
})

/** A thread that runs this program, and the reason of its failure. */
function start(program: string, hangMs?: number): { thread: OptimizerThread; failed: Promise<string> } {
  let fail: (reason: string) => void = () => undefined
  const failed = new Promise<string>((resolve) => {
    fail = resolve
  })
  const source = `import { parentPort as port } from 'node:worker_threads'\n${program}`
  const thread = new OptimizerThread({
    entry: new URL(`data:text/javascript,${encodeURIComponent(source)}`),
    onFailed: (reason) => {
      fail(reason)
    },
    ...(hangMs === undefined ? {} : { hangMs })
  })
  threads.push(thread)
  return { thread, failed }
}

test('a thread that throws has failed once, and whoever asked is told', async () => {
  const { thread, failed } = start(`port.on('message', () => { throw new TypeError('broken') })`)
  await expect(thread.ask(REPLAY)).rejects.toMatchObject({ code: 'OVERLOADED' })
  expect(await failed).toBe('TypeError: broken')
  await expect(thread.ask(REPLAY)).rejects.toMatchObject({ code: 'OVERLOADED' })
})

test('a thread that exits by itself has failed', async () => {
  const { failed } = start('process.exit(0)')
  expect(await failed).toBe('it exited')
})

test('a thread that hangs is ended, however it hangs', async () => {
  const { thread, failed } = start(`port.on('message', () => { for (;;) {} })`, 50)
  await expect(thread.ask(REPLAY)).rejects.toMatchObject({ code: 'OVERLOADED' })
  expect(await failed).toBe('it hangs')
})

test('a thread that answers pings lives on, and its refusals are errors with their code', async () => {
  const { thread, failed } = start(
    `port.on('message', ({ type, id }) => {
      if (type === 'ping') port.postMessage({ type: 'pong' })
      else port.postMessage({ type: 'refused', id, code: 'INVALID_REQUEST', message: 'too little' })
    })`,
    30_000
  )
  await expect(thread.ask(REPLAY)).rejects.toMatchObject({ code: 'INVALID_REQUEST', message: 'too little' })
  await thread.end()
  expect(await Promise.race([failed, Promise.resolve('alive')])).toBe('alive')
})

test('ending a thread is no failure, and leaves nobody waiting', async () => {
  const { thread, failed } = start(`port.on('message', () => {})`)
  const asked = thread.ask(REPLAY)
  await Promise.all([expect(asked).rejects.toMatchObject({ code: 'OVERLOADED' }), thread.end()])
  expect(await Promise.race([failed, Promise.resolve('ended')])).toBe('ended')
})

test('a thread that waits for its budget is ended at once', async () => {
  const { thread } = start(
    `port.on('message', () => {
      port.postMessage({ type: 'pong' })
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
    })`
  )
  const asked = thread.ask(REPLAY)
  await Promise.all([expect(asked).rejects.toMatchObject({ code: 'OVERLOADED' }), thread.end()])
})

test('what the thread says without being asked is passed on', async () => {
  const message: FromThread = {
    type: 'progress',
    backend: 'wasm',
    steps: 1,
    rows: 2,
    cpuShare: 0.1,
    peakCpuShare: 0.1
  }
  const source = `import { parentPort as port } from 'node:worker_threads'; port.on('message', () => {}); port.postMessage(${JSON.stringify(message)})`
  const heard = new Promise<FromThread>((resolve) => {
    const entry = new URL(`data:text/javascript,${encodeURIComponent(source)}`)
    threads.push(new OptimizerThread({ entry, onMessage: resolve }))
  })
  expect(await heard).toEqual(message)
})
