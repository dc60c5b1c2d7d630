/**
 * Level as `Store`. Owns: opening, error codes, read-ahead. Does not own: what the rows mean, and checksums over them
 * (LevelDB drops what it finds damaged at recovery, so its caller must be able to tell).
 *
 * 1. Batches apply in the order of the calls, each whole; those before a synced one are durable with it.
 * 2. Iterators and explicit snapshots are images as of the call that made them.
 */
import { mkdir } from 'node:fs/promises'
import { Level } from 'level'
import { AppError, toAppError } from '../../base/errors.ts'
import { invariant } from '../../base/invariant.ts'
import { KiB, MiB } from '../../base/units.ts'
import type { KeyRange, Store, StoreProvider, StoreReader, StoreSnapshot } from '../../runtime/ports/store.ts'
import { createBatchWriter } from './batch-writer.ts'
import { destroyFolder, folderOperations, repair, storePath, swapFolders } from './store-files.ts'
import type { FolderOperations } from './store-files.ts'

type Database = Level<Uint8Array, Uint8Array>
type LevelSnapshot = ReturnType<Database['snapshot']>
type Row = readonly [Uint8Array, Uint8Array]

/** Rows fetched in one trip to the thread pool; the byte bound below holds as well. */
const READ_AHEAD_ROWS = 256
const READ_AHEAD_BYTES = 256 * KiB

export interface LevelStoreOptions {
  /** Memory for cached blocks of each store. Default 16 MiB. */
  readonly cacheBytes?: number
  /** LevelDB's write buffer, up to two of which are in memory. Default 16 MiB. */
  readonly writeBufferBytes?: number
  readonly operations?: FolderOperations
}

/** The stores below `folder`, one sub-folder each. Errors are `AppError`s with the codes of storage. */
export function createLevelStores(folder: string, options: LevelStoreOptions = {}): StoreProvider {
  const operations = options.operations ?? folderOperations
  const opened = new Set<string>()
  const assertClosed = (name: string): void => {
    invariant(!opened.has(name), `store ${name} is open`)
  }
  return {
    open: async (name) => {
      if (opened.has(name)) throw new AppError('DATA_FOLDER_LOCKED', `store ${name} is open already`)
      await mkdir(folder, { recursive: true })
      await repair(folder, name, operations)
      const database: Database = new Level(storePath(folder, name), {
        keyEncoding: 'view',
        valueEncoding: 'view',
        cacheSize: options.cacheBytes ?? 16 * MiB,
        writeBufferSize: options.writeBufferBytes ?? 16 * MiB
      })
      await guard(database.open(), `open store ${name}`)
      opened.add(name)
      return levelStore(database, name, () => opened.delete(name))
    },
    swap: async (name, by) => {
      assertClosed(name)
      assertClosed(by)
      await guard(swapFolders(folder, name, by, operations), `swap store ${name}`)
    },
    destroy: async (name) => {
      assertClosed(name)
      await mkdir(folder, { recursive: true })
      await guard(destroyFolder(folder, name, operations), `destroy store ${name}`)
    }
  }
}

function levelStore(database: Database, name: string, onClose: () => void): Store {
  const write = createBatchWriter((operations, batchOptions) =>
    guard(database.batch(operations, batchOptions), `write store ${name}`)
  )
  return {
    ...reader(database, name, undefined),
    batch: (operations, { sync }) => write(operations, sync),
    snapshot: (): StoreSnapshot => {
      const snapshot = database.snapshot()
      return {
        ...reader(database, name, snapshot),
        close: () => guard(snapshot.close(), `close snapshot of store ${name}`)
      }
    },
    close: async () => {
      await guard(database.close(), `close store ${name}`)
      onClose()
    }
  }
}

function reader(database: Database, name: string, snapshot: LevelSnapshot | undefined): StoreReader {
  const source = snapshot === undefined ? {} : { snapshot }
  return {
    get: (key) => guard(database.get(key, source), `read store ${name}`),
    iterate: (range: KeyRange) => {
      // Made here and not at the first step, so that the rows are those of this moment.
      return rows(openIterator(database, { ...range, ...source }), name)
    }
  }
}

function openIterator(
  database: Database,
  range: KeyRange & { readonly snapshot?: LevelSnapshot }
): ReturnType<typeof database.iterator<Uint8Array, Uint8Array>> {
  return database.iterator<Uint8Array, Uint8Array>({ ...range, highWaterMarkBytes: READ_AHEAD_BYTES })
}

async function* rows(iterator: ReturnType<typeof openIterator>, name: string): AsyncGenerator<Row> {
  try {
    for (;;) {
      const batch = await guard(iterator.nextv(READ_AHEAD_ROWS), `read store ${name}`)
      if (batch.length === 0) return
      yield* batch
    }
  } finally {
    await iterator.close()
  }
}

async function guard<T>(work: Promise<T>, what: string): Promise<T> {
  try {
    return await work
  } catch (error) {
    throw storageError(error, what)
  }
}

function storageError(error: unknown, what: string): AppError {
  if (error instanceof AppError) return error
  const cause = rootCause(error)
  const message = `${what}: ${cause.message}`
  if (cause.code === 'LEVEL_LOCKED') return new AppError('DATA_FOLDER_LOCKED', message, { cause: error })
  if (cause.code === 'LEVEL_CORRUPTION') return new AppError('STATE_CORRUPT', message, { cause: error })
  // LevelDB reports the reason of an I/O error in words only.
  if (cause.code === 'ENOSPC' || cause.message.includes('No space left on device')) {
    return new AppError('STORAGE_FULL', message, { cause: error })
  }
  return new AppError('STORAGE_FAILED', message, { cause: error })
}

/** Level wraps the reason why a database did not open. */
function rootCause(error: unknown): { readonly code: unknown; readonly message: string } {
  let current: unknown = error
  while (current instanceof Error && current.cause instanceof Error) current = current.cause
  const code = typeof current === 'object' && current !== null && 'code' in current ? current.code : undefined
  return { code, message: toAppError(current).message }
}
