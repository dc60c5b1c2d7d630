/**
 * How frames lie in a stream: a big-endian u32 length, then the bytes. One length value is reserved for the sign of life
 * that the transport sends by itself and never delivers.
 *
 * Frames that a `FrameReader` returns may be views on the received buffers, not copies.
 */
const PREFIX_BYTES = 4
const SIGN_OF_LIFE = 0xffffffff

/** The bytes of a sign of life. */
export const signOfLife: Uint8Array = Uint8Array.from([0xff, 0xff, 0xff, 0xff])

/** Bytes that a frame takes in the stream. */
export function framedBytes(frame: Uint8Array): number {
  return PREFIX_BYTES + frame.byteLength
}

/** Frames as one contiguous buffer: a copy is cheaper than the cipher and socket calls of many small pieces. */
export function encodeFrames(frames: readonly Uint8Array[]): Uint8Array {
  let total = 0
  for (const frame of frames) total += framedBytes(frame)
  const buffer = Buffer.allocUnsafe(total)
  let at = 0
  for (const frame of frames) {
    at = buffer.writeUInt32BE(frame.byteLength, at)
    buffer.set(frame, at)
    at += frame.byteLength
  }
  return buffer
}

/** Cuts a byte stream into frames. */
export interface FrameReader {
  /** Takes received bytes and returns the frames they complete. Throws a `RangeError` for a frame over the bound. */
  push(data: Uint8Array | Iterable<Uint8Array>): readonly Uint8Array[]
}

export function createFrameReader(maxFrameBytes: number): FrameReader {
  let prefix = 0
  let prefixBytes = 0
  let partial: Buffer | undefined
  let partialBytes = 0

  /** Reads one buffer; frames that lie in it whole become views on it. */
  const read = (data: Uint8Array, frames: Uint8Array[]): void => {
    let at = 0
    while (at < data.byteLength) {
      if (partial !== undefined) {
        const end = Math.min(data.byteLength, at + partial.byteLength - partialBytes)
        partial.set(data.subarray(at, end), partialBytes)
        partialBytes += end - at
        at = end
        if (partialBytes < partial.byteLength) return
        frames.push(partial)
        partial = undefined
        continue
      }
      prefix = ((prefix << 8) | (data[at++] ?? 0)) >>> 0
      if (++prefixBytes < PREFIX_BYTES) continue
      prefixBytes = 0
      if (prefix === SIGN_OF_LIFE) continue
      if (prefix > maxFrameBytes) {
        throw new RangeError(`frame of ${prefix} bytes, expected at most ${maxFrameBytes}`)
      }
      if (data.byteLength - at >= prefix) {
        frames.push(data.subarray(at, at + prefix))
        at += prefix
      } else {
        partial = Buffer.allocUnsafeSlow(prefix)
        partialBytes = 0
      }
    }
  }

  return {
    push: (data) => {
      const frames: Uint8Array[] = []
      if (data instanceof Uint8Array) read(data, frames)
      else for (const part of data) read(part, frames)
      return frames
    }
  }
}
