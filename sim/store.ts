/**
 * Stores in memory with the crash behaviour of a real disk. Each store keeps two images: what a reader sees, and what a
 * loss of power would leave; between them lies the tail of batches that no sync has covered yet.
 *
 * 1. Batches apply in the order of the calls, each whole. A crash keeps a prefix of them; a synced batch and all before
 *    it are in every such prefix.
 * 2. `swap` and `destroy` happen at one instant and are durable then, with the rows of the store that moved.
 * 3. After `crash`, what belonged to the dead process never settles, as nothing of that process runs any more.
 */
import { AppError } from '../base/errors.ts'
import { invariant } from '../base/invariant.ts'
import type { Rng } from '../base/prng.ts'
import type { KeyRange, Store, StoreOperation, StoreReader, StoreSnapshot } from '../runtime/ports/store.ts'
import { createImage } from './store-image.ts'
import type { Image } from './store-image.ts'
import type { SimStores, SimStoresOptions } from './store-types.ts'

/** What the disk holds for one store. */
interface DiskStore {
  visible: Image
  durable: Image
  /** Batches that `visible` has and `durable` has not, in order. */
  tail: (readonly StoreOperation[])[]
  /** Batches that were asked for and not applied yet, in order. */
  waiting: (readonly StoreOperation[])[]
  open: boolean
}

/** The stores of one simulated node; they outlive its crashes. */
export function createSimStores(options: SimStoresOptions): SimStores {
  const disk = new Map<string, DiskStore>()
  let life = 0

  /** Steps of the life that begins now: each after a simulated delay, none once it ended, its promise pending forever. */
  const laterInThisLife = (): Later => {
    const born = life
    return <T>(factor: number, step: () => T) =>
      new Promise<T>((resolve) => {
        const run = (): void => {
          if (born !== life) return
          // An executor that throws rejects, which a step called here by itself would not.
          resolve(
            new Promise<T>((settle) => {
              settle(step())
            })
          )
        }
        if (options.schedule === undefined) queueMicrotask(run)
        else options.schedule(options.rng.nextFloat() * (options.maxBatchMs ?? 1) * factor, run)
      })
  }

  const closed = (name: string): DiskStore | undefined => {
    const store = disk.get(name)
    invariant(store?.open !== true, `store ${name} is open`)
    return store
  }

  return {
    open: (name) => {
      const later = laterInThisLife()
      return later(1, () => {
        const store = disk.get(name) ?? emptyStore()
        if (store.open) throw new AppError('DATA_FOLDER_LOCKED', `store ${name} is open already`)
        disk.set(name, store)
        store.open = true
        return openStore(store, later)
      })
    },
    swap: (name, by) =>
      laterInThisLife()(2, () => {
        closed(name)
        const source = closed(by)
        if (source === undefined)
          throw new AppError('STORAGE_FAILED', `swap of ${name}: there is no store ${by}`)
        makeDurable(source)
        disk.set(name, source)
        disk.delete(by)
      }),
    destroy: (name) =>
      laterInThisLife()(2, () => {
        closed(name)
        disk.delete(name)
      }),
    crash: ({ power = true } = {}) => {
      life += 1
      for (const [name, store] of disk) disk.set(name, afterCrash(store, options.rng, power))
    }
  }
}

type Later = <T>(factor: number, step: () => T) => Promise<T>

function emptyStore(): DiskStore {
  return { visible: createImage(), durable: createImage(), tail: [], waiting: [], open: false }
}

function makeDurable(store: DiskStore): void {
  for (const batch of store.tail) store.durable.apply(batch)
  store.tail = []
}

/** What a restart finds: always a new object, so that the dead process's handles cannot touch it. */
function afterCrash(store: DiskStore, rng: Rng, power: boolean): DiskStore {
  // Any prefix of the batches on their way may have reached the operating system.
  const arrived = store.waiting.slice(0, rng.nextInt(store.waiting.length + 1))
  const tail = [...store.tail, ...arrived]
  const kept = power ? tail.slice(0, rng.nextInt(tail.length + 1)) : tail
  const visible = store.durable.copy()
  for (const batch of kept) visible.apply(batch)
  return power
    ? { visible, durable: visible.copy(), tail: [], waiting: [], open: false }
    : { visible, durable: store.durable, tail: kept, waiting: [], open: false }
}

function openStore(store: DiskStore, later: Later): Store {
  let queue: Promise<void> = Promise.resolve()
  const assertOpen = (): void => {
    invariant(store.open, 'the store is closed')
  }
  const batch = async (
    operations: readonly StoreOperation[],
    { sync }: { readonly sync: boolean }
  ): Promise<void> => {
    assertOpen()
    // The caller may reuse its buffers once the call returned.
    const own = operations.map(ownOperation)
    store.waiting.push(own)
    const done = queue.then(() =>
      later(sync ? 10 : 1, () => {
        store.waiting.shift()
        store.visible.apply(own)
        store.tail.push(own)
        if (sync) makeDurable(store)
      })
    )
    queue = done
    await done
  }
  return {
    ...reader(() => store.visible, later, assertOpen),
    batch,
    snapshot: (): StoreSnapshot => {
      assertOpen()
      const image = store.visible.copy()
      let open = true
      const assertUsable = (): void => {
        invariant(open && store.open, 'the snapshot is closed')
      }
      return {
        ...reader(() => image, later, assertUsable),
        close: () => {
          open = false
          return later(0, () => undefined)
        }
      }
    },
    close: async () => {
      await queue
      await later(1, () => {
        store.open = false
      })
    }
  }
}

function reader(image: () => Image, later: Later, assertOpen: () => void): StoreReader {
  return {
    get: async (key) => {
      assertOpen()
      return later(1, () => image().get(key))
    },
    iterate: (range: KeyRange) => {
      assertOpen()
      return readAhead(image().rows(range), later)
    }
  }
}

const READ_AHEAD_ROWS = 64

async function* readAhead<T>(rows: readonly T[], later: Later): AsyncGenerator<T> {
  for (let at = 0; at < rows.length; at += READ_AHEAD_ROWS) {
    yield* await later(1, () => rows.slice(at, at + READ_AHEAD_ROWS))
  }
}

function ownOperation(operation: StoreOperation): StoreOperation {
  const key = operation.key.slice()
  return operation.type === 'put'
    ? { type: 'put', key, value: operation.value.slice() }
    : { type: 'del', key }
}
