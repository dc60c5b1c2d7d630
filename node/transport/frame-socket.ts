/**
 * A libp2p stream as a carrier of frames. Owns: framing, pausing, the close event. Does not own: queues.
 *
 * 1. `onClose` is called exactly once; no frame comes after it.
 * 2. Frames of one read go to whoever listens at that moment: a receiver may hand over to the next between two of them.
 */
import type { Stream } from '@libp2p/interface'
import { createFrameReader } from './frames.ts'

export interface FrameSocketEvents {
  onFrame(frame: Uint8Array): void
  onClose(error: Error | undefined): void
  /** The stream may take bytes again, or holds back fewer; also during `write`. */
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
  /** Resolves once `writable()`; rejects when the stream closed. */
  drained(): Promise<void>
  pause(): void
  resume(): void
  /** Closes the writing side once all is sent; the stream ends when the peer's side closes too. */
  end(): void
  abort(error: Error): void
}

/** Wraps a stream. Frames that arrive before `listen` wait for it in the stream. */
export function createFrameSocket(stream: Stream, maxFrameBytes: number): FrameSocket {
  const reader = createFrameReader(maxFrameBytes)
  let events: FrameSocketEvents | undefined
  let closed = false
  let heardAt = performance.now()
  const onClosed = new Set<(error: Error) => void>()

  const close = (error: Error | undefined): void => {
    if (closed) return
    closed = true
    for (const reject of onClosed) reject(error ?? new Error('the stream closed'))
    events?.onClose(error)
  }
  const onMessage = ({ data }: { readonly data: Uint8Array | Iterable<Uint8Array> }): void => {
    heardAt = performance.now()
    try {
      for (const frame of reader.push(data)) if (!isClosed()) events?.onFrame(frame)
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      stream.abort(error)
    }
  }
  const isClosed = (): boolean => closed
  stream.addEventListener('close', ({ error }) => {
    close(error)
  })
  // A peer that will send nothing more is gone for us: no protocol here uses half-closed streams.
  stream.addEventListener('end', () => {
    close(undefined)
  })
  // A drain may come while the stream still holds back bytes; then being empty is the next sign.
  for (const sign of ['drain', 'idle'] as const) stream.addEventListener(sign, () => events?.onDrain?.())

  return {
    stream,
    listen: (next) => {
      const first = events === undefined
      events = next
      if (first) stream.addEventListener('message', onMessage)
    },
    writable: () => !closed && !stream.writableNeedsDrain,
    heardAt: () => heardAt,
    bufferedBytes: () => stream.writeBufferLength,
    write: (bytes) => {
      if (closed || stream.writeStatus !== 'writable') return
      try {
        stream.send(bytes)
      } catch (error) {
        stream.abort(error instanceof Error ? error : new Error(String(error)))
      }
    },
    drained: async () => {
      if (closed) throw new Error('the stream closed')
      if (stream.writableNeedsDrain) await stream.onDrain()
    },
    pause: () => {
      stream.pause()
    },
    resume: () => {
      if (!closed) stream.resume()
    },
    end: () => {
      stream.close().catch((error: unknown) => {
        stream.abort(error instanceof Error ? error : new Error(String(error)))
      })
    },
    abort: (error) => {
      stream.abort(error)
      close(error)
    }
  }
}
