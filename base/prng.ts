/**
 * Seeded pseudo-random numbers: the only source of chance for pure code. xoshiro128** (Blackman & Vigna, 2018)
 * seeded through splitmix32, so neighbouring seeds give unrelated sequences. Not for secrets.
 */
export interface Rng {
  /** A uniform 32-bit unsigned integer. */
  nextUint32(): number
  /** A uniform integer in [0, bound); `bound` is an integer in [1, 2^32]. */
  nextInt(bound: number): number
  /** A uniform float in [0, 1) with 32 bits of resolution. */
  nextFloat(): number
  /** An independent generator, derived from this one's sequence. */
  fork(): Rng
}

/** A generator whose whole sequence follows from `seed` (any number; its low 32 bits count). */
export function createRng(seed: number): Rng {
  let mix = seed >>> 0
  const splitmix32 = (): number => {
    mix = (mix + 0x9e3779b9) >>> 0
    let z = mix
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad)
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
    return (z ^ (z >>> 15)) >>> 0
  }
  let a = splitmix32()
  let b = splitmix32()
  let c = splitmix32()
  let d = splitmix32()

  const nextUint32 = (): number => {
    const scrambled = Math.imul(rotateLeft(Math.imul(b, 5), 7), 9) >>> 0
    const shifted = b << 9
    c ^= a
    d ^= b
    b ^= c
    a ^= d
    c ^= shifted
    d = rotateLeft(d, 11)
    return scrambled
  }
  const nextFloat = (): number => nextUint32() / 0x1_0000_0000
  return {
    nextUint32,
    nextFloat,
    nextInt: (bound) => Math.floor(nextFloat() * bound),
    fork: () => createRng(nextUint32())
  }
}

function rotateLeft(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits))
}
