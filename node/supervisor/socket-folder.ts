/**
 * The folder of a node's socket. It is below the system's temporary folder, since a socket's path holds some hundred bytes and a data
 * folder may be deeper than that, so it does not go with the data folder: a node that is killed leaves it behind.
 *
 * 1. The data folder says where it is, so that the next start removes what the last one left. Usually there is nothing: the supervisor
 *    outlives its node and removes it.
 * 2. Only what such a folder can hold is removed: a socket, then the empty folder.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmdirSync, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'

/** Paths of sockets are short; a longer temporary folder cannot hold one. */
const MAX_PATH_LENGTH = 100
const PREFIX = 'dtss-'
const SOCKET = 's'
/** In the host's folder: the path of the socket. */
const RECORD = 'socket'

/** Makes a new folder that only this user can enter, and removes the last one; returns the path of the socket in it. */
export function makeSocketFolder(hostFolder: string): string {
  mkdirSync(hostFolder, { recursive: true, mode: 0o700 })
  const record = join(hostFolder, RECORD)
  removeSocketFolder(readIfThere(record))
  const parent = tmpdir().length < MAX_PATH_LENGTH - 20 ? tmpdir() : '/tmp'
  const path = join(mkdtempSync(join(parent, PREFIX)), SOCKET)
  writeFileSync(record, path)
  return path
}

/** Removes the folder of this socket, if it is one and there. */
export function removeSocketFolder(path: string): void {
  const folder = dirname(path)
  if (basename(path) !== SOCKET || !basename(folder).startsWith(PREFIX)) return
  attempt(() => {
    unlinkSync(path)
  })
  attempt(() => {
    rmdirSync(folder)
  })
}

/** What is gone already, or is somebody else's by now, is left alone. */
function attempt(remove: () => void): void {
  try {
    remove()
  } catch {
    // Nothing depends on it.
  }
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
