import castagnoli from 'crc-32/crc32c.js'

/** CRC-32C (Castagnoli) of `bytes`, unsigned. `seed` is an earlier result to go on from, or any 32 bits to mix in. */
export function crc32c(bytes: Uint8Array, seed = 0): number {
  return castagnoli.buf(bytes, seed | 0) >>> 0
}
