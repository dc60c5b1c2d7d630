/** The controls of simulated stores: `createSimStores(options)` in `store.ts` makes one per simulated node. */
import type { Rng } from '../base/prng.ts'
import type { StoreProvider } from '../runtime/ports/store.ts'

export interface SimStoresOptions {
  readonly rng: Rng
  /** With it, batches take virtual time; without, they resolve in a microtask. */
  readonly schedule?: (delayMs: number, callback: () => void) => unknown
  /** Longest time of a batch, uniform; a synced one takes up to ten times as long. Default 1 ms. */
  readonly maxBatchMs?: number
}

export interface SimStores extends StoreProvider {
  /**
   * The process dies: open stores and snapshots are dead (calls on them never settle). With `power`, batches that no
   * later sync covers are lost as a suffix of random length; without, only batches that were not applied yet are.
   */
  crash(options?: { readonly power?: boolean }): void
}
