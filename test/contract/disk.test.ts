/** One suite for every disk: in memory, through libuv's pool, through a thread; and the log over each of them. */
import { mkdtemp, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { AppError } from '../../base/errors.ts'
import { createRng } from '../../base/prng.ts'
import { createDisk } from '../../node/disk/disk.ts'
import { storageError } from '../../node/disk/storage-error.ts'
import type { Disk } from '../../runtime/ports/disk.ts'
import { createSimDisk } from '../../sim/disk.ts'
import {
  SEGMENT_BYTES,
  IDENTITY,
  appended,
  baseAt,
  entries,
  hardState,
  open,
  plain,
  refusal
} from '../unit/runtime/wal/fixture.ts'

const KINDS: readonly ['simulated' | 'pool' | 'thread'][] = [['simulated'], ['pool'], ['thread']]
const cleanups: (() => Promise<void>)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'dtss-disk-'))
  cleanups.push(() => rm(folder, { recursive: true }))
  return folder
}

async function diskOf(kind: 'simulated' | 'pool' | 'thread'): Promise<{ disk: Disk; folder: string }> {
  if (kind === 'simulated')
    return { disk: createSimDisk({ rng: createRng(5) }).disk(), folder: 'some/folder' }
  const folder = await temporaryFolder()
  const disk = createDisk({ writes: kind })
  cleanups.push(() => disk.close())
  return { disk, folder: `${folder}/some/folder` }
}

describe.each(KINDS)('%s disk', (kind) => {
  test('a folder that does not exist has no files, and one that exists may be made again', async () => {
    const { disk, folder } = await diskOf(kind)
    expect(await disk.list(folder)).toEqual([])
    await disk.makeFolder(folder)
    await disk.makeFolder(folder)
    expect(await disk.list(folder)).toEqual([])
  })

  test('a new file holds zeros of the size asked for, and can be written in place', async () => {
    const { disk, folder } = await diskOf(kind)
    await disk.makeFolder(folder)
    const sizeBytes = 3 * 1024 * 1024 + 4096
    const file = await disk.create(`${folder}/b`, sizeBytes)
    expect(file.sizeBytes).toBe(sizeBytes)
    const bytes = disk.allocateBuffer(8192).fill(7)
    await file.write(4096, bytes.subarray(0, 4096))
    await file.write(sizeBytes - 3, Uint8Array.of(1, 2, 3))
    const read = await disk.read(`${folder}/b`)
    const expected = new Uint8Array(sizeBytes).fill(7, 4096, 8192)
    expected.set([1, 2, 3], sizeBytes - 3)
    expect(Buffer.compare(read, expected)).toBe(0)
    await file.close()
    const again = await disk.open(`${folder}/b`)
    expect(again.sizeBytes).toBe(sizeBytes)
    await again.write(0, Uint8Array.of(9))
    expect((await disk.read(`${folder}/b`)).subarray(0, 2)).toEqual(Uint8Array.of(9, 0))
    await again.close()
  })

  test('names are listed in order, renamed over each other, and removed; an open file stays writable', async () => {
    const { disk, folder } = await diskOf(kind)
    await disk.makeFolder(folder)
    const file = await disk.create(`${folder}/b.new`, 512)
    for (const name of ['c', 'a', 'b']) await (await disk.create(`${folder}/${name}`, 512)).close()
    await disk.rename(`${folder}/b.new`, `${folder}/b`)
    await disk.remove(`${folder}/c`)
    await disk.syncFolder(folder)
    await file.write(0, Uint8Array.of(5))
    expect(await disk.list(folder)).toEqual(['a', 'b'])
    expect((await disk.read(`${folder}/b`))[0]).toBe(5)
    await file.close()
  })

  test('what cannot be done is STORAGE_FAILED with the path', async () => {
    const { disk, folder } = await diskOf(kind)
    await disk.makeFolder(folder)
    await (await disk.create(`${folder}/a`, 512)).close()
    // One after the other: a rejection that nobody waits for yet would count as unhandled.
    const attempts = [
      () => disk.create(`${folder}/a`, 512),
      () => disk.read(`${folder}/none`),
      () => disk.open(`${folder}/none`),
      () => disk.remove(`${folder}/none`),
      () => disk.rename(`${folder}/none`, `${folder}/b`)
    ]
    for (const attempt of attempts) {
      const error = await refusal(attempt())
      expect(error.code).toBe('STORAGE_FAILED')
      expect(error.message).toContain(folder)
    }
    expect(await disk.list(folder)).toEqual(['a'])
  })

  test('files are written at the same time without mixing', async () => {
    const { disk, folder } = await diskOf(kind)
    await disk.makeFolder(folder)
    const files = await Promise.all(['a', 'b', 'c'].map((name) => disk.create(`${folder}/${name}`, 64 * 512)))
    const writeAll = async (file: (typeof files)[number], seed: number): Promise<void> => {
      for (let i = 0; i < 64; i++) await file.write(i * 512, new Uint8Array(512).fill(seed + i))
    }
    await Promise.all(files.map((file, i) => writeAll(file, i + 1)))
    for (const [i, name] of ['a', 'b', 'c'].entries()) {
      const content = await disk.read(`${folder}/${name}`)
      expect(content.every((byte, at) => byte === i + 1 + Math.floor(at / 512))).toBe(true)
    }
    await Promise.all(files.map((file) => file.close()))
  })

  test('a log on it survives work, restarts, compaction and a reset', async () => {
    const { disk, folder } = await diskOf(kind)
    const start = () => open(disk, { segmentBytes: SEGMENT_BYTES }, IDENTITY, folder)
    const first = await start()
    await appended(first.wal, { hardState: hardState(1, 2, 0), entries: entries(1, 40, 1, 4000) })
    await appended(first.wal, { entries: entries(30, 50, 1, 3000), hardState: hardState(1, 2, 29) })
    await first.wal.close()
    const second = await start()
    expect(second.recovered.repairs).toEqual([])
    expect(plain(second.recovered.entries)).toEqual(
      plain([...entries(1, 29, 1, 4000), ...entries(30, 50, 1, 3000)])
    )
    await second.wal.compact(baseAt(29, 1))
    expect(await disk.list(folder)).not.toContain('segment-0000000001.wal')
    await second.wal.close()
    const third = await start()
    expect(plain(third.recovered.entries)).toEqual(plain(entries(30, 50, 1, 3000)))
    await appended(third.wal, {
      reset: baseAt(90, 2),
      hardState: hardState(2, 0, 90),
      entries: entries(91, 92, 2)
    })
    await third.wal.close()
    const fourth = await start()
    expect(fourth.recovered).toMatchObject({ base: baseAt(90, 2), hardState: hardState(2, 0, 90) })
    expect(plain(fourth.recovered.entries)).toEqual(plain(entries(91, 92, 2)))
    await fourth.wal.close()
    expect([first, second, third, fourth].flatMap(({ failures }) => failures)).toEqual([])
  })
})

describe.each([['pool' as const], ['thread' as const]])('real %s disk', (kind) => {
  test('files are allocated, not sparse', async () => {
    const { disk, folder } = await diskOf(kind)
    await disk.makeFolder(folder)
    await (await disk.create(`${folder}/a`, 1024 * 1024)).close()
    const { blocks } = await stat(`${folder}/a`)
    expect(blocks * 512).toBeGreaterThanOrEqual(1024 * 1024)
  })

  test('a write to a closed file is a coded error, and the disk goes on', async () => {
    const { disk, folder } = await diskOf(kind)
    await disk.makeFolder(folder)
    const file = await disk.create(`${folder}/a`, 4096)
    const other = await disk.create(`${folder}/b`, 4096)
    await file.close()
    const error = await refusal(file.write(0, new Uint8Array(512)))
    expect(error).toBeInstanceOf(AppError)
    expect(error.code).toBe('STORAGE_FAILED')
    expect(error.details).toMatchObject({ code: 'EBADF', operation: 'write' })
    await other.write(0, Uint8Array.of(1))
    await other.close()
  })

  test('a truncated segment is refused and left as it is', async () => {
    const { disk, folder } = await diskOf(kind)
    const start = () => open(disk, { segmentBytes: SEGMENT_BYTES }, IDENTITY, folder)
    const { wal } = await start()
    await appended(wal, { hardState: hardState(1, 2, 0), entries: entries(1, 9) })
    await wal.close()
    await truncate(`${folder}/segment-0000000001.wal`, 6000)
    await writeFile(`${folder}/segment-0000000002.wal.new`, 'unfinished')
    const error = await refusal(start())
    expect(error.code).toBe('WAL_CORRUPT')
    expect(error.message).toContain(`segment-0000000001.wal: damaged at offset 6000`)
    expect((await stat(`${folder}/segment-0000000001.wal`)).size).toBe(6000)
    expect(await disk.list(folder)).toContain('segment-0000000002.wal.new')
  })
})

test('no room is STORAGE_FULL, whatever the operation', () => {
  for (const code of ['ENOSPC', 'EDQUOT']) {
    expect(storageError('some/file', 'create', Object.assign(new Error(code), { code })).code).toBe(
      'STORAGE_FULL'
    )
  }
  expect(storageError('some/file', 'write', Object.assign(new Error('EIO'), { code: 'EIO' })).code).toBe(
    'STORAGE_FAILED'
  )
})

test('after its thread is closed a disk rejects writes instead of hanging', async () => {
  const folder = await temporaryFolder()
  const disk = createDisk({ writes: 'thread' })
  const file = await disk.create(`${folder}/a`, 4096)
  await disk.close()
  expect((await refusal(file.write(0, new Uint8Array(512)))).code).toBe('STORAGE_FAILED')
  await file.close()
})
