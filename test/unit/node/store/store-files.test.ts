import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createLevelStores } from '../../../../node/store/level-store.ts'
import { folderOperations } from '../../../../node/store/store-files.ts'
import type { FolderOperations } from '../../../../node/store/store-files.ts'

let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dtss-store-'))
})
afterEach(async () => {
  await rm(folder, { recursive: true })
})

const text = (value: string): Uint8Array => new TextEncoder().encode(value)

async function fill(name: string): Promise<void> {
  const store = await createLevelStores(folder).open(name)
  await store.batch([{ type: 'put', key: text('name'), value: text(name) }], { sync: true })
  await store.close()
}

async function nameIn(name: string): Promise<string | undefined> {
  const store = await createLevelStores(folder).open(name)
  const value = await store.get(text('name'))
  await store.close()
  return value === undefined ? undefined : new TextDecoder().decode(value)
}

/** Operations of which the one numbered `at` (from 0), and all after it, never happen. */
function dyingAt(at: number): FolderOperations & { readonly count: () => number } {
  let count = 0
  const step = async (work: () => Promise<void>): Promise<void> => {
    if (count++ >= at) throw new Error('crash')
    await work()
  }
  return {
    rename: (from, to) => step(() => folderOperations.rename(from, to)),
    remove: (path) => step(() => folderOperations.remove(path)),
    sync: (path) => step(() => folderOperations.sync(path)),
    count: () => count
  }
}

async function stepsOf(work: (operations: FolderOperations) => Promise<void>): Promise<number> {
  const operations = dyingAt(Infinity)
  await work(operations)
  return operations.count()
}

const swap = (operations: FolderOperations): Promise<void> =>
  createLevelStores(folder, { operations }).swap('state', 'fresh')
const destroy = (operations: FolderOperations): Promise<void> =>
  createLevelStores(folder, { operations }).destroy('state')

test('a swap cut short at any step is undone or finished when the store opens', async () => {
  await fill('state')
  await fill('fresh')
  const steps = await stepsOf(swap)
  expect(steps).toBeGreaterThanOrEqual(6)
  const outcomes: (string | undefined)[] = []
  for (let at = 0; at < steps; at++) {
    await createLevelStores(folder).destroy('state')
    await createLevelStores(folder).destroy('fresh')
    await fill('state')
    await fill('fresh')
    await expect(swap(dyingAt(at))).rejects.toMatchObject({ code: 'STORAGE_FAILED' })
    const state = await nameIn('state')
    const before = (await readdir(folder)).includes('fresh')
    // Either all of the swap happened or none of it.
    expect(state).toBe(before ? 'state' : 'fresh')
    expect((await readdir(folder)).filter((name) => name.includes('.'))).toEqual([])
    outcomes.push(state)
  }
  expect(new Set(outcomes)).toEqual(new Set(['state', 'fresh']))
})

test('a swap that was cut short can be asked for again', async () => {
  for (let at = 0; at < 8; at++) {
    await createLevelStores(folder).destroy('state')
    await fill('state')
    await fill('fresh')
    await swap(dyingAt(at)).catch(() => undefined)
    if ((await readdir(folder)).includes('fresh')) await createLevelStores(folder).swap('state', 'fresh')
    expect(await nameIn('state')).toBe('fresh')
  }
})

test('a deletion cut short at any step leaves the store whole or gone', async () => {
  await fill('state')
  const steps = await stepsOf(destroy)
  const outcomes: (string | undefined)[] = []
  for (let at = 0; at < steps; at++) {
    await fill('state')
    await expect(destroy(dyingAt(at))).rejects.toMatchObject({ code: 'STORAGE_FAILED' })
    outcomes.push(await nameIn('state'))
    expect(await readdir(folder)).toEqual(['state'])
  }
  expect(new Set(outcomes)).toEqual(new Set(['state', undefined]))
})

test('a folder that another owner has open is refused as locked', async () => {
  const store = await createLevelStores(folder).open('state')
  await expect(createLevelStores(folder).open('state')).rejects.toMatchObject({ code: 'DATA_FOLDER_LOCKED' })
  await store.close()
})

test('a damaged store is refused as corrupt', async () => {
  await fill('state')
  await writeFile(join(folder, 'state', 'CURRENT'), 'nonsense')
  await expect(createLevelStores(folder).open('state')).rejects.toMatchObject({ code: 'STATE_CORRUPT' })
})

test('a store name is a plain folder name', async () => {
  for (const name of ['../state', 'state.old', '', 'State', 'a/b']) {
    await expect(createLevelStores(folder).open(name)).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
  }
})
