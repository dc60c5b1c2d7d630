/**
 * The libp2p adapter of `Transport`. Owns: membership as the network sees it, and the wiring of its parts: `peer-link` sends,
 * `inbound` receives, `requests` and `snapshots` are streams of their own. Does not own: what frames say.
 *
 * 1. A peer's number is what `setPeers` says of its authenticated id. Others may open request streams only.
 * 2. Nothing is sent or taken between members before both greetings agreed on protocol version and cluster.
 * 3. `stop` leaves no socket and no timer.
 */
import { setMaxListeners } from 'node:events'
import type { Connection, PeerId as Libp2pPeerId } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import type { Libp2p } from 'libp2p'
import { AppError } from '../../base/errors.ts'
import type { NodeId, PeerId } from '../../base/ids.ts'
import { KiB, MiB, second } from '../../base/units.ts'
import { CHANNELS } from '../../runtime/ports/transport.ts'
import type { PeerAddress, Transport, TransportHandlers } from '../../runtime/ports/transport.ts'
import { abort } from './abort.ts'
import { createDialer, peerOf, raceSignal, withPeer } from './dialer.ts'
import type { Dialer } from './dialer.ts'
import { MismatchError } from './greeting.ts'
import { PROTOCOL_VERSION } from './hello.ts'
import type { Hello } from './hello.ts'
import { createInbound } from './inbound.ts'
import type { Inbound } from './inbound.ts'
import { createNode, startNode } from './libp2p-node.ts'
import { startLivenessWatch } from './liveness-watch.ts'
import type { LivenessWatch } from './liveness-watch.ts'
import type { Libp2pTransportOptions, TransportLimits } from './options.ts'
import { createPeerLink } from './peer-link.ts'
import type { PeerLink } from './peer-link.ts'
import { protocolOf, REQUEST_PROTOCOL, SNAPSHOT_PROTOCOL } from './protocols.ts'
import { createRequestServer, sendRequest } from './requests.ts'
import { receiveSnapshot, sendSnapshot } from './snapshots.ts'

export { generatePeerKey } from './libp2p-node.ts'

const DEFAULT_LISTEN = ['/ip4/127.0.0.1/tcp/0']

const DEFAULT_LIMITS: TransportLimits = {
  maxFrameBytes: 16 * MiB,
  maxQueueBytes: 64 * MiB,
  maxWriteBytes: 256 * KiB,
  dialTimeoutMs: 3 * second,
  minBackoffMs: 50,
  maxBackoffMs: 2 * second,
  keepAliveMs: 500,
  silenceMs: 3 * second,
  maxRequestsPerPeer: 256
}

/** A transport that is not started yet. Rejects with `CONFIG_INVALID`; `start` with that or `PORT_IN_USE`. */
export async function createLibp2pTransport(options: Libp2pTransportOptions): Promise<Transport> {
  const limits = { ...DEFAULT_LIMITS, ...options.limits }
  const listen = options.listen ?? DEFAULT_LISTEN
  const node = await createNode({
    privateKey: options.privateKey,
    listen,
    announce: options.announce ?? [],
    dialTimeoutMs: limits.dialTimeoutMs
  })
  return new Libp2pTransport(node, options, limits, listen)
}

class Libp2pTransport implements Transport {
  readonly peerId: PeerId
  readonly #node: Libp2p
  readonly #options: Libp2pTransportOptions
  readonly #limits: TransportLimits
  readonly #listen: readonly string[]
  readonly #links = new Map<NodeId, PeerLink>()
  readonly #members = new Map<PeerId, NodeId>()
  readonly #reported = new Set<string>()
  readonly #inbound: Inbound
  readonly #dialer: Dialer
  readonly #stopping = new AbortController()
  #handlers: TransportHandlers | undefined
  #hello: Hello | undefined
  #watch: LivenessWatch | undefined

  constructor(
    node: Libp2p,
    options: Libp2pTransportOptions,
    limits: TransportLimits,
    listen: readonly string[]
  ) {
    this.#node = node
    this.#options = options
    this.#limits = limits
    this.#listen = listen
    this.#dialer = createDialer(node)
    // Every request under way listens to it.
    setMaxListeners(0, this.#stopping.signal)
    this.peerId = node.peerId.toString() as PeerId
    this.#inbound = createInbound({
      limits,
      memberOf: (peer) => this.#members.get(peer),
      hello: () => this.#hello,
      onFrame: (from, channel, frame) => this.#handlers?.onFrame(from, channel, frame),
      onMember: (peer) => {
        this.#linkOf(peer)?.wake()
      },
      onError: (peer, error) => {
        this.#report(peer, error)
      }
    })
  }

  addresses(): readonly string[] {
    return this.#node.getMultiaddrs().map(String)
  }

  async start(handlers: TransportHandlers): Promise<void> {
    this.#handlers = handlers
    await this.#handleProtocols(handlers)
    await startNode(this.#node, this.#listen)
    this.#watch = startLivenessWatch<PeerId>({
      keepAliveMs: this.#limits.keepAliveMs,
      silenceMs: this.#limits.silenceMs,
      keepAlive: () => {
        for (const link of this.#links.values()) link.keepAlive()
        this.#inbound.keepAlive()
      },
      heard: () => this.#heard(),
      onSilence: (peer, silentMs) => {
        const error = new Error(`nothing heard for ${Math.round(silentMs)} ms`)
        this.#inbound.cut(peer, error)
        this.#linkOf(peer)?.drop(error)
        this.#abortConnections(peer, error)
      }
    })
    for (const link of this.#links.values()) link.wake()
  }

  identify(identity: { readonly clusterId: string; readonly nodeId: NodeId }): void {
    this.#hello = {
      protocolVersion: PROTOCOL_VERSION,
      clusterId: identity.clusterId,
      nodeId: identity.nodeId,
      softwareVersion: this.#options.softwareVersion
    }
    if (this.#watch !== undefined) for (const link of this.#links.values()) link.wake()
  }

  setPeers(peers: readonly PeerAddress[]): void {
    if (this.#stopping.signal.aborted) return
    const wanted = new Map(peers.map((peer) => [peer.id, peer]))
    for (const [id, link] of this.#links) {
      const former = link.address()
      if (wanted.get(id)?.peerId === former.peerId) continue
      this.#links.delete(id)
      this.#members.delete(former.peerId)
      link.close()
      const error = new Error('no longer a member')
      this.#inbound.cut(former.peerId, error)
      this.#abortConnections(former.peerId, error)
    }
    for (const peer of wanted.values()) {
      this.#members.set(peer.peerId, peer.id)
      const known = this.#links.get(peer.id)
      if (known !== undefined) {
        known.update(peer)
        continue
      }
      const link = this.#createLink(peer)
      this.#links.set(peer.id, link)
      if (this.#watch !== undefined) link.wake()
    }
  }

  send(to: NodeId, channel: 'liveness' | 'append' | 'forward', frame: Uint8Array): boolean {
    if (frame.byteLength > this.#limits.maxFrameBytes || this.#watch === undefined) return false
    return this.#links.get(to)?.send(channel, frame) ?? false
  }

  queuedBytes(to: NodeId, channel: 'liveness' | 'append' | 'forward'): number {
    return this.#links.get(to)?.queuedBytes(channel) ?? 0
  }

  async request(
    to: NodeId | string,
    request: Uint8Array,
    { timeoutMs }: { readonly timeoutMs: number }
  ): Promise<Uint8Array> {
    const deadline = new AbortController()
    const timer = setTimeout(() => {
      deadline.abort(new AppError('TIMEOUT', `no reply from ${to} within ${timeoutMs} ms`))
    }, timeoutMs)
    const stop = (): void => {
      deadline.abort(this.#stopping.signal.reason)
    }
    this.#stopping.signal.addEventListener('abort', stop)
    try {
      this.#stopping.signal.throwIfAborted()
      return await this.#requestWithin(to, request, deadline.signal)
    } finally {
      clearTimeout(timer)
      this.#stopping.signal.removeEventListener('abort', stop)
    }
  }

  async sendSnapshot(to: NodeId, header: Uint8Array, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const link = this.#links.get(to)
    if (link === undefined) throw new AppError('NODE_NOT_FOUND', `node ${to} is not a member`)
    if (this.#hello === undefined) throw new AppError('PEER_UNREACHABLE', 'this node has no identity yet')
    const connection = await link.ready('bulk').catch((error: unknown) => {
      throw unreachablePeer(to, error)
    })
    await sendSnapshot(connection, this.#hello, header, chunks, this.#limits)
  }

  async stop(): Promise<void> {
    if (this.#stopping.signal.aborted) return
    this.#stopping.abort(new AppError('SHUTTING_DOWN', 'the transport is stopping'))
    this.#watch?.stop()
    for (const link of this.#links.values()) link.close()
    this.#links.clear()
    this.#members.clear()
    for (const connection of this.#node.getConnections()) abort(connection, new Error('the node is stopping'))
    await this.#node.stop()
  }

  async #handleProtocols(handlers: TransportHandlers): Promise<void> {
    // One stream per peer is live; more may be open for a moment when a peer connects anew.
    const few = { maxInboundStreams: 8, maxOutboundStreams: 8 }
    for (const channel of CHANNELS) {
      await this.#node.handle(
        protocolOf(channel),
        (stream, connection) => {
          this.#inbound.accept(channel, stream, connection)
        },
        few
      )
    }
    await this.#node.handle(
      SNAPSHOT_PROTOCOL,
      (stream, connection) => {
        const peer = connection.remotePeer.toString() as PeerId
        const member = this.#members.get(peer)
        if (member === undefined || this.#hello === undefined) abort(stream, new Error('not a member'))
        else {
          receiveSnapshot(stream, this.#hello, member, this.#limits, (from, header, chunks) =>
            handlers.onSnapshot(from, header, chunks)
          ).catch((error: unknown) => {
            this.#report(peer, error)
          })
        }
      },
      few
    )
    const server = createRequestServer({
      limits: this.#limits,
      memberOf: (peer) => this.#members.get(peer),
      onRequest: (from, member, request) => handlers.onRequest(from, member, request)
    })
    // Refused streams cost a reset; requests over `maxRequestsPerPeer` get an answer, so the stream bound lies above it.
    const many = this.#limits.maxRequestsPerPeer * 2
    await this.#node.handle(
      REQUEST_PROTOCOL,
      (stream, connection) => {
        server.accept(stream, connection)
      },
      { maxInboundStreams: many, maxOutboundStreams: many }
    )
  }

  #createLink(peer: PeerAddress): PeerLink {
    return createPeerLink(peer, {
      limits: this.#limits,
      entropy: this.#options.entropy,
      hello: () => (this.#watch === undefined ? undefined : this.#hello),
      dial: (address, signal) =>
        this.#dialer.dial(
          address.addresses.map((text) => withPeer(text, address.peerId)),
          signal
        ),
      onConnection: (id, connected) => {
        if (connected) this.#forgetReports(peer.peerId)
        this.#options.logger.info({ peer: id, connected }, 'connection to a member')
        this.#handlers?.onConnection(id, connected)
      },
      onError: (address, error, retryInMs) => {
        this.#report(address.peerId, error)
        this.#options.logger.debug(
          { peer: address.id, reason: error.message, retryInMs },
          'no connection to a member'
        )
      }
    })
  }

  async #requestWithin(to: NodeId | string, request: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    let own: Connection | undefined
    try {
      const shared = await raceSignal(this.#sharedConnection(to), signal)
      own = shared === undefined ? await this.#dialer.dial([multiaddr(String(to))], signal) : undefined
      const connection = shared ?? own
      if (connection === undefined) throw new Error('no connection')
      return await sendRequest(connection, request, this.#limits.maxFrameBytes, signal)
    } catch (error) {
      signal.throwIfAborted()
      throw error instanceof AppError ? error : unreachablePeer(to, error)
    } finally {
      if (own !== undefined) abort(own, new Error('the request is over'))
    }
  }

  /** The connection to a member; undefined for an address that no standing connection leads to. */
  async #sharedConnection(to: NodeId | string): Promise<Connection | undefined> {
    if (typeof to === 'string') {
      const peer = peerOf(multiaddr(to))
      return peer === undefined ? undefined : this.#linkOf(peer)?.connection()
    }
    const link = this.#links.get(to)
    if (link === undefined) throw new AppError('NODE_NOT_FOUND', `node ${to} is not a member`)
    return link.ready('control')
  }

  *#heard(): Iterable<readonly [PeerId, number]> {
    yield* this.#inbound.heard()
    for (const link of this.#links.values()) {
      const atMs = link.heardAt()
      if (atMs !== undefined) yield [link.address().peerId, atMs]
    }
  }

  #linkOf(peer: PeerId): PeerLink | undefined {
    const member = this.#members.get(peer)
    return member === undefined ? undefined : this.#links.get(member)
  }

  #abortConnections(peer: PeerId, error: Error): void {
    for (const connection of this.#node.getConnections()) {
      if (isPeer(connection.remotePeer, peer)) abort(connection, error)
    }
  }

  /** Tells of a mismatch once per peer and code; anything else that ends a connection is the link's to log. */
  #report(peerId: PeerId, error: unknown): void {
    if (!(error instanceof MismatchError)) return
    const { code, message } = error.mismatch
    const key = `${peerId} ${code}`
    if (this.#reported.has(key)) return
    this.#reported.add(key)
    const member = this.#members.get(peerId)
    this.#options.logger.warn({ peerId, peer: member, code, reason: message }, 'peer refused')
    this.#options.onMismatch?.({ peerId, member, code, message })
  }

  #forgetReports(peer: PeerId): void {
    for (const key of this.#reported) if (key.startsWith(`${peer} `)) this.#reported.delete(key)
  }
}

function isPeer(remote: Libp2pPeerId, peer: PeerId): boolean {
  return remote.toString() === peer
}

function unreachablePeer(to: NodeId | string, error: unknown): AppError {
  const reason = error instanceof Error ? error.message : String(error)
  return new AppError('PEER_UNREACHABLE', `no connection to ${to}: ${reason}`, { cause: error })
}
