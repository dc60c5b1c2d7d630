/**
 * A libp2p stream as a carrier of frames. Owns: framing, pausing, the close event. Does not own: queues.
 *
 * 1. `onClose` is called exactly once; no frame comes after it.
 * 2. Frames of one read go to whoever listens at that moment: a receiver may hand over to the next between two of them.
 */
import type { Stream } from '@libp2p/interface'
import { KiB } from '../../base/units.ts'
import { abort } from './abort.ts'
import { createFrameReader } from './frames.ts'
import type { FrameReader } from './frames.ts'

export interface FrameSocketEvents {
  onFrame(frame: Uint8Array): void
  onClose(error: Error | undefined): void
  /** The stream may take bytes again, or holds back fewer. */
  onDrain?(): void
}

export interface FrameSocket {
  readonly stream: Stream
  /** Replaces the receiver of frames. */
  listen(events: FrameSocketEvents): void
  /** Whether bytes given now go to the network rather than into the stream's own buffer. */
  writable(): boolean
  /** When bytes last came, on `performance.now()`'s scale; at first when the socket was made. */
  heardAt(): number
  /** Bytes that the stream holds back. */
  bufferedBytes(): number
  /** Writes encoded frames; ignored on a closed stream, whose `onClose` comes. */
  write(bytes: Uint8Array): void
  /** Resolves once there is room for a write; rejects when the stream closed. */
  drained(): Promise<void>
  pause(): void
  resume(): void
  /** Closes the writing side once all is sent; the stream ends when the peer's side closes too. */
  end(): void
  abort(error: Error): void
}

/** Bytes in the stream's own buffer up to which `drained` lets its caller go on. */
const LOW_WATER_BYTES = 64 * KiB

/** Wraps a stream. Frames that arrive before `listen` wait for it in the stream. */
export function createFrameSocket(stream: Stream, maxFrameBytes: number): FrameSocket {
  return new StreamFrameSocket(stream, maxFrameBytes)
}

class StreamFrameSocket implements FrameSocket {
  readonly stream: Stream
  readonly #reader: FrameReader
  #events: FrameSocketEvents | undefined
  #closed = false
  #heardAt = performance.now()
  #waiting: { readonly resolve: () => void; readonly reject: (error: Error) => void }[] = []

  constructor(stream: Stream, maxFrameBytes: number) {
    this.stream = stream
    this.#reader = createFrameReader(maxFrameBytes)
    stream.addEventListener('close', ({ error }) => {
      this.#close(error)
    })
    // A peer that will send nothing more is gone for us: no protocol here uses half-closed streams.
    stream.addEventListener('end', () => {
      this.#close(undefined)
    })
    stream.addEventListener('drain', () => {
      this.#onRoom()
    })
    // A drain may come while the stream still holds back bytes; then being empty is the next sign. It is given inside a
    // send, and what is sent before that returns would stay in the buffer.
    stream.addEventListener('idle', () => {
      queueMicrotask(() => {
        this.#onRoom()
      })
    })
  }

  listen(events: FrameSocketEvents): void {
    const first = this.#events === undefined
    this.#events = events
    if (first) {
      this.stream.addEventListener('message', ({ data }) => {
        this.#onMessage(data)
      })
    }
  }

  heardAt(): number {
    return this.#heardAt
  }

  writable(): boolean {
    return !this.#closed && !this.stream.writableNeedsDrain
  }

  bufferedBytes(): number {
    return this.stream.writeBufferLength
  }

  write(bytes: Uint8Array): void {
    if (this.#closed || this.stream.writeStatus !== 'writable') return
    try {
      this.stream.send(bytes)
    } catch (error) {
      abort(this.stream, error instanceof Error ? error : new Error(String(error)))
    }
  }

  drained(): Promise<void> {
    // libp2p's own `onDrain` keeps its first promise: it holds nobody back a second time (@libp2p/utils 7).
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject })
      this.#release()
    })
  }

  pause(): void {
    if (!this.#closed) this.stream.pause()
  }

  resume(): void {
    if (!this.#closed) this.stream.resume()
  }

  end(): void {
    this.stream.close().catch((error: unknown) => {
      abort(this.stream, error instanceof Error ? error : new Error(String(error)))
    })
  }

  abort(error: Error): void {
    abort(this.stream, error)
    this.#close(error)
  }

  #onMessage(data: Uint8Array | Iterable<Uint8Array>): void {
    this.#heardAt = performance.now()
    try {
      for (const frame of this.#reader.push(data)) if (!this.#closed) this.#events?.onFrame(frame)
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      abort(this.stream, error)
    }
  }

  #onRoom(): void {
    if (this.#closed) return
    this.#events?.onDrain?.()
    this.#release()
  }

  /** Lets those who wait for room go on, or tells them that none will come. */
  #release(): void {
    const room = this.writable() && this.stream.writeBufferLength < LOW_WATER_BYTES
    if (!room && !this.#closed) return
    for (const { resolve, reject } of this.#waiting.splice(0)) {
      if (room) resolve()
      else reject(new Error('the stream closed'))
    }
  }

  #close(error: Error | undefined): void {
    if (this.#closed) return
    this.#closed = true
    this.#release()
    this.#events?.onClose(error)
  }
}
