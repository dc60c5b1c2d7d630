import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import { createRng } from '../../base/prng.ts'
import { createLevelStores } from '../../node/store/level-store.ts'
import type { KeyRange, StoreOperation, StoreProvider, StoreReader } from '../../runtime/ports/store.ts'
import { createSimStores } from '../../sim/store.ts'

const folders: string[] = []
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true })
})

const implementations: readonly [string, () => Promise<StoreProvider>][] = [
  ['simulated', () => Promise.resolve(createSimStores({ rng: createRng(1) }))],
  [
    'level',
    async () => {
      const folder = await mkdtemp(join(tmpdir(), 'dtss-store-'))
      folders.push(folder)
      return createLevelStores(join(folder, 'stores'))
    }
  ]
]

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values)
const put = (key: number, value: number): StoreOperation => ({
  type: 'put',
  key: bytes(key),
  value: bytes(value)
})
const del = (key: number): StoreOperation => ({ type: 'del', key: bytes(key) })

async function read(from: StoreReader, range: KeyRange = {}): Promise<[number, number][]> {
  const rows: [number, number][] = []
  for await (const [key, value] of from.iterate(range)) rows.push([key[0]!, value[0]!])
  return rows
}

describe.each(implementations)('a %s store', (_name, create) => {
  test('returns what was put, and undefined for what was not', async () => {
    const store = await (await create()).open('state')
    await store.batch([put(1, 10), put(2, 20), del(1)], { sync: false })
    expect(await store.get(bytes(1))).toBeUndefined()
    expect([...(await store.get(bytes(2)))!]).toEqual([20])
    await store.close()
  })

  test('keeps its rows over a close, and forgets them when destroyed', async () => {
    const provider = await create()
    const first = await provider.open('state')
    await first.batch([put(1, 10)], { sync: true })
    await first.close()
    const second = await provider.open('state')
    expect(await read(second)).toEqual([[1, 10]])
    await second.close()
    await provider.destroy('state')
    await provider.destroy('state')
    const third = await provider.open('state')
    expect(await read(third)).toEqual([])
    await third.close()
  })

  test('orders keys as unsigned bytes and honours both ends, direction and limit of a range', async () => {
    const store = await (await create()).open('state')
    await store.batch([put(200, 1), put(3, 2), put(127, 3), put(128, 4)], { sync: false })
    expect(await read(store)).toEqual([
      [3, 2],
      [127, 3],
      [128, 4],
      [200, 1]
    ])
    expect(await read(store, { gte: bytes(127), lt: bytes(200) })).toEqual([
      [127, 3],
      [128, 4]
    ])
    expect(await read(store, { reverse: true, limit: 2 })).toEqual([
      [200, 1],
      [128, 4]
    ])
    expect(await read(store, { gte: bytes(9), lt: bytes(3) })).toEqual([])
    await store.close()
  })

  test('iterates the rows of the moment of the call', async () => {
    const store = await (await create()).open('state')
    await store.batch([put(1, 1), put(2, 2)], { sync: false })
    const rows = store.iterate({})
    await store.batch([del(1), put(2, 9), put(3, 3)], { sync: false })
    const seen: number[] = []
    for await (const [, value] of rows) seen.push(value[0]!)
    expect(seen).toEqual([1, 2])
    await store.close()
  })

  test('a snapshot never changes', async () => {
    const store = await (await create()).open('state')
    await store.batch([put(1, 1)], { sync: false })
    const snapshot = store.snapshot()
    await store.batch([put(1, 2), put(2, 2)], { sync: false })
    expect(await read(snapshot)).toEqual([[1, 1]])
    expect([...(await snapshot.get(bytes(1)))!]).toEqual([1])
    expect(await snapshot.get(bytes(2))).toBeUndefined()
    expect(await read(store)).toEqual([
      [1, 2],
      [2, 2]
    ])
    await snapshot.close()
    await store.close()
  })

  test('an iteration that is left early lets the store close', async () => {
    const store = await (await create()).open('state')
    await store.batch([put(1, 1), put(2, 2)], { sync: false })
    for await (const [key] of store.iterate({})) {
      expect([...key]).toEqual([1])
      break
    }
    store.iterate({})
    await store.close()
  })

  test('batches take effect in the order of the calls', async () => {
    const store = await (await create()).open('state')
    const writes: Promise<void>[] = []
    for (let value = 0; value < 50; value++) {
      writes.push(store.batch([put(1, value)], { sync: value % 7 === 0 }))
    }
    await Promise.all(writes)
    expect(await read(store)).toEqual([[1, 49]])
    await store.close()
  })

  test('swap puts one store in the place of another', async () => {
    const provider = await create()
    for (const [name, value] of [
      ['state', 1],
      ['fresh', 2]
    ] as const) {
      const store = await provider.open(name)
      await store.batch([put(value, value)], { sync: false })
      await store.close()
    }
    await provider.swap('state', 'fresh')
    const state = await provider.open('state')
    expect(await read(state)).toEqual([[2, 2]])
    const fresh = await provider.open('fresh')
    expect(await read(fresh)).toEqual([])
    await state.close()
    await fresh.close()
  })

  test('swap may name a place that holds no store yet, but needs a replacement', async () => {
    const provider = await create()
    const fresh = await provider.open('fresh')
    await fresh.batch([put(1, 1)], { sync: false })
    await fresh.close()
    await provider.swap('state', 'fresh')
    const state = await provider.open('state')
    expect(await read(state)).toEqual([[1, 1]])
    await state.close()
    await expect(provider.swap('state', 'fresh')).rejects.toMatchObject({ code: 'STORAGE_FAILED' })
  })

  test('a store is open once, and an open one is neither swapped nor destroyed', async () => {
    const provider = await create()
    const store = await provider.open('state')
    await expect(provider.open('state')).rejects.toMatchObject({ code: 'DATA_FOLDER_LOCKED' })
    await expect(provider.swap('state', 'fresh')).rejects.toThrow('is open')
    await expect(provider.destroy('state')).rejects.toThrow('is open')
    await store.close()
  })

  test('any sequence of batches leaves the rows of a sorted map', async () => {
    const provider = await create()
    const operation = fc.oneof(
      fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 3 }), fc.uint8Array({ maxLength: 4 })),
      fc.uint8Array({ minLength: 1, maxLength: 3 })
    )
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(operation, { maxLength: 20 }), { maxLength: 8 }),
        async (batches) => {
          const store = await provider.open('model')
          const model = new Map<string, Uint8Array>()
          for (const batch of batches) {
            await store.batch(
              batch.map((item): StoreOperation =>
                Array.isArray(item)
                  ? { type: 'put', key: item[0], value: item[1] }
                  : { type: 'del', key: item }
              ),
              { sync: false }
            )
            for (const item of batch) {
              if (Array.isArray(item)) model.set(Buffer.from(item[0]).toString('hex'), item[1])
              else model.delete(Buffer.from(item).toString('hex'))
            }
          }
          const rows: [string, Uint8Array][] = []
          for await (const [key, value] of store.iterate({})) {
            rows.push([Buffer.from(key).toString('hex'), new Uint8Array(value)])
          }
          await store.close()
          await provider.destroy('model')
          // The hexadecimal form of a key orders as its bytes do.
          expect(rows).toEqual([...model].sort(([a], [b]) => (a < b ? -1 : 1)))
        }
      ),
      { numRuns: 25 }
    )
  })
})
