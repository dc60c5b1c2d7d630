/**
 * An ordered key-value store: Level in production, a sorted map in the simulator. Keys and values are bytes; order is
 * that of unsigned bytes.
 */
export type StoreOperation =
  | { readonly type: 'put'; readonly key: Uint8Array; readonly value: Uint8Array }
  | { readonly type: 'del'; readonly key: Uint8Array }

export interface KeyRange {
  /** Inclusive. */
  readonly gte?: Uint8Array
  /** Exclusive. */
  readonly lt?: Uint8Array
  readonly reverse?: boolean
  readonly limit?: number
}

export interface StoreReader {
  get(key: Uint8Array): Promise<Uint8Array | undefined>
  /** Rows of the range in key order, as of the moment of the call. */
  iterate(range: KeyRange): AsyncIterable<readonly [Uint8Array, Uint8Array]>
}

/** An unchanging image of the store. Must be closed. */
export interface StoreSnapshot extends StoreReader {
  close(): Promise<void>
}

export interface Store extends StoreReader {
  /** Applies all operations or none. With `sync`, durable when it resolves. */
  batch(operations: readonly StoreOperation[], options: { readonly sync: boolean }): Promise<void>
  snapshot(): StoreSnapshot
  close(): Promise<void>
}

/** The stores of one node, by folder. */
export interface StoreProvider {
  /** Opens (creating it if need be) the store of this name. */
  open(name: string): Promise<Store>
  /**
   * Replaces store `name`, which must be closed, by store `by`, which must be closed too, in one step that a crash
   * cannot halve. `by` does not exist afterwards.
   */
  swap(name: string, by: string): Promise<void>
  /** Deletes a closed store; no error when there is none. */
  destroy(name: string): Promise<void>
}
