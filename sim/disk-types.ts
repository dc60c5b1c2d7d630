/** The controls of a simulated disk: `createSimDisk(options)` in `disk.ts` makes one per simulated node. */
import type { Rng } from '../base/prng.ts'
import type { Disk } from '../runtime/ports/disk.ts'

export interface SimDiskOptions {
  readonly rng: Rng
  /** With it, operations take virtual time; without, they resolve in a microtask. */
  readonly schedule?: (delayMs: number, callback: () => void) => unknown
  /** Longest time of a write, uniform; making a file takes up to ten times as long. Default 1 ms. */
  readonly maxWriteMs?: number
  /** Room for the sum of all files' sizes. Default without bound. */
  readonly capacityBytes?: number
}

export interface SimDisk {
  /** The disk as the process sees that starts now. */
  disk(): Disk
  /**
   * The process dies: what it waits for never settles. With `power` (default), each sector of a write under way holds
   * its old or its new content, and names changed since the last sync of their folder keep a prefix of the changes.
   * Without, a write under way is there whole or not at all, and names stay.
   */
  crash(options?: { readonly power?: boolean }): void
  /** Writes for which `fails` says yes reject with `STORAGE_FAILED` and leave some of their sectors. */
  failWrites(fails: (path: string, offset: number) => boolean): void
  setCapacity(bytes: number): void
  /** Paths of all files, sorted. */
  paths(): readonly string[]
  /** The live content of a file: what is changed in it rots. */
  content(path: string): Uint8Array
  /** Puts a file there with that content, or replaces one; takes one away without content. */
  replace(path: string, content: Uint8Array | undefined): void
}
