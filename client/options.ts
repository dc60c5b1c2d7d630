/** What every call may be given. */

export interface CallOptions {
  readonly signal?: AbortSignal
}

export interface ReadOptions extends CallOptions {
  /**
   * `linearizable` (default): sees all that was acknowledged before the call. `stale`: what the node has applied, though
   * never less than this client has seen.
   */
  readonly consistency?: 'linearizable' | 'stale'
}
