/** What this node sends to one member: a queue per channel, and the two lanes they leave by. */
import type { Connection } from '@libp2p/interface'
import type { NodeId } from '../../base/ids.ts'
import { second } from '../../base/units.ts'
import type { Entropy } from '../../runtime/ports/entropy.ts'
import { CHANNELS } from '../../runtime/ports/transport.ts'
import type { Channel, PeerAddress } from '../../runtime/ports/transport.ts'
import { createBackoff } from './backoff.ts'
import { signOfLife } from './frames.ts'
import type { Hello } from './hello.ts'
import { Lane } from './lane.ts'
import type { TransportLimits } from './options.ts'
import { createOutbox } from './outbox.ts'
import type { Outbox } from './outbox.ts'
import { protocolOf } from './protocols.ts'

export interface PeerLinkOptions {
  readonly limits: TransportLimits
  readonly entropy: Entropy
  dial(address: PeerAddress, signal: AbortSignal): Promise<Connection>
  readonly hello: () => Hello | undefined
  onConnection(peer: NodeId, connected: boolean): void
  onError(peer: PeerAddress, error: Error, retryInMs: number): void
}

export interface PeerLink {
  address(): PeerAddress
  /** Takes over new addresses; a connection that stands is kept. */
  update(address: PeerAddress): void
  /** Tries at once instead of waiting on, because the peer was just heard of. */
  wake(): void
  send(channel: Channel, frame: Uint8Array): boolean
  queuedBytes(channel: Channel): number
  /** The connection for requests, if there is one. */
  connection(): Connection | undefined
  /** A connection for requests, and one for snapshots; rejects when the peer is out of reach. */
  ready(lane: 'control' | 'bulk'): Promise<Connection>
  /** Shows the peer that we live, if nothing else did since the last call. */
  keepAlive(): void
  /** When the peer was last heard on our liveness stream; undefined while there is none. */
  heardAt(): number | undefined
  /** Cuts the connections and reconnects. */
  drop(error: Error): void
  close(): void
}

export function createPeerLink(first: PeerAddress, options: PeerLinkOptions): PeerLink {
  const { limits } = options
  let address = first
  const outboxes = new Map(CHANNELS.map((channel): [Channel, Outbox] => [channel, createOutbox(limits)]))

  const lane = (eager: boolean, channels: readonly Channel[], onState: (up: boolean) => void): Lane =>
    new Lane({
      channels,
      eager,
      outboxes,
      backoff: createBackoff(options.entropy, limits.minBackoffMs, limits.maxBackoffMs),
      mismatchWaitMs: limits.maxBackoffMs * 5,
      stableMs: 1 * second,
      maxFrameBytes: limits.maxFrameBytes,
      timeoutMs: limits.dialTimeoutMs,
      dial: (signal) => options.dial(address, signal),
      protocolOf,
      hello: options.hello,
      onState,
      onError: (error, retryInMs) => {
        options.onError(address, error, retryInMs)
      }
    })
  const control = lane(true, ['liveness', 'forward'], (up) => {
    options.onConnection(address.id, up)
  })
  const bulk = lane(false, ['append'], () => undefined)
  const laneOf = (channel: Channel): Lane => (channel === 'append' ? bulk : control)

  return {
    address: () => address,
    update: (next) => {
      const moved = next.addresses.join() !== address.addresses.join()
      address = next
      control.connect({ now: moved })
    },
    wake: () => {
      control.connect({ now: true })
      if (bulk.state === 'waiting') bulk.connect({ now: true })
    },
    send: (channel, frame) => {
      const by = laneOf(channel)
      if (by.state === 'idle') by.connect()
      if (by.state !== 'up' && by.state !== 'connecting') return false
      return outboxes.get(channel)?.push(frame) ?? false
    },
    queuedBytes: (channel) => outboxes.get(channel)?.bytes() ?? 0,
    connection: () => control.connection,
    ready: (name) => (name === 'bulk' ? bulk : control).ready(),
    keepAlive: () => {
      const active = outboxes.get('liveness')?.takeActivity() ?? false
      if (!active) control.socket('liveness')?.write(signOfLife)
    },
    heardAt: () => control.socket('liveness')?.heardAt(),
    drop: (error) => {
      control.drop(error)
      bulk.drop(error)
    },
    close: () => {
      control.close()
      bulk.close()
    }
  }
}
