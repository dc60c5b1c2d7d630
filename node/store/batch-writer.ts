/**
 * Writes batches to LevelDB in the order they came. Level hands each write to libuv's pool, whose threads race, so only
 * one may be under way; those that arrive meanwhile go together in the next, which also shares their sync.
 *
 * 1. A batch is never split and never overtakes another.
 * 2. After a failed write nothing is written any more: a later batch without an earlier one is a state that never was.
 */
import type { StoreOperation } from '../../runtime/ports/store.ts'

export type WriteBatch = (operations: StoreOperation[], options: { readonly sync: boolean }) => Promise<void>

/** Operations in one write at most, unless a single batch has more: bounds the memory and time of a write. */
const MAX_OPERATIONS = 20_000

interface Waiting {
  readonly operations: readonly StoreOperation[]
  readonly sync: boolean
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

/** Returns the ordered form of `write`. The operations belong to it until the promise settles. */
export function createBatchWriter(
  write: WriteBatch
): (operations: readonly StoreOperation[], sync: boolean) => Promise<void> {
  let waiting: Waiting[] = []
  let writing = false
  let failure: Error | undefined

  const drain = async (): Promise<void> => {
    writing = true
    while (waiting.length > 0) {
      const group = takeGroup(waiting)
      waiting = waiting.slice(group.length)
      const failed = failure ?? (await attempt(write, group))
      failure ??= failed
      for (const batch of group) {
        if (failed === undefined) batch.resolve()
        else batch.reject(failed)
      }
    }
    writing = false
  }

  return (operations, sync) =>
    new Promise((resolve, reject) => {
      waiting.push({ operations, sync, resolve, reject })
      if (!writing) void drain()
    })
}

/** The batches of the next write: at least the first. */
function takeGroup(waiting: readonly Waiting[]): readonly Waiting[] {
  let count = 0
  let operations = 0
  for (const batch of waiting) {
    operations += batch.operations.length
    if (count > 0 && operations > MAX_OPERATIONS) break
    count += 1
  }
  return waiting.slice(0, count)
}

async function attempt(write: WriteBatch, group: readonly Waiting[]): Promise<Error | undefined> {
  try {
    const sync = group.some((batch) => batch.sync)
    const [only] = group
    // Level wants a mutable array but does not change it.
    const operations =
      group.length === 1 && only !== undefined
        ? (only.operations as StoreOperation[])
        : group.flatMap((batch) => batch.operations)
    await write(operations, { sync })
    return undefined
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error))
  }
}
