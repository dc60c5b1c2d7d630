/**
 * Chance by name instead of by order: a uniform number that depends on what it is for and not on what was drawn before.
 * Two policies that start the same attempt at different times meet the same luck (common random numbers).
 */

/** A uniform float in [0, 1) for these numbers; `salt` tells apart several draws for one thing. */
export function uniform(seed: number, task: number, attempt: number, salt: number): number {
  let hash = mix(seed ^ 0x9e3779b9)
  hash = mix(hash ^ task)
  hash = mix(hash ^ Math.imul(attempt, 0x85ebca6b) ^ Math.imul(salt, 0xc2b2ae35))
  return hash / 0x1_0000_0000
}

/** A bijection of 32-bit integers with good avalanche (Wellons' lowbias32). */
function mix(value: number): number {
  let x = value >>> 0
  x ^= x >>> 16
  x = Math.imul(x, 0x7feb352d)
  x ^= x >>> 15
  x = Math.imul(x, 0x846ca68b)
  return (x ^ (x >>> 16)) >>> 0
}
