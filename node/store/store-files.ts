/**
 * The folders behind the stores of one node, and the steps that replace or delete one. Every step is atomic, and
 * `repair` finishes or undoes what a crash between two of them left.
 *
 * 1. `<name>.old` exists only while `swap` runs or after it was cut short. Together with `<name>`, the swap happened
 *    and `.old` is rubbish; without it, the swap did not happen and `.old` is the store.
 * 2. `<name>.trash` is rubbish, always: a store is renamed to it before its files go, so none is ever half there.
 */
import { open, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError } from '../../base/errors.ts'

/** The file operations that `swap` and `destroy` are made of; tests make one fail to stand for a crash. */
export interface FolderOperations {
  rename(from: string, to: string): Promise<void>
  remove(path: string): Promise<void>
  /** Makes the names in a folder durable. */
  sync(folder: string): Promise<void>
}

export const folderOperations: FolderOperations = {
  rename,
  remove: (path) => rm(path, { recursive: true, force: true }),
  sync: syncPath
}

/** The folder of a store. Rejects names that are no plain folder name or that collide with the ones used here. */
export function storePath(folder: string, name: string): string {
  if (!/^[a-z0-9][a-z0-9-]{0,63}$/.test(name)) {
    throw new AppError('CONFIG_INVALID', `store name: got ${JSON.stringify(name)}, expected a-z, 0-9 and -`)
  }
  return join(folder, name)
}

/** Brings a store's folders into one of the states before or after a swap or deletion that was cut short. */
export async function repair(folder: string, name: string, operations: FolderOperations): Promise<void> {
  const path = storePath(folder, name)
  const present = new Set(await readdir(folder))
  if (present.has(`${name}.trash`)) await operations.remove(`${path}.trash`)
  if (!present.has(`${name}.old`)) return
  if (present.has(name)) {
    await discard(folder, `${path}.old`, `${path}.trash`, operations)
  } else {
    await operations.rename(`${path}.old`, path)
    await operations.sync(folder)
  }
}

/** Puts store `by` in the place of store `name`; both closed. */
export async function swapFolders(
  folder: string,
  name: string,
  by: string,
  operations: FolderOperations
): Promise<void> {
  const path = storePath(folder, name)
  const byPath = storePath(folder, by)
  await repair(folder, name, operations)
  await repair(folder, by, operations)
  const present = new Set(await readdir(folder))
  if (!present.has(by)) throw new AppError('STORAGE_FAILED', `swap of store ${name}: there is no store ${by}`)
  // A store whose rows were written without sync must not replace one that is durable.
  for (const file of await readdir(byPath)) await syncPath(join(byPath, file))
  await operations.sync(byPath)
  if (present.has(name)) await operations.rename(path, `${path}.old`)
  await operations.rename(byPath, path)
  await operations.sync(folder)
  if (present.has(name)) await discard(folder, `${path}.old`, `${path}.trash`, operations)
}

/** Deletes a closed store. */
export async function destroyFolder(
  folder: string,
  name: string,
  operations: FolderOperations
): Promise<void> {
  const path = storePath(folder, name)
  await repair(folder, name, operations)
  const present = new Set(await readdir(folder))
  if (present.has(name)) await discard(folder, path, `${path}.trash`, operations)
}

async function discard(
  folder: string,
  path: string,
  trash: string,
  operations: FolderOperations
): Promise<void> {
  await operations.rename(path, trash)
  await operations.sync(folder)
  await operations.remove(trash)
}

async function syncPath(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
