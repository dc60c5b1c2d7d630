/**
 * Base-128 varints and byte strings, read strictly: what this module did not write, it does not accept. Numbers are
 * non-negative safe integers in their shortest form.
 */
import { varintSize } from './entry-size.ts'

/** Bytes that are not what they should be. They came from outside; nothing of them was used. */
export class DecodeError extends Error {
  override readonly name = 'DecodeError'
}

/** Writes into a buffer whose size was worked out before. */
export class ByteWriter {
  readonly bytes: Uint8Array
  private at = 0

  constructor(sizeBytes: number) {
    this.bytes = new Uint8Array(sizeBytes)
  }

  byte(value: number): void {
    this.bytes[this.at++] = value
  }

  varint(value: number): void {
    let rest = value
    // Bit operations are exact up to 31 bits only; larger numbers are rare (ids of local threads).
    while (rest > 0x7fff_ffff) {
      this.bytes[this.at++] = (rest % 128) | 128
      rest = Math.floor(rest / 128)
    }
    while (rest >= 128) {
      this.bytes[this.at++] = (rest & 127) | 128
      rest >>>= 7
    }
    this.bytes[this.at++] = rest
  }

  raw(data: Uint8Array): void {
    this.bytes.set(data, this.at)
    this.at += data.length
  }

  /** A length, then the bytes. */
  sized(data: Uint8Array): void {
    this.varint(data.length)
    this.raw(data)
  }
}

/** Bytes that `ByteWriter.sized` needs. */
export function sizedBytesSize(data: Uint8Array): number {
  return varintSize(data.length) + data.length
}

/** Reads what a `ByteWriter` wrote. Byte strings are views on the input, not copies. */
export class ByteReader {
  private readonly bytes: Uint8Array
  private at = 0

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }

  get remaining(): number {
    return this.bytes.length - this.at
  }

  byte(): number {
    const value = this.bytes[this.at]
    if (value === undefined) throw new DecodeError('the input ends too early')
    this.at++
    return value
  }

  varint(): number {
    let value = 0
    let scale = 1
    for (let count = 0; count < 8; count++) {
      const byte = this.byte()
      value += (byte & 127) * scale
      if (byte < 128) {
        if (byte === 0 && count > 0) throw new DecodeError('a number is not in its shortest form')
        if (!Number.isSafeInteger(value)) throw new DecodeError('a number is not a safe integer')
        return value
      }
      scale *= 128
    }
    throw new DecodeError('a number is too long')
  }

  sized(): Uint8Array {
    const length = this.varint()
    if (length > this.remaining) throw new DecodeError(`got ${this.remaining} bytes, expected ${length}`)
    const data = this.bytes.subarray(this.at, this.at + length)
    this.at += length
    return data
  }

  /** Checks that all was read. */
  end(): void {
    if (this.remaining > 0) throw new DecodeError(`${this.remaining} bytes follow the end`)
  }
}
