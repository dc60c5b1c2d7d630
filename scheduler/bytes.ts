/**
 * A byte writer and reader for everything that is replicated: log entries, state rows, forwarded proposals.
 *
 * Ours rather than a general codec because state rows are hashed: the bytes of a value must not depend on a package's
 * version, on an optional native decoder or on the Node release, and a decoder must refuse what it does not know.
 *
 * 1. A value has one encoding: unsigned integers are LEB128, signed ones zigzag, floats IEEE 754 little-endian, texts
 *    UTF-8 with a length in bytes.
 * 2. Reading never yields part of a value: it ends with the value or with an `ENCODING_INVALID` error.
 * 3. Read bytes are copies: a small value never keeps a whole log entry in memory.
 */
import { AppError } from '../base/errors.ts'
import { invariant } from '../base/invariant.ts'

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const ASCII: readonly string[] = Array.from({ length: 128 }, (_, code) => String.fromCharCode(code))
/** Longer texts are decoded natively; below it a loop is faster (measured on Node 20). */
const SHORT_TEXT = 48

/** The empty bytes that every decoded empty value shares. */
export const NO_BYTES = new Uint8Array(0)

/** An error for bytes that do not decode. */
export function malformed(what: string): AppError {
  return new AppError('ENCODING_INVALID', what)
}

/** Grows as needed; one writer serves many values: `begin`, write, `take`. */
export class ByteWriter {
  private buffer = new Uint8Array(4096)
  private view = new DataView(this.buffer.buffer)
  private size = 0

  /** Drops what an earlier value left behind when it could not be written. */
  begin(): void {
    this.size = 0
  }

  /** A safe integer ≥ 0. */
  uint(value: number): void {
    invariant(
      Number.isSafeInteger(value) && value >= 0,
      () => `uint: got ${value}, expected a safe integer ≥ 0`
    )
    this.reserve(8)
    let rest = value
    while (rest > 0x7fffffff) {
      this.buffer[this.size++] = (rest % 128) | 0x80
      rest = Math.floor(rest / 128)
    }
    while (rest >= 0x80) {
      this.buffer[this.size++] = (rest & 0x7f) | 0x80
      rest >>>= 7
    }
    this.buffer[this.size++] = rest
  }

  /** An integer in (-2^52, 2^52). */
  int(value: number): void {
    this.uint(value >= 0 ? value * 2 : -value * 2 - 1)
  }

  float(value: number): void {
    this.reserve(8)
    this.view.setFloat64(this.size, value, true)
    this.size += 8
  }

  bool(value: boolean): void {
    this.uint(value ? 1 : 0)
  }

  /** A lone surrogate becomes U+FFFD. */
  text(value: string): void {
    const length = value.length
    this.reserve(length * 3 + 8)
    if (length < 128) {
      const start = this.size
      this.buffer[this.size++] = length
      let index = 0
      for (; index < length; index++) {
        const code = value.charCodeAt(index)
        if (code >= 0x80) break
        this.buffer[this.size++] = code
      }
      if (index === length) return
      this.size = start
    }
    this.bytes(encoder.encode(value))
  }

  bytes(value: Uint8Array): void {
    this.uint(value.length)
    this.reserve(value.length)
    this.buffer.set(value, this.size)
    this.size += value.length
  }

  /** Ends the value with a hash over it, which `ByteReader.checkSeal` checks. */
  seal(hash: (bytes: Uint8Array) => number): void {
    const value = hash(this.buffer.subarray(0, this.size))
    this.reserve(4)
    this.view.setUint32(this.size, value, true)
    this.size += 4
  }

  /** A copy of what was written. */
  take(): Uint8Array {
    const taken = this.buffer.slice(0, this.size)
    this.size = 0
    return taken
  }

  private reserve(count: number): void {
    const needed = this.size + count
    if (needed <= this.buffer.length) return
    let capacity = this.buffer.length
    while (capacity < needed) capacity *= 2
    const grown = new Uint8Array(capacity)
    grown.set(this.buffer.subarray(0, this.size))
    this.buffer = grown
    this.view = new DataView(grown.buffer)
  }
}

/** Reads what `ByteWriter` wrote, in the same order. */
export class ByteReader {
  private buffer: Uint8Array
  private position = 0

  constructor(buffer: Uint8Array) {
    this.buffer = buffer
  }

  /** Checks and takes off the hash that `ByteWriter.seal` put at the end. */
  checkSeal(hash: (bytes: Uint8Array) => number): void {
    if (this.remaining < 4) throw malformed('the bytes end inside a value')
    const end = this.buffer.length - 4
    const sealed = new DataView(this.buffer.buffer, this.buffer.byteOffset + end, 4).getUint32(0, true)
    this.buffer = this.buffer.subarray(0, end)
    if (hash(this.buffer) !== sealed) throw malformed('the value does not match its hash')
  }

  get remaining(): number {
    return this.buffer.length - this.position
  }

  uint(): number {
    let byte = this.byte()
    if (byte < 0x80) return byte
    let value = byte & 0x7f
    let scale = 128
    do {
      byte = this.byte()
      value += (byte & 0x7f) * scale
      scale *= 128
      if (value > Number.MAX_SAFE_INTEGER) throw malformed('integer: got more than 2^53 - 1')
    } while (byte >= 0x80)
    if (byte === 0) throw malformed('integer: got a padded encoding')
    return value
  }

  int(): number {
    const value = this.uint()
    return value % 2 === 0 ? value / 2 : -((value + 1) / 2)
  }

  float(): number {
    this.need(8)
    const view = new DataView(this.buffer.buffer, this.buffer.byteOffset + this.position, 8)
    this.position += 8
    return view.getFloat64(0, true)
  }

  bool(): boolean {
    const value = this.byte()
    if (value > 1) throw malformed(`boolean: got ${value}`)
    return value === 1
  }

  /** An integer below `bound`: an index into a table of names. */
  choice(bound: number): number {
    const value = this.uint()
    if (value >= bound) throw malformed(`choice: got ${value}, expected less than ${bound}`)
    return value
  }

  text(): string {
    const length = this.uint()
    this.need(length)
    const end = this.position + length
    if (length <= SHORT_TEXT) {
      let text = ''
      let index = this.position
      for (; index < end; index++) {
        const char = ASCII[this.buffer[index] ?? 0x80]
        if (char === undefined) break
        text += char
      }
      if (index === end) {
        this.position = end
        return text
      }
    }
    const bytes = this.buffer.subarray(this.position, end)
    this.position = end
    try {
      return decoder.decode(bytes)
    } catch {
      throw malformed('text: got bytes that are not UTF-8')
    }
  }

  bytes(): Uint8Array {
    const length = this.uint()
    if (length === 0) return NO_BYTES
    this.need(length)
    // `Uint8Array.prototype.slice` copies even where the entry arrived as a subclass whose `slice` is a view.
    const copy = new Uint8Array(length)
    copy.set(this.buffer.subarray(this.position, this.position + length))
    this.position += length
    return copy
  }

  /** Asserts that everything was read. */
  end(): void {
    if (this.remaining !== 0) throw malformed(`${this.remaining} bytes follow the value`)
  }

  /** A count of items that take at least one byte each, so that a wrong count cannot ask for absurd memory. */
  count(): number {
    const value = this.uint()
    if (value > this.remaining) throw malformed(`count: got ${value} with ${this.remaining} bytes left`)
    return value
  }

  private byte(): number {
    const byte = this.buffer[this.position]
    if (byte === undefined) throw malformed('the bytes end inside a value')
    this.position++
    return byte
  }

  private need(count: number): void {
    if (count > this.remaining) throw malformed(`got ${this.remaining} bytes where a value needs ${count}`)
  }
}
