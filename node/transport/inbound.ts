/**
 * What members send to this node: at most one live stream per member and channel, the newest. A peer that membership does
 * not name is cut at once.
 */
import type { Connection, Stream } from '@libp2p/interface'
import type { NodeId, PeerId } from '../../base/ids.ts'
import type { Channel } from '../../runtime/ports/transport.ts'
import { abort } from './abort.ts'
import { createFrameSocket } from './frame-socket.ts'
import type { FrameSocket } from './frame-socket.ts'
import { signOfLife } from './frames.ts'
import { greet } from './greeting.ts'
import type { Hello } from './hello.ts'
import type { TransportLimits } from './options.ts'

export interface InboundOptions {
  readonly limits: TransportLimits
  memberOf(peer: PeerId): NodeId | undefined
  hello(): Hello | undefined
  onFrame(from: NodeId, channel: Channel, frame: Uint8Array): void
  /** A member opened its liveness stream to us. */
  onMember(peer: PeerId): void
  onError(peer: PeerId, error: Error): void
}

export interface Inbound {
  accept(channel: Channel, stream: Stream, connection: Connection): void
  /** Answers a peer's liveness stream, so that it hears us even where we cannot dial it. */
  keepAlive(): void
  /** When each peer with a liveness stream was last heard on it. */
  heard(): Iterable<readonly [PeerId, number]>
  /** Cuts all streams of a peer. */
  cut(peer: PeerId, error: Error): void
}

export function createInbound(options: InboundOptions): Inbound {
  const sockets = new Map<PeerId, Map<Channel, FrameSocket>>()

  const forget = (peer: PeerId, channel: Channel, socket: FrameSocket): void => {
    const ofPeer = sockets.get(peer)
    if (ofPeer?.get(channel) !== socket) return
    ofPeer.delete(channel)
    if (ofPeer.size === 0) sockets.delete(peer)
  }

  return {
    accept: (channel, stream, connection) => {
      const peer = connection.remotePeer.toString() as PeerId
      const member = options.memberOf(peer)
      const hello = options.hello()
      if (member === undefined || hello === undefined) {
        abort(stream, new Error('not a member'))
        return
      }
      const socket = createFrameSocket(stream, options.limits.maxFrameBytes)
      greet(socket, hello, options.limits.dialTimeoutMs, {
        onFrame: (frame) => {
          // Membership may have changed since the greeting.
          if (options.memberOf(peer) === member) options.onFrame(member, channel, frame)
        },
        onClose: () => {
          forget(peer, channel, socket)
        }
      }).then(
        () => {
          const ofPeer = sockets.get(peer) ?? new Map<Channel, FrameSocket>()
          const former = ofPeer.get(channel)
          sockets.set(peer, ofPeer.set(channel, socket))
          former?.abort(new Error('the peer connected anew'))
          if (channel === 'liveness') options.onMember(peer)
        },
        (error: unknown) => {
          options.onError(peer, error instanceof Error ? error : new Error(String(error)))
        }
      )
    },
    keepAlive: () => {
      for (const ofPeer of sockets.values()) ofPeer.get('liveness')?.write(signOfLife)
    },
    heard: function* () {
      for (const [peer, ofPeer] of sockets) {
        const socket = ofPeer.get('liveness')
        if (socket !== undefined) yield [peer, socket.heardAt()] as const
      }
    },
    cut: (peer, error) => {
      const ofPeer = sockets.get(peer)
      sockets.delete(peer)
      if (ofPeer !== undefined) for (const socket of ofPeer.values()) socket.abort(error)
    }
  }
}
