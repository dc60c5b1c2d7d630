/**
 * The controls of the simulated network. `createSimNetwork(options)` in `network.ts` makes one; `transport()` gives each
 * simulated node its `Transport`. Everything is a function of the generator, the schedule and the calls made.
 */
import type { PeerId } from '../base/ids.ts'
import type { Rng } from '../base/prng.ts'
import type { Transport } from '../runtime/ports/transport.ts'

/** How one direction of a link behaves. Probabilities are in [0, 1]. */
export interface LinkProfile {
  readonly minDelayMs: number
  /** Mean of the exponential part above `minDelayMs`. */
  readonly meanExtraDelayMs: number
  /** Chance that a frame, request or reply vanishes. Snapshot streams are reliable until they break. */
  readonly loss: number
  /** Chance that a frame arrives a second time. */
  readonly duplicate: number
  /** Chance that a frame takes its own way and may overtake or be overtaken. */
  readonly reorder: number
}

export interface SimNetworkOptions {
  readonly rng: Rng
  /** Runs `callback` after `delayMs` of virtual time; equal times run in the order of the calls. */
  readonly schedule: (delayMs: number, callback: () => void) => unknown
  /** Behaviour of links that were not set by themselves. Default: 0.1 ms + 0.2 ms mean, no faults. */
  readonly link?: Partial<LinkProfile>
  /** How long a cut lasts before both ends see their connection as lost. Default 1,000 ms. */
  readonly detectMs?: number
  /** Bytes held for one clogged peer and channel before `send` refuses. Default 64 MiB. */
  readonly maxQueueBytes?: number
}

/** Counted since the creation of the network. */
export interface SimNetworkStats {
  readonly sent: number
  readonly delivered: number
  readonly lost: number
  readonly duplicated: number
}

export interface SimNetwork {
  /** The transport of one life of a node. A second call for the same peer is its next life, after `crash` or `stop`. */
  transport(peer: PeerId): Transport
  /** The address that peer is dialled at. */
  addressOf(peer: PeerId): string
  /** Changes all links, or one direction of one. */
  setLink(profile: Partial<LinkProfile>, from?: PeerId, to?: PeerId): void
  /** Only peers of the same group reach each other; a peer in no group reaches nobody. Replaces the former partition. */
  partition(groups: readonly (readonly PeerId[])[]): void
  /** Nothing gets from `from` to `to`; the other direction works. */
  cut(from: PeerId, to: PeerId): void
  /** Frames from `from` to `to` wait, in order, until `unclog`; then they arrive. */
  clog(from: PeerId, to: PeerId): void
  unclog(from: PeerId, to: PeerId): void
  /** Ends every partition, cut and clog. */
  heal(): void
  /** The node dies at once: its queues are dropped, what it waits for never settles, its peers see a lost connection. */
  crash(peer: PeerId): void
  stats(): SimNetworkStats
}
