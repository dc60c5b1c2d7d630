/**
 * Snapshot streams: greeting, header, chunks, end mark; then the receiver's verdict. Both ends hold a bounded part: the
 * sender waits for the network, the receiver stops reading while its consumer is behind.
 */
import type { Connection, Stream } from '@libp2p/interface'
import { AppError } from '../../base/errors.ts'
import type { NodeId } from '../../base/ids.ts'
import { KiB, MiB } from '../../base/units.ts'
import { createFrameSocket } from './frame-socket.ts'
import type { FrameSocket } from './frame-socket.ts'
import { encodeFrames } from './frames.ts'
import { greet } from './greeting.ts'
import type { Hello } from './hello.ts'
import type { TransportLimits } from './options.ts'
import { SNAPSHOT_PROTOCOL } from './protocols.ts'
import { decodeReply, encodeFailure, encodeSuccess } from './remote-error.ts'

/** Received bytes that wait for the consumer before reading stops. */
const HIGH_WATER_BYTES = 1 * MiB
/** One write: what the event loop encrypts without a break. */
const WRITE_BYTES = 64 * KiB
/** A frame without bytes ends the chunks; empty chunks are therefore not sent. */
const END_MARK = new Uint8Array()

/** Streams a snapshot. Rejects with the receiver's `AppError`, with the source's error, or when the stream broke. */
export async function sendSnapshot(
  connection: Connection,
  hello: Hello,
  header: Uint8Array,
  chunks: AsyncIterable<Uint8Array>,
  limits: TransportLimits
): Promise<void> {
  const stream = await connection.newStream(SNAPSHOT_PROTOCOL)
  const socket = createFrameSocket(stream, limits.maxFrameBytes)
  let over = false
  const isOver = (): boolean => over
  let onVerdict: (reply: Uint8Array) => void = () => undefined
  let onBreak: (error: Error) => void = () => undefined
  const verdict = new Promise<Uint8Array>((resolve, reject) => {
    onVerdict = resolve
    onBreak = reject
  })
  // It may come, or the stream break, while nobody waits for it yet.
  verdict.catch(() => undefined)
  try {
    await greet(socket, hello, limits.dialTimeoutMs, {
      onFrame: (reply) => {
        over = true
        onVerdict(reply)
      },
      onClose: (error) => {
        over = true
        onBreak(new AppError('PEER_UNREACHABLE', 'the snapshot stream broke', { cause: error }))
      }
    })
    await writeWithBackPressure(socket, header)
    for await (const chunk of chunks) {
      if (isOver()) break
      if (chunk.byteLength > 0) await writeWithBackPressure(socket, chunk)
    }
    await writeWithBackPressure(socket, END_MARK)
    decodeReply(await verdict)
  } finally {
    socket.abort(new Error('the snapshot stream is over'))
  }
}

/** Takes one snapshot stream of a member, after the greeting. */
export function receiveSnapshot(
  stream: Stream,
  hello: Hello,
  from: NodeId,
  limits: TransportLimits,
  onSnapshot: (from: NodeId, header: Uint8Array, chunks: AsyncIterable<Uint8Array>) => Promise<void>
): Promise<void> {
  const socket = createFrameSocket(stream, limits.maxFrameBytes)
  const chunks = createChunkQueue(socket)
  let started = false
  let decided = false
  const take = async (header: Uint8Array): Promise<void> => {
    const reply = await onSnapshot(from, header, chunks.iterable).then(() => encodeSuccess(), encodeFailure)
    // What the sender still had on its way is read and dropped.
    decided = true
    socket.resume()
    socket.write(encodeFrames([reply]))
  }
  return greet(socket, hello, limits.dialTimeoutMs, {
    onFrame: (frame) => {
      if (decided) return
      if (started) chunks.push(frame)
      else {
        started = true
        void take(frame)
      }
    },
    onClose: (error) => {
      chunks.fail(new AppError('PEER_UNREACHABLE', 'the snapshot stream broke', { cause: error }))
    }
  }).then(() => undefined)
}

async function writeWithBackPressure(socket: FrameSocket, frame: Uint8Array): Promise<void> {
  const bytes = encodeFrames([frame])
  for (let at = 0; at < bytes.byteLength; at += WRITE_BYTES) {
    await socket.drained()
    socket.write(bytes.subarray(at, at + WRITE_BYTES))
    // Lets heartbeats through between two writes.
    await new Promise(setImmediate)
  }
}

interface ChunkQueue {
  readonly iterable: AsyncIterable<Uint8Array>
  push(frame: Uint8Array): void
  fail(error: Error): void
}

function createChunkQueue(socket: FrameSocket): ChunkQueue {
  const queue: Uint8Array[] = []
  let bytes = 0
  let paused = false
  let ended = false
  let failure: Error | undefined
  let wake = (): void => undefined

  async function* read(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const chunk = queue.shift()
      if (chunk !== undefined) {
        bytes -= chunk.byteLength
        if (paused && bytes < HIGH_WATER_BYTES / 2) {
          paused = false
          socket.resume()
        }
        yield chunk
      } else if (ended) return
      else if (failure !== undefined) throw failure
      else {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    }
  }

  return {
    iterable: read(),
    push: (frame) => {
      if (frame.byteLength === 0) ended = true
      else {
        queue.push(frame)
        bytes += frame.byteLength
        if (!paused && bytes >= HIGH_WATER_BYTES) {
          paused = true
          socket.pause()
        }
      }
      wake()
    },
    fail: (error) => {
      failure = error
      wake()
    }
  }
}
