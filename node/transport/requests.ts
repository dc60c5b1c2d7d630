/**
 * Requests: one stream each, one frame there, one reply back. The only protocol that a peer outside the cluster may use,
 * so what it can cost is bounded by peer and by size.
 */
import type { Connection, Stream } from '@libp2p/interface'
import type { NodeId, PeerId } from '../../base/ids.ts'
import { AppError } from '../../base/errors.ts'
import { MiB } from '../../base/units.ts'
import { createFrameSocket } from './frame-socket.ts'
import { encodeFrames } from './frames.ts'
import type { TransportLimits } from './options.ts'
import { REQUEST_PROTOCOL } from './protocols.ts'
import { decodeReply, encodeFailure, encodeSuccess } from './remote-error.ts'

/** Largest request of a peer that is not a member: joining needs little. */
const STRANGER_REQUEST_BYTES = 1 * MiB

/** Sends a request over a connection and waits for the reply. `signal` ends the wait with its reason. */
export async function sendRequest(
  connection: Connection,
  request: Uint8Array,
  maxFrameBytes: number,
  signal: AbortSignal
): Promise<Uint8Array> {
  const stream = await openStream(connection, signal)
  const socket = createFrameSocket(stream, maxFrameBytes)
  let onAbort = (): void => undefined
  try {
    const reply = await new Promise<Uint8Array>((resolve, reject) => {
      onAbort = () => {
        reject(signal.reason as Error)
      }
      signal.addEventListener('abort', onAbort)
      socket.listen({
        onFrame: resolve,
        onClose: (error) => {
          // The request may have been carried out all the same.
          reject(new AppError('TIMEOUT', 'the connection was lost before the reply', { cause: error }))
        }
      })
      socket.write(encodeFrames([request]))
    })
    return decodeReply(reply)
  } finally {
    signal.removeEventListener('abort', onAbort)
    socket.abort(new Error('the request is over'))
  }
}

/** Negotiating a stream does not notice that its connection ended, so that is watched here. */
function openStream(connection: Connection, signal: AbortSignal): Promise<Stream> {
  return new Promise((resolve, reject) => {
    const onClose = (): void => {
      reject(new AppError('PEER_UNREACHABLE', 'the connection closed before the request was sent'))
    }
    connection.addEventListener('close', onClose)
    connection
      .newStream(REQUEST_PROTOCOL, { signal })
      .then(resolve, reject)
      .finally(() => {
        connection.removeEventListener('close', onClose)
      })
  })
}

export interface RequestServer {
  accept(stream: Stream, connection: Connection): void
}

export function createRequestServer(options: {
  readonly limits: TransportLimits
  memberOf(peer: PeerId): NodeId | undefined
  onRequest(from: PeerId, member: NodeId | undefined, request: Uint8Array): Promise<Uint8Array>
}): RequestServer {
  const open = new Map<PeerId, number>()
  const { limits } = options

  const answer = async (
    peer: PeerId,
    member: NodeId | undefined,
    request: Uint8Array
  ): Promise<Uint8Array> => {
    const count = open.get(peer) ?? 0
    if (count >= limits.maxRequestsPerPeer) {
      return encodeFailure(
        new AppError('OVERLOADED', `more than ${limits.maxRequestsPerPeer} requests at once`)
      )
    }
    open.set(peer, count + 1)
    try {
      return encodeSuccess(await options.onRequest(peer, member, request))
    } catch (error) {
      return encodeFailure(error)
    } finally {
      const left = (open.get(peer) ?? 1) - 1
      if (left === 0) open.delete(peer)
      else open.set(peer, left)
    }
  }

  return {
    accept: (stream, connection) => {
      const peer = connection.remotePeer.toString() as PeerId
      const member = options.memberOf(peer)
      const socket = createFrameSocket(
        stream,
        member === undefined ? STRANGER_REQUEST_BYTES : limits.maxFrameBytes
      )
      let asked = false
      const silence = setTimeout(() => {
        socket.abort(new Error('no request in time'))
      }, limits.dialTimeoutMs)
      socket.listen({
        onFrame: (request) => {
          clearTimeout(silence)
          if (asked) {
            socket.abort(new Error('more than one request in a stream'))
            return
          }
          asked = true
          void answer(peer, member, request).then((reply) => {
            socket.write(encodeFrames([reply]))
          })
        },
        onClose: () => {
          clearTimeout(silence)
        }
      })
    }
  }
}
