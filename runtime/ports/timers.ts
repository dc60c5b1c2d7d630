/** Scheduling of callbacks. The real adapter is Node's event loop; the simulator's is virtual time. */
export interface Timers {
  /** Runs `callback` once, `delayMs` from now at the earliest. The returned function cancels it. */
  after(delayMs: number, callback: () => void): () => void
  /** Runs `callback` in a later macrotask, after the I/O that is ready now. */
  soon(callback: () => void): void
}
