/**
 * Requests from node to node outside of Raft: joining, telling one's addresses, reading another node's task output.
 *
 * One msgpackr value of positional arrays each way. The transport authenticates the peer; only `join` is open to peers
 * that are not members.
 */
import { Packr } from 'msgpackr'
import { AppError } from '../../base/errors.ts'
import type { ClusterId, NodeId, PeerId, TaskId } from '../../base/ids.ts'
import type { TimestampMs } from '../../base/units.ts'
import type { LogChunk, LogPosition } from '../execution/attempt-logs.ts'
import type { PeerAddress } from '../ports/transport.ts'

/** Version of node-to-node requests and frames; peers of another one are refused with both versions named. */
const PEER_PROTOCOL_VERSION = 1

export type PeerRequest =
  | { readonly type: 'join'; readonly addresses: readonly string[]; readonly zone: string }
  | { readonly type: 'hello'; readonly addresses: readonly string[] }
  | { readonly type: 'logs'; readonly task: TaskId; readonly after: LogPosition; readonly maxBytes: number }

export interface JoinReply {
  readonly clusterId: ClusterId
  readonly nodeId: NodeId
  readonly peers: readonly PeerAddress[]
}

const packr = new Packr({ useRecords: false })

export function encodePeerRequest(request: PeerRequest): Uint8Array {
  switch (request.type) {
    case 'join':
      return packr.pack([PEER_PROTOCOL_VERSION, 'join', request.addresses, request.zone])
    case 'hello':
      return packr.pack([PEER_PROTOCOL_VERSION, 'hello', request.addresses])
    case 'logs': {
      const { attempt, offset } = request.after
      return packr.pack([PEER_PROTOCOL_VERSION, 'logs', request.task, attempt, offset, request.maxBytes])
    }
  }
}

/** Throws `PROTOCOL_VERSION_UNSUPPORTED` or `INVALID_REQUEST`. */
export function decodePeerRequest(bytes: Uint8Array): PeerRequest {
  const value = unpack(bytes)
  if (value[0] !== PEER_PROTOCOL_VERSION) {
    const got = String(value[0])
    throw new AppError(
      'PROTOCOL_VERSION_UNSUPPORTED',
      `got version ${got}, expected ${PEER_PROTOCOL_VERSION}`
    )
  }
  const [, type, ...rest] = value
  if (type === 'join' && isTexts(rest[0]) && typeof rest[1] === 'string') {
    return { type, addresses: rest[0], zone: rest[1] }
  }
  if (type === 'hello' && isTexts(rest[0])) return { type, addresses: rest[0] }
  if (type === 'logs' && rest.length === 4 && rest.every((part) => typeof part === 'number')) {
    const [task, attempt, offset, maxBytes] = rest as [TaskId, number, number, number]
    return { type, task, after: { attempt, offset }, maxBytes }
  }
  throw new AppError('INVALID_REQUEST', `a request between nodes of unknown form: ${String(type)}`)
}

export function encodeJoinReply(reply: JoinReply): Uint8Array {
  return packr.pack([reply.clusterId, reply.nodeId, reply.peers.map((p) => [p.id, p.peerId, p.addresses])])
}

export function decodeJoinReply(bytes: Uint8Array): JoinReply {
  const [clusterId, nodeId, peers] = unpack(bytes)
  if (typeof clusterId !== 'string' || typeof nodeId !== 'number' || !Array.isArray(peers))
    throw malformed('join')
  return {
    clusterId: clusterId as ClusterId,
    nodeId: nodeId as NodeId,
    peers: (peers as unknown[]).map((peer) => {
      if (!Array.isArray(peer)) throw malformed('join')
      const [id, peerId, addresses] = peer as unknown[]
      if (typeof id !== 'number' || typeof peerId !== 'string' || !isTexts(addresses)) throw malformed('join')
      return { id: id as NodeId, peerId: peerId as PeerId, addresses }
    })
  }
}

export function encodeLogChunks(chunks: readonly LogChunk[]): Uint8Array {
  return packr.pack(chunks.map((c) => [c.attempt, c.offset, c.stream === 'stdout' ? 1 : 2, c.at, c.bytes]))
}

export function decodeLogChunks(bytes: Uint8Array): LogChunk[] {
  return unpack(bytes).map((chunk) => {
    if (!Array.isArray(chunk)) throw malformed('logs')
    const [attempt, offset, stream, at, content] = chunk as unknown[]
    if (typeof attempt !== 'number' || typeof offset !== 'number' || typeof at !== 'number')
      throw malformed('logs')
    if (!(content instanceof Uint8Array)) throw malformed('logs')
    return {
      attempt,
      offset,
      stream: stream === 1 ? 'stdout' : 'stderr',
      at: at as TimestampMs,
      bytes: content
    }
  })
}

function unpack(bytes: Uint8Array): unknown[] {
  try {
    const value: unknown = packr.unpack(bytes)
    if (Array.isArray(value)) return value as unknown[]
  } catch (error) {
    throw new AppError('INVALID_REQUEST', 'a message between nodes does not decode', { cause: error })
  }
  throw new AppError('INVALID_REQUEST', 'a message between nodes is not an array')
}

function malformed(kind: string): AppError {
  return new AppError('INVALID_REQUEST', `a ${kind} reply of unknown form`)
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((text) => typeof text === 'string')
}
