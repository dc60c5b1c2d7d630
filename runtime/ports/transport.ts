/**
 * Node-to-node communication. The real adapter is libp2p (noise, yamux), with one stream per peer and channel, so that
 * bulk never delays liveness; the simulator's drops, delays, repeats and reorders.
 *
 * 1. Frames are delivered whole or not at all; within one (peer, channel) connection in order, but a reconnection may
 *    lose any of them. Nothing above may rely on delivery.
 * 2. Only members may speak: a peer's number is what membership says of its authenticated peer id, never what it claims.
 * 3. Both ends compare protocol version and cluster before the first frame; a mismatch is reported, not retried hot.
 */
import type { NodeId, PeerId } from '../../base/ids.ts'

/** `liveness`: votes, heartbeats, leases. `append`: log entries. `forward`: proposals, reports and reads. */
export type Channel = 'liveness' | 'append' | 'forward'
export const CHANNELS: readonly Channel[] = ['liveness', 'append', 'forward']

export interface PeerAddress {
  readonly id: NodeId
  readonly peerId: PeerId
  /** Multiaddresses, best first. */
  readonly addresses: readonly string[]
}

export interface TransportHandlers {
  onFrame(from: NodeId, channel: Channel, frame: Uint8Array): void
  /** A connection to a member came up or was lost. */
  onConnection(peer: NodeId, connected: boolean): void
  /**
   * A request from any authenticated peer, member or not (joining needs it). The answer goes back to it; a throw
   * becomes an error reply that carries the `AppError`'s code and message.
   */
  onRequest(from: PeerId, member: NodeId | undefined, request: Uint8Array): Promise<Uint8Array>
  /** A member streams a snapshot: a header, then chunks. Resolves when it was taken over or refused. */
  onSnapshot(from: NodeId, header: Uint8Array, chunks: AsyncIterable<Uint8Array>): Promise<void>
}

export interface Transport {
  readonly peerId: PeerId
  /** Where this node can be dialled, once started. */
  addresses(): readonly string[]
  start(handlers: TransportHandlers): Promise<void>
  /** Who this node is, and in which cluster: known from the start or once joined. Needed before members can speak. */
  identify(identity: { readonly clusterId: string; readonly nodeId: NodeId }): void
  /** The members other than this node. Replaces the former set: connects to new ones, cuts off removed ones. */
  setPeers(peers: readonly PeerAddress[]): void
  /** Queues a frame; false when it was dropped at once (no such member, or its queue is full). Never throws. */
  send(to: NodeId, channel: Channel, frame: Uint8Array): boolean
  /** Bytes queued for a peer's channel and not yet handed to the network: back-pressure for bulk senders. */
  queuedBytes(to: NodeId, channel: Channel): number
  /** Asks a peer by multiaddress (with its peer id) or by member number. Rejects with an `AppError`. */
  request(
    to: NodeId | string,
    request: Uint8Array,
    options: { readonly timeoutMs: number }
  ): Promise<Uint8Array>
  /** Streams a snapshot to a member. Rejects when the stream broke or the receiver refused. */
  sendSnapshot(to: NodeId, header: Uint8Array, chunks: AsyncIterable<Uint8Array>): Promise<void>
  stop(): Promise<void>
}
