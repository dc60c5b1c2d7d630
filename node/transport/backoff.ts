import type { Entropy } from '../../runtime/ports/entropy.ts'

/** Exponential back-off with full jitter: the n-th wait is uniform in [0, min(maxMs, minMs · 2^n)). */
export interface Backoff {
  /** The next wait in milliseconds. */
  next(): number
  reset(): void
}

export function createBackoff(entropy: Entropy, minMs: number, maxMs: number): Backoff {
  let attempt = 0
  return {
    next: () => {
      const ceiling = Math.min(maxMs, minMs * 2 ** attempt)
      if (ceiling < maxMs) attempt += 1
      return (entropy.uint32() / 0x1_0000_0000) * ceiling
    },
    reset: () => {
      attempt = 0
    }
  }
}
