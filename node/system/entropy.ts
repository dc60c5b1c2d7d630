import { randomBytes, randomInt } from 'node:crypto'
import type { Entropy } from '../../runtime/ports/entropy.ts'

/** The operating system's generator. Synchronous, so it never queues behind the disk in libuv's pool. */
export function createEntropy(): Entropy {
  return {
    bytes: (count) => new Uint8Array(randomBytes(count)),
    uint32: () => randomInt(0x1_0000_0000)
  }
}
