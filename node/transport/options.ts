/**
 * What the libp2p transport is told at its creation. The factory is `createLibp2pTransport(options)` in
 * `libp2p-transport.ts`; the key comes from `generatePeerKey()` and is persisted by the wiring.
 */
import type { NodeId, PeerId } from '../../base/ids.ts'
import type { Entropy } from '../../runtime/ports/entropy.ts'
import type { Logger } from '../../runtime/ports/log.ts'

/** Why a peer that could be reached is not spoken to. */
export interface PeerMismatch {
  readonly peerId: PeerId
  /** The member number that membership gives this peer, if it is a member. */
  readonly member: NodeId | undefined
  readonly code: 'PROTOCOL_VERSION_UNSUPPORTED' | 'CLUSTER_MISMATCH'
  readonly message: string
}

export interface Libp2pTransportOptions {
  /** As `generatePeerKey()` made it: a libp2p private key in its protobuf form. */
  readonly privateKey: Uint8Array
  /** Multiaddresses to listen on. Default: an ephemeral port on loopback. */
  readonly listen?: readonly string[]
  /** Multiaddresses that others should dial instead of those listened on (behind NAT or in a container). */
  readonly announce?: readonly string[]
  readonly entropy: Entropy
  readonly logger: Logger
  /** Shown to peers and in their logs. */
  readonly softwareVersion: string
  /** Called once for each peer and code until that peer was spoken to. */
  readonly onMismatch?: (mismatch: PeerMismatch) => void
  readonly limits?: Partial<TransportLimits>
}

/** Bounds and periods of the transport; all have defaults. */
export interface TransportLimits {
  /** Largest frame, request, reply, snapshot header or snapshot chunk. Default 16 MiB. */
  readonly maxFrameBytes: number
  /** Frames queued for one peer and channel and not yet taken by the network. Default 64 MiB. */
  readonly maxQueueBytes: number
  /** Bytes given to one stream write: what a later liveness frame may have to wait behind. Default 256 KiB. */
  readonly maxWriteBytes: number
  /** Longest attempt to connect, secure and greet. Default 3 s. */
  readonly dialTimeoutMs: number
  /** Reconnection: the first wait; doubles with full jitter. Default 50 ms. */
  readonly minBackoffMs: number
  /** Reconnection: the longest wait. Default 2 s. */
  readonly maxBackoffMs: number
  /** How often an otherwise silent liveness stream carries an empty frame. Default 500 ms. */
  readonly keepAliveMs: number
  /** Silence of a peer after which its connections are dead. Default 3 s. */
  readonly silenceMs: number
  /** Requests from one peer that are answered at once; more are refused with OVERLOADED. Default 256. */
  readonly maxRequestsPerPeer: number
}
