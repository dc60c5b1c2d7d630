/** What the parts of the simulated network know of each other. */
import type { NodeId, PeerId } from '../base/ids.ts'
import type { Channel, TransportHandlers } from '../runtime/ports/transport.ts'
import type { SimLink } from './network-link.ts'

/** One life of a node, as its peers meet it. */
export interface SimEnd {
  readonly peerId: PeerId
  /** Started, and neither stopped nor crashed. */
  readonly alive: boolean
  readonly clusterId: string | undefined
  readonly handlers: TransportHandlers | undefined
  /** The number under which this node knows a peer. */
  numberOf(peer: PeerId): NodeId | undefined
  /** The same, but only for one of its own cluster, while both have an identity. */
  memberOf(from: SimEnd): NodeId | undefined
  receive(from: SimEnd, channel: Channel, frame: Uint8Array): void
}

/** What a life needs of the network around it. */
export interface Surroundings {
  schedule(delayMs: number, callback: () => void): void
  link(from: PeerId, to: PeerId): SimLink
  /** Whether bytes get from one to the other now. */
  reachable(from: PeerId, to: PeerId): boolean
  /** The started life of a peer. */
  live(peer: PeerId): SimEnd | undefined
  peerAt(address: string): PeerId | undefined
  addressOf(peer: PeerId): string
  /** Membership, identity or life changed: connections may come up or go down. */
  changed(): void
  readonly maxFrameBytes: number
  readonly detectMs: number
}
