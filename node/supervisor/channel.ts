/**
 * Typed messages over a byte stream between two processes of one node. All messages of one macrotask travel as one
 * frame (32-bit little-endian length, msgpackr), since a frame costs a system call and its parts do not.
 *
 * 1. Messages arrive whole and in order, or the channel closes.
 * 2. After `onClose` nothing follows.
 */
import type { Readable, Writable } from 'node:stream'
import { Packr, Unpackr } from 'msgpackr'
import { MiB } from '../../base/units.ts'

const HEADER_BYTES = 4
const MAX_FRAME_BYTES = 256 * MiB

export interface Channel<Out> {
  /** Queues a message. Never throws; what is sent after the end is dropped. */
  send(message: Out): void
  /** Writes what is queued now, rather than at the end of the macrotask. */
  flush(): void
  /** Bytes written but not taken by the other side. */
  queuedBytes(): number
  /** Calls back once, when little is queued again; at once when it is so already. */
  onDrain(callback: () => void): void
  close(): void
}

export interface ChannelHandlers<In> {
  onMessage(message: In): void
  /** The other end is gone, or spoke nonsense. */
  onClose(error: Error | undefined): void
}

/** A channel over a pair of streams, which may be one socket. The peer is trusted: messages are not validated. */
export function createChannel<Out, In>(
  input: Readable,
  output: Writable,
  handlers: ChannelHandlers<In>
): Channel<Out> {
  // Record structures are sent once and kept by both ends, so both must see every frame in order.
  const packr = new Packr({ sequential: true })
  const frames = createFrameReader((message) => {
    handlers.onMessage(message as In)
  })
  let queue: Out[] = []
  let scheduled = false
  let closed = false

  const close = (error: Error | undefined): void => {
    if (closed) return
    closed = true
    input.destroy()
    output.destroy()
    handlers.onClose(error)
  }
  const flush = (): void => {
    scheduled = false
    if (queue.length === 0 || closed) return
    const body = packr.pack(queue)
    queue = []
    const frame = Buffer.allocUnsafe(HEADER_BYTES + body.length)
    frame.writeUInt32LE(body.length, 0)
    frame.set(body, HEADER_BYTES)
    output.write(frame)
  }
  input.on('data', (chunk: Buffer) => {
    try {
      frames.push(chunk)
    } catch (error) {
      close(error instanceof Error ? error : new Error(String(error)))
    }
  })
  input.on('error', close)
  output.on('error', close)
  input.on('close', () => {
    close(undefined)
  })
  return {
    send: (message) => {
      queue.push(message)
      if (scheduled) return
      scheduled = true
      setImmediate(flush)
    },
    flush,
    queuedBytes: () => output.writableLength,
    onDrain: (callback) => {
      if (output.writableNeedDrain) output.once('drain', callback)
      else setImmediate(callback)
    },
    close: () => {
      flush()
      output.end(() => {
        close(undefined)
      })
    }
  }
}

function createFrameReader(onMessage: (message: unknown) => void): { push(chunk: Buffer): void } {
  const unpackr = new Unpackr({ sequential: true })
  let parts: Buffer[] = []
  let buffered = 0
  let needed = HEADER_BYTES

  return {
    push: (chunk) => {
      parts.push(chunk)
      buffered += chunk.length
      // A frame of many chunks is joined once, when it is complete.
      if (buffered < needed) return
      let rest = parts.length === 1 ? chunk : Buffer.concat(parts)
      for (;;) {
        needed = HEADER_BYTES
        if (rest.length < needed) break
        const length = rest.readUInt32LE(0)
        if (length > MAX_FRAME_BYTES) throw new Error(`a frame of ${length} bytes`)
        needed += length
        if (rest.length < needed) break
        const messages = unpackr.unpack(rest.subarray(HEADER_BYTES, needed)) as unknown[]
        rest = rest.subarray(needed)
        for (const message of messages) onMessage(message)
      }
      parts = rest.length === 0 ? [] : [rest]
      buffered = rest.length
    }
  }
}
