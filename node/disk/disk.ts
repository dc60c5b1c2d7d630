/**
 * The disk port over the file system. Files are opened with O_DSYNC, so one system call writes and waits; their blocks
 * are allocated and zeroed beforehand, so that wait is for data alone and not for the file system's journal.
 *
 * Writes go through libuv's pool or through a thread of their own; everything else, which nothing waits for urgently,
 * through the pool.
 */
import { close, constants, fstat, open, readFile } from 'node:fs'
import { mkdir, open as openHandle, readdir, rename, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import { promisify } from 'node:util'
import { MiB } from '../../base/units.ts'
import type { Disk, DiskFile } from '../../runtime/ports/disk.ts'
import { writeThroughPool } from './positional-write.ts'
import { storageError } from './storage-error.ts'
import { WriteThread, allocateShared } from './write-thread.ts'

/** How writes reach the operating system. */
export interface DiskOptions {
  /**
   * `thread`: a thread of their own; a little slower when the process is idle, unmoved when it is busy. `pool`: libuv's
   * pool; for processes that use it for nothing else. Default `thread`.
   */
  readonly writes?: 'pool' | 'thread'
}

const openFd = promisify(open)
const closeFd = promisify(close)
const statFd = promisify(fstat)
const readWhole = promisify(readFile)

const DURABLE = constants.O_RDWR | constants.O_DSYNC
/** Zeros are written in steps, each synced, so that other files' writes are not stuck behind one long flush. */
const ZEROS = allocateShared(1 * MiB)

/** A disk on the process's file system. */
export function createDisk(options: DiskOptions = {}): Disk {
  return new FileSystemDisk(options.writes === 'pool' ? undefined : new WriteThread())
}

class FileSystemDisk implements Disk {
  readonly #thread: WriteThread | undefined

  constructor(thread: WriteThread | undefined) {
    this.#thread = thread
  }

  list(folder: string): Promise<readonly string[]> {
    return wrapped(folder, 'list', async () => {
      const found = await readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
        if (hasCode(error, 'ENOENT')) return []
        throw error
      })
      return found
        .filter((entry) => entry.isFile())
        .map(({ name }) => name)
        .sort()
    })
  }

  read(path: string): Promise<Uint8Array> {
    return wrapped(path, 'read', async () => {
      // Not a Buffer, whose `slice` is a view.
      const { buffer, byteOffset, byteLength } = await readWhole(path)
      return new Uint8Array(buffer, byteOffset, byteLength)
    })
  }

  create(path: string, sizeBytes: number): Promise<DiskFile> {
    return wrapped(path, 'create', async () => {
      const fd = await openFd(path, DURABLE | constants.O_CREAT | constants.O_EXCL, 0o600)
      // A thread of its own again: in the pool it would wait for others, in the log's thread the log for it.
      const maker = this.#thread === undefined ? undefined : new WriteThread()
      try {
        for (let offset = 0; offset < sizeBytes; offset += ZEROS.length) {
          const zeros = ZEROS.subarray(0, Math.min(ZEROS.length, sizeBytes - offset))
          await (maker === undefined ? writeThroughPool(fd, offset, zeros) : maker.write(fd, offset, zeros))
        }
        await syncFolder(dirname(path))
        return this.#file(path, fd, sizeBytes)
      } catch (error) {
        await closeFd(fd)
        await unlink(path)
        throw error
      } finally {
        await maker?.close()
      }
    })
  }

  open(path: string): Promise<DiskFile> {
    return wrapped(path, 'open', async () => {
      const fd = await openFd(path, DURABLE)
      return this.#file(path, fd, (await statFd(fd)).size)
    })
  }

  rename(from: string, to: string): Promise<void> {
    return wrapped(from, 'rename', () => rename(from, to))
  }

  remove(path: string): Promise<void> {
    return wrapped(path, 'remove', () => unlink(path))
  }

  makeFolder(folder: string): Promise<void> {
    return wrapped(folder, 'make folder', async () => {
      const first = await mkdir(folder, { recursive: true })
      if (first === undefined) return
      // Each new folder is a name in its parent.
      for (let made = folder; made.length >= first.length; made = dirname(made))
        await syncFolder(dirname(made))
    })
  }

  syncFolder(folder: string): Promise<void> {
    return wrapped(folder, 'sync folder', () => syncFolder(folder))
  }

  allocateBuffer(sizeBytes: number): Uint8Array {
    return this.#thread === undefined ? new Uint8Array(sizeBytes) : allocateShared(sizeBytes)
  }

  async close(): Promise<void> {
    await this.#thread?.close()
  }

  #file(path: string, fd: number, sizeBytes: number): DiskFile {
    const thread = this.#thread
    const write = (offset: number, bytes: Uint8Array): Promise<void> =>
      thread === undefined ? writeThroughPool(fd, offset, bytes) : thread.write(fd, offset, bytes)
    return {
      sizeBytes,
      write: (offset, bytes) => wrapped(path, 'write', () => write(offset, bytes)),
      close: () => wrapped(path, 'close', () => closeFd(fd))
    }
  }
}

async function wrapped<T>(path: string, operation: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    throw storageError(path, operation, error)
  }
}

async function syncFolder(folder: string): Promise<void> {
  // Windows opens no folders and keeps names durable by itself.
  if (process.platform === 'win32') return
  const handle = await openHandle(folder, constants.O_RDONLY)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
