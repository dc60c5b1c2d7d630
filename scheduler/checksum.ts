/**
 * The state checksum: two independent 32-bit hashes of each hot row, summed modulo 2^32. Sums do not depend on order, so
 * a row that changes costs one subtraction and one addition. Detects faults, not forgeries.
 *
 * The hash is MurmurHash3's 32-bit form (Appleby, 2011) over the key's code units and the value, with two seeds.
 */
const SEED_A = 0x2c9277b5
const SEED_B = 0x71374491

/** Hash lanes of one row, signed 32-bit. Overwritten by the next call of `hashRow`. */
export const lanes = { a: 0, b: 0 }

function mix(hash: number, word: number): number {
  let k = Math.imul(word, 0xcc9e2d51)
  k = (k << 15) | (k >>> 17)
  const mixed = hash ^ Math.imul(k, 0x1b873593)
  return (Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0xe6546b64) | 0
}

function finish(hash: number, length: number): number {
  let h = hash ^ length
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) | 0
}

/** Hashes a row into `lanes`. */
export function hashRow(key: string, value: Uint8Array): void {
  let a = SEED_A
  let b = SEED_B
  for (let index = 0; index < key.length; index++) {
    const code = key.charCodeAt(index)
    a = mix(a, code)
    b = mix(b, code)
  }
  const length = value.length
  const whole = length & ~3
  for (let index = 0; index < whole; index += 4) {
    const word =
      (value[index] ?? 0) |
      ((value[index + 1] ?? 0) << 8) |
      ((value[index + 2] ?? 0) << 16) |
      ((value[index + 3] ?? 0) << 24)
    a = mix(a, word)
    b = mix(b, word)
  }
  let tail = 0
  for (let index = whole; index < length; index++) tail = (tail << 8) | (value[index] ?? 0)
  lanes.a = finish(mix(a, tail), key.length * 31 + length)
  lanes.b = finish(mix(b, tail), key.length * 31 + length)
}

/** The 32-bit hash of some bytes: guards a cold row, which no checksum covers. */
export function hashBytes(value: Uint8Array): number {
  hashRow('', value)
  return lanes.a >>> 0
}

/** A running sum over rows. */
export class ChecksumSum {
  private a = 0
  private b = 0

  add(a: number, b: number): void {
    this.a = (this.a + a) | 0
    this.b = (this.b + b) | 0
  }

  subtract(a: number, b: number): void {
    this.a = (this.a - a) | 0
    this.b = (this.b - b) | 0
  }

  addRow(key: string, value: Uint8Array): void {
    hashRow(key, value)
    this.add(lanes.a, lanes.b)
  }

  /** 16 hexadecimal digits. */
  toString(): string {
    return hex(this.a) + hex(this.b)
  }
}

function hex(value: number): string {
  return (value >>> 0).toString(16).padStart(8, '0')
}
