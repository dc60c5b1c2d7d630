import { expect, test } from 'vitest'
import { createRng } from '../../../../base/prng.ts'
import { taskId } from '../../../../base/ids.ts'
import { LIMITS } from '../../../../base/limits.ts'
import { timestampMs } from '../../../../base/units.ts'
import { AttemptLogs } from '../../../../runtime/execution/attempt-logs.ts'
import { createSimStores } from '../../../../sim/store.ts'
import type { Store } from '../../../../runtime/ports/store.ts'

const TASK = taskId(7)
const ALL = 10_000_000
const utf8 = new TextEncoder()
const text = new TextDecoder()

async function logs(): Promise<{
  store: Store
  logs: AttemptLogs
  print: (line: string, stream?: 'stdout' | 'stderr', attempt?: number) => void
}> {
  const store = await createSimStores({ rng: createRng(1) }).open('local')
  const made = new AttemptLogs(store)
  const print = (line: string, stream: 'stdout' | 'stderr' = 'stdout', attempt = 1): void => {
    made.append(TASK, attempt, stream, timestampMs(5), utf8.encode(line))
  }
  return { store, logs: made, print }
}

/** Output from a position on, as `attempt@offset stream text`. */
async function read(from: AttemptLogs, attempt = 0, offset = 0, maxBytes = ALL): Promise<string[]> {
  const chunks = await from.read(TASK, { attempt, offset }, maxBytes)
  return chunks.map((chunk) => `${chunk.attempt}@${chunk.offset} ${chunk.stream} ${text.decode(chunk.bytes)}`)
}

async function rows(store: Store): Promise<number> {
  let count = 0
  for await (const [key] of store.iterate({})) count += Math.sign(key.length)
  return count
}

test('output has the byte offset within its attempt, both streams counted together', async () => {
  const { logs: made, print } = await logs()
  print('one ')
  print('two', 'stderr')
  print('three')
  print('again', 'stdout', 2)
  expect(await read(made)).toEqual([
    '1@0 stdout one ',
    '1@4 stderr two',
    '1@7 stdout three',
    '2@0 stdout again'
  ])
})

test('a reader goes on where it stopped, within a chunk as well', async () => {
  const { logs: made, print } = await logs()
  print('one ')
  print('two')
  expect(await read(made, 1, 2)).toEqual(['1@2 stdout e two'])
  expect(await read(made, 1, 7)).toEqual([])
  print('three')
  expect(await read(made, 1, 7)).toEqual(['1@7 stdout three'])
  expect(await read(made, 2)).toEqual([])
})

test('a read ends once it has enough, and never within a chunk', async () => {
  const { logs: made, print } = await logs()
  print('one')
  print('two', 'stderr')
  print('three')
  expect(await read(made, 0, 0, 4)).toEqual(['1@0 stdout one', '1@3 stderr two'])
})

test('neighbours of one stream become one row, up to a bound', async () => {
  const { store, logs: made, print } = await logs()
  for (let i = 0; i < 1_000; i++) print('x')
  await made.flush()
  expect(await rows(store)).toBe(1)
  for (let i = 0; i < 3; i++) print('y'.repeat(40_000))
  await made.flush()
  expect(await rows(store)).toBe(4)
})

test('beyond the limit the oldest output goes, and offsets stay', async () => {
  const { logs: made, print } = await logs()
  const line = 'z'.repeat(64 * 1024)
  const count = Math.ceil(LIMITS.attemptLogBytes / line.length) + 5
  for (let i = 0; i < count; i++) {
    print(line)
    await made.flush()
  }
  const chunks = await made.read(TASK, { attempt: 0, offset: 0 }, ALL)
  const kept = chunks.reduce((sum, { bytes }) => sum + bytes.length, 0)
  const last = chunks.at(-1)
  expect(kept).toBeGreaterThanOrEqual(LIMITS.attemptLogBytes)
  expect(kept).toBeLessThan(LIMITS.attemptLogBytes + 2 * line.length)
  expect((last?.offset ?? 0) + line.length).toBe(count * line.length)
})

test('a forgotten task leaves nothing, and others stay', async () => {
  const { store, logs: made, print } = await logs()
  print('one')
  made.append(taskId(8), 1, 'stdout', timestampMs(5), utf8.encode('other'))
  await made.flush()
  made.forget(TASK)
  await made.flush()
  expect(await read(made)).toEqual([])
  expect(await rows(store)).toBe(1)
})

test('a watcher hears of output and of the end until it goes', async () => {
  const { logs: made, print } = await logs()
  let heard = 0
  const leave = made.watch(TASK, () => {
    heard += 1
  })
  print('one')
  made.append(taskId(8), 1, 'stdout', timestampMs(5), utf8.encode('other'))
  made.ended(TASK, 1)
  expect(heard).toBe(2)
  leave()
  print('two')
  expect(heard).toBe(2)
})

test('output of an attempt that has ended is still read', async () => {
  const { logs: made, print } = await logs()
  print('one')
  made.ended(TASK, 1)
  await made.flush()
  expect(await read(made)).toEqual(['1@0 stdout one'])
})
