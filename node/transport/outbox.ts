/**
 * The frames that wait for one peer and channel. All that are queued within a macrotask leave in one stream write.
 *
 * 1. Order is kept; a frame over the bound is refused, never one that was accepted dropped, except by `clear`.
 * 2. At most `maxWriteBytes` lie in the stream's own buffer, so that the network's back-pressure is seen here.
 */
import { encodeFrames, framedBytes } from './frames.ts'
import type { FrameSocket } from './frame-socket.ts'

export interface OutboxLimits {
  readonly maxQueueBytes: number
  readonly maxWriteBytes: number
}

export interface Outbox {
  /** Queues a frame; false when it would pass the bound. The frame must not be changed afterwards. */
  push(frame: Uint8Array): boolean
  /** Bytes not yet handed to the network. */
  bytes(): number
  /** Whether anything was written since the last call. */
  takeActivity(): boolean
  attach(socket: FrameSocket): void
  detach(): void
  /** Writes what the network takes now. */
  flush(): void
  clear(): void
}

export function createOutbox(limits: OutboxLimits): Outbox {
  let frames: Uint8Array[] = []
  /** Frames before this position have left; the array is cut when it runs empty. */
  let next = 0
  let queued = 0
  let socket: FrameSocket | undefined
  let scheduled = false
  let active = false

  const take = (): Uint8Array => {
    const batch: Uint8Array[] = []
    let size = 0
    for (let frame = frames[next]; frame !== undefined; frame = frames[next]) {
      const bytes = framedBytes(frame)
      if (batch.length > 0 && size + bytes > limits.maxWriteBytes) break
      batch.push(frame)
      size += bytes
      next += 1
    }
    queued -= size
    if (next === frames.length) {
      frames = []
      next = 0
    }
    return encodeFrames(batch)
  }
  const flush = (): void => {
    while (next < frames.length && socket?.writable() === true) {
      if (socket.bufferedBytes() >= limits.maxWriteBytes) return
      socket.write(take())
      active = true
    }
  }

  return {
    push: (frame) => {
      const bytes = framedBytes(frame)
      if (queued + bytes > limits.maxQueueBytes) return false
      frames.push(frame)
      queued += bytes
      if (!scheduled) {
        scheduled = true
        // After the callbacks of this round of the event loop, which may send more.
        setImmediate(() => {
          scheduled = false
          flush()
        })
      }
      return true
    },
    bytes: () => queued + (socket?.bufferedBytes() ?? 0),
    takeActivity: () => {
      const was = active
      active = false
      return was
    },
    attach: (next) => {
      socket = next
      flush()
    },
    detach: () => {
      socket = undefined
    },
    flush,
    clear: () => {
      frames = []
      next = 0
      queued = 0
    }
  }
}
