/**
 * A disk in memory with the crash behaviour that the port promises, and no better.
 *
 * 1. A write is durable when it resolves. One that was under way at a crash is torn by sectors, chosen at random.
 * 2. Renames and removals are durable after `syncFolder`; of later ones a crash keeps a prefix of random length.
 * 3. A file that was being made at a crash may be there under its name, with a part of its size, all zeros.
 * 4. After `crash`, what belonged to the dead process never settles, as nothing of that process runs any more.
 */
import { AppError } from '../base/errors.ts'
import { invariant } from '../base/invariant.ts'
import type { Rng } from '../base/prng.ts'
import type { Disk, DiskFile } from '../runtime/ports/disk.ts'
import type { SimDisk, SimDiskOptions } from './disk-types.ts'

const SECTOR_BYTES = 512
/** What a dead process is told. */
const NEVER = new Promise<never>(() => undefined)

interface File {
  content: Uint8Array
  /** The size that it is being given; its content is zeros up to that point once it is made. */
  making: number | undefined
}

interface PendingWrite {
  readonly file: File
  readonly offset: number
  readonly bytes: Uint8Array
}

type Names = Map<string, File>

/** A change of names that no sync has covered yet. */
interface NameChange {
  readonly folder: string
  readonly apply: (names: Names) => void
}

/** Runs steps of one life of the process. */
interface Life {
  readonly isOver: () => boolean
  /** Runs a step after a simulated delay, or never when the life is over by then. */
  readonly later: <T>(factor: number, step: () => T) => Promise<T>
}

/** The disk of one simulated node; it outlives the node's crashes. */
export function createSimDisk(options: SimDiskOptions): SimDisk {
  return new MemoryDisk(options)
}

class MemoryDisk implements SimDisk {
  readonly #options: SimDiskOptions
  readonly #rng: Rng
  #visible: Names = new Map()
  #durable: Names = new Map()
  #nameChanges: NameChange[] = []
  #writes = new Set<PendingWrite>()
  #capacityBytes: number
  #fails: (path: string, offset: number) => boolean = () => false
  #life = 0

  constructor(options: SimDiskOptions) {
    this.#options = options
    this.#rng = options.rng
    this.#capacityBytes = options.capacityBytes ?? Infinity
  }

  disk(): Disk {
    const life = this.#beginLife()
    const { later } = life
    return {
      list: (folder) => later(0.1, () => this.#list(folder)),
      read: (path) => later(1, () => this.#file(path).content.slice()),
      create: (path, sizeBytes) => this.#create(path, sizeBytes, life),
      open: (path) => later(0.1, () => this.#open(path, this.#file(path), life)),
      rename: (from, to) =>
        later(0.1, () => {
          const file = this.#file(from)
          this.#change(from, (names) => {
            names.delete(from)
            names.set(to, file)
          })
        }),
      remove: (path) =>
        later(0.1, () => {
          this.#file(path)
          this.#change(path, (names) => names.delete(path))
        }),
      makeFolder: () => later(1, () => undefined),
      syncFolder: (folder) =>
        later(1, () => {
          for (const { apply } of this.#nameChanges.filter((change) => change.folder === folder)) {
            apply(this.#durable)
          }
          this.#nameChanges = this.#nameChanges.filter((change) => change.folder !== folder)
        }),
      allocateBuffer: (sizeBytes) => new Uint8Array(sizeBytes),
      close: () => Promise.resolve()
    }
  }

  crash({ power = true }: { readonly power?: boolean } = {}): void {
    this.#life += 1
    for (const write of this.#writes) {
      if (power) this.#tear(write)
      else if (this.#rng.nextInt(2) === 0) write.file.content.set(write.bytes, write.offset)
    }
    this.#writes.clear()
    const kept = power ? this.#rng.nextInt(this.#nameChanges.length + 1) : this.#nameChanges.length
    for (const { apply } of this.#nameChanges.slice(0, kept)) apply(this.#durable)
    this.#nameChanges = []
    for (const [path, file] of this.#visible) {
      if (file.making === undefined) continue
      file.content = new Uint8Array(this.#rng.nextInt(file.making + 1))
      file.making = undefined
      if (!power || this.#rng.nextInt(2) === 0) this.#durable.set(path, file)
    }
    this.#visible = new Map(this.#durable)
  }

  failWrites(fails: (path: string, offset: number) => boolean): void {
    this.#fails = fails
  }

  setCapacity(bytes: number): void {
    this.#capacityBytes = bytes
  }

  paths(): readonly string[] {
    return [...this.#visible.keys()].sort()
  }

  content(path: string): Uint8Array {
    return this.#file(path).content
  }

  replace(path: string, content: Uint8Array | undefined): void {
    for (const names of [this.#visible, this.#durable]) {
      if (content === undefined) names.delete(path)
      else names.set(path, { content, making: undefined })
    }
  }

  #beginLife(): Life {
    const born = this.#life
    const isOver = (): boolean => born !== this.#life
    const later = <T>(factor: number, step: () => T): Promise<T> =>
      new Promise<T>((resolve) => {
        const run = (): void => {
          if (isOver()) return
          // An executor that throws rejects, which a step called here by itself would not.
          resolve(
            new Promise<T>((settle) => {
              settle(step())
            })
          )
        }
        if (this.#options.schedule === undefined) queueMicrotask(run)
        else this.#options.schedule(this.#rng.nextFloat() * (this.#options.maxWriteMs ?? 1) * factor, run)
      })
    return { isOver, later }
  }

  #list(folder: string): readonly string[] {
    return this.paths()
      .filter((path) => folderOf(path) === folder)
      .map((path) => path.slice(folder.length + 1))
  }

  #create(path: string, sizeBytes: number, life: Life): Promise<DiskFile> {
    if (life.isOver()) return NEVER
    if (this.#visible.has(path)) return Promise.reject(failed(path, 'exists already'))
    const used = [...this.#visible.values()].reduce(
      (sum, file) => sum + (file.making ?? file.content.length),
      0
    )
    const file: File = { content: new Uint8Array(0), making: sizeBytes }
    this.#visible.set(path, file)
    return life.later(10, () => {
      file.making = undefined
      if (used + sizeBytes > this.#capacityBytes) {
        this.#visible.delete(path)
        throw new AppError('STORAGE_FULL', `${path}: no room for ${sizeBytes} bytes`)
      }
      file.content = new Uint8Array(sizeBytes)
      this.#durable.set(path, file)
      return this.#open(path, file, life)
    })
  }

  #open(path: string, file: File, life: Life): DiskFile {
    let writing = false
    return {
      sizeBytes: file.content.length,
      write: (offset, bytes) => {
        if (life.isOver()) return NEVER
        invariant(offset + bytes.length <= file.content.length, `${path}: a write beyond the end of the file`)
        invariant(!writing, `${path}: a write while another is outstanding`)
        writing = true
        const write: PendingWrite = { file, offset, bytes }
        this.#writes.add(write)
        return life.later(1, () => {
          writing = false
          this.#writes.delete(write)
          if (this.#fails(path, offset)) {
            this.#tear(write)
            throw failed(path, 'simulated write error')
          }
          file.content.set(bytes, offset)
        })
      },
      close: () => Promise.resolve()
    }
  }

  #tear({ file, offset, bytes }: PendingWrite): void {
    // Few, half or most sectors: each kind of loss should be common.
    const keep = [0.05, 0.5, 0.95][this.#rng.nextInt(3)] ?? 0.5
    for (let at = 0; at < bytes.length; at += SECTOR_BYTES) {
      if (this.#rng.nextFloat() < keep) file.content.set(bytes.subarray(at, at + SECTOR_BYTES), offset + at)
    }
  }

  #change(path: string, apply: (names: Names) => void): void {
    apply(this.#visible)
    this.#nameChanges.push({ folder: folderOf(path), apply })
  }

  #file(path: string): File {
    const file = this.#visible.get(path)
    if (file === undefined) throw failed(path, 'no such file')
    return file
  }
}

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'))
}

function failed(path: string, what: string): AppError {
  return new AppError('STORAGE_FAILED', `${path}: ${what}`)
}
