/**
 * Files as the write-ahead log needs them: few, of a fixed size, written in place, durable when a promise resolves.
 * Paths use `/`. Every method rejects with an `AppError`:
 *
 * - `STORAGE_FULL`: there is no room (ENOSPC, EDQUOT). Only `create` meets it, since a file never grows. What it had
 *   begun is removed again, and it may be tried again later.
 * - `STORAGE_FAILED`: anything else. After a failed write nobody knows what the file holds: the caller stops.
 */

/** An open file; a rename does not disturb it. It has one writer, which has one write outstanding at a time. */
export interface DiskFile {
  readonly sizeBytes: number
  /**
   * Writes all of `bytes` at `offset`, within the file; resolves when they would survive a loss of power. If power is
   * lost before, each sector of 512 bytes holds either its old or its new content. `bytes` is left alone until then.
   */
  write(offset: number, bytes: Uint8Array): Promise<void>
  close(): Promise<void>
}

/** A disk. `sim/disk.ts` and `node/disk` pass the same contract tests. */
export interface Disk {
  /** Names of the files in a folder, sorted by code units; empty when there is no such folder. */
  list(folder: string): Promise<readonly string[]>
  /** The whole content of a file. */
  read(path: string): Promise<Uint8Array>
  /**
   * Makes and opens a file of `sizeBytes` zeros whose blocks are allocated, content and directory entry durable.
   * Rejects when the path exists. It may take long and is kept from delaying writes to other files.
   */
  create(path: string, sizeBytes: number): Promise<DiskFile>
  /** Opens an existing file for writing. */
  open(path: string): Promise<DiskFile>
  /** Renames within one folder, replacing the target. Durable only after `syncFolder`. */
  rename(from: string, to: string): Promise<void>
  /** Removes a file. Durable only after `syncFolder`. */
  remove(path: string): Promise<void>
  /** Makes a folder and its parents, durably; does nothing when it exists. */
  makeFolder(folder: string): Promise<void>
  /** Makes the names in a folder durable. */
  syncFolder(folder: string): Promise<void>
  /** Memory that `write` passes to the disk without a copy, zeroed. Any other memory works too. */
  allocateBuffer(sizeBytes: number): Uint8Array
  /** Releases what the disk itself holds (a thread); files are closed before. */
  close(): Promise<void>
}
