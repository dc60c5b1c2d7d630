import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createRng } from '../../../base/prng.ts'
import type { Store } from '../../../runtime/ports/store.ts'
import { createSimStores } from '../../../sim/store.ts'

const key = (value: number): Uint8Array => Uint8Array.from([value])

async function keys(store: Store): Promise<number[]> {
  const found: number[] = []
  for await (const [name] of store.iterate({})) found.push(name[0]!)
  return found
}

const write = (store: Store, value: number, sync: boolean): Promise<void> =>
  store.batch([{ type: 'put', key: key(value), value: key(value) }], { sync })

test('a power cut keeps every batch up to the last sync and a prefix of the rest', async () => {
  const lengths = new Set<number>()
  await fc.assert(
    fc.asyncProperty(
      // One sync in four: with as many as not, one run of this test in some thirty would not see four lengths.
      fc.array(
        fc.nat(3).map((one) => one === 0),
        { minLength: 1, maxLength: 30 }
      ),
      fc.integer(),
      async (syncs, seed) => {
        const stores = createSimStores({ rng: createRng(seed) })
        const store = await stores.open('state')
        for (const [index, sync] of syncs.entries()) await write(store, index, sync)
        stores.crash()
        const found = await keys(await stores.open('state'))
        expect(found).toEqual(found.map((_, index) => index))
        expect(found.length).toBeGreaterThan(syncs.lastIndexOf(true))
        lengths.add(syncs.length - found.length)
      }
    )
  )
  // The fault must really happen: some runs lose nothing, some lose several batches.
  expect(lengths.size).toBeGreaterThan(3)
})

test('the death of the process alone loses no finished batch', async () => {
  const stores = createSimStores({ rng: createRng(3) })
  const store = await stores.open('state')
  for (let value = 0; value < 20; value++) await write(store, value, false)
  stores.crash({ power: false })
  expect(await keys(await stores.open('state'))).toHaveLength(20)
})

test('what survived one power cut survives the next', async () => {
  const stores = createSimStores({ rng: createRng(5) })
  const store = await stores.open('state')
  for (let value = 0; value < 20; value++) await write(store, value, false)
  stores.crash()
  const second = await stores.open('state')
  const found = await keys(second)
  stores.crash()
  expect(await keys(await stores.open('state'))).toEqual(found)
})

test('a batch in progress at a crash never settles and is whole or absent', async () => {
  const outcomes = new Set<number>()
  for (let seed = 0; seed < 40; seed++) {
    const queue: (() => void)[] = []
    const stores = createSimStores({ rng: createRng(seed), schedule: (_, run) => queue.push(run) })
    const drain = async (): Promise<void> => {
      for (let round = 0; round < 20; round++) {
        queue.splice(0).forEach((run) => {
          run()
        })
        await new Promise(setImmediate)
      }
    }
    const opening = stores.open('state')
    await drain()
    const store = await opening
    let settled = false
    void store
      .batch(
        [1, 2, 3].map((value) => ({ type: 'put', key: key(value), value: key(value) })),
        { sync: true }
      )
      .finally(() => {
        settled = true
      })
    stores.crash()
    await drain()
    expect(settled).toBe(false)
    const reopened = stores.open('state')
    await drain()
    const reading = keys(await reopened)
    await drain()
    outcomes.add((await reading).length)
  }
  expect([...outcomes].sort()).toEqual([0, 3])
})

test('a swap survives a power cut with the rows of the store that moved', async () => {
  const stores = createSimStores({ rng: createRng(9) })
  const fresh = await stores.open('fresh')
  for (let value = 0; value < 20; value++) await write(fresh, value, false)
  await fresh.close()
  await stores.swap('state', 'fresh')
  stores.crash()
  expect(await keys(await stores.open('state'))).toHaveLength(20)
})
