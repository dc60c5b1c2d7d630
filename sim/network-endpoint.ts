/**
 * One life of a simulated node's transport. It knows membership and identity as the libp2p adapter does, and leaves delay,
 * loss and reach to the links.
 */
import { AppError, toAppError } from '../base/errors.ts'
import type { NodeId, PeerId } from '../base/ids.ts'
import type { Channel, PeerAddress, Transport, TransportHandlers } from '../runtime/ports/transport.ts'
import { streamSnapshot } from './network-snapshot.ts'
import type { SimEnd, Surroundings } from './network-surroundings.ts'

export class Endpoint implements Transport, SimEnd {
  readonly peerId: PeerId
  readonly #around: Surroundings
  #state: 'new' | 'started' | 'stopped' | 'crashed' = 'new'
  #handlers: TransportHandlers | undefined
  #clusterId: string | undefined
  #peers = new Map<NodeId, PeerAddress>()
  #members = new Map<PeerId, NodeId>()
  readonly #onStop = new Set<(error: AppError) => void>()

  constructor(peer: PeerId, around: Surroundings) {
    this.peerId = peer
    this.#around = around
  }

  get alive(): boolean {
    return this.#state === 'started'
  }

  get handlers(): TransportHandlers | undefined {
    return this.#handlers
  }

  get clusterId(): string | undefined {
    return this.#clusterId
  }

  addresses(): readonly string[] {
    return [this.#around.addressOf(this.peerId)]
  }

  start(handlers: TransportHandlers): Promise<void> {
    this.#handlers = handlers
    this.#state = 'started'
    this.#around.changed()
    return Promise.resolve()
  }

  identify(identity: { readonly clusterId: string; readonly nodeId: NodeId }): void {
    this.#clusterId = identity.clusterId
    this.#around.changed()
  }

  setPeers(peers: readonly PeerAddress[]): void {
    this.#peers = new Map(peers.map((peer) => [peer.id, peer]))
    this.#members = new Map(peers.map((peer) => [peer.peerId, peer.id]))
    this.#around.changed()
  }

  send(to: NodeId, channel: Channel, frame: Uint8Array): boolean {
    const peer = this.#peers.get(to)?.peerId
    if (peer === undefined || !this.alive || frame.byteLength > this.#around.maxFrameBytes) return false
    // Nodes share a heap here; one must not see what another does to its buffers.
    const copy = frame.slice()
    // As with a connection, what is on its way to one life of a peer never reaches the next.
    const target = this.#around.live(peer)
    return this.#around.link(this.peerId, peer).send(channel, {
      bytes: copy.byteLength,
      deliver: () => target?.receive(this, channel, copy.slice())
    })
  }

  queuedBytes(to: NodeId, channel: Channel): number {
    const peer = this.#peers.get(to)?.peerId
    return peer === undefined ? 0 : this.#around.link(this.peerId, peer).queuedBytes(channel)
  }

  request(
    to: NodeId | string,
    request: Uint8Array,
    { timeoutMs }: { readonly timeoutMs: number }
  ): Promise<Uint8Array> {
    const peer = typeof to === 'string' ? this.#around.peerAt(to) : this.#peers.get(to)?.peerId
    if (typeof to === 'number' && peer === undefined) {
      return Promise.reject(new AppError('NODE_NOT_FOUND', `node ${to} is not a member`))
    }
    if (!this.alive) return Promise.reject(new AppError('SHUTTING_DOWN', 'the transport is not running'))
    return new Promise((resolve, reject) => {
      const settle = this.#once(resolve, reject)
      this.#around.schedule(timeoutMs, () => {
        settle(new AppError('TIMEOUT', `no reply from ${to} within ${timeoutMs} ms`))
      })
      this.#ask(peer, request.slice(), settle, String(to))
    })
  }

  async sendSnapshot(to: NodeId, header: Uint8Array, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const peer = this.#peers.get(to)?.peerId
    if (peer === undefined) throw new AppError('NODE_NOT_FOUND', `node ${to} is not a member`)
    await streamSnapshot(this, peer, header, chunks, this.#around)
  }

  stop(): Promise<void> {
    if (this.alive) {
      this.#state = 'stopped'
      for (const stop of this.#onStop) stop(new AppError('SHUTTING_DOWN', 'the transport is stopping'))
      this.#onStop.clear()
      this.#around.changed()
    }
    return Promise.resolve()
  }

  crash(): void {
    this.#state = 'crashed'
    this.#onStop.clear()
  }

  numberOf(peer: PeerId): NodeId | undefined {
    return this.#members.get(peer)
  }

  memberOf(from: SimEnd): NodeId | undefined {
    const same = this.#clusterId !== undefined && this.#clusterId === from.clusterId
    return same ? this.#members.get(from.peerId) : undefined
  }

  receive(from: SimEnd, channel: Channel, frame: Uint8Array): void {
    const member = this.memberOf(from)
    if (member !== undefined && this.alive) this.#handlers?.onFrame(member, channel, frame)
  }

  /** Carries a request there and its reply back; silence if either way fails, so that the deadline decides. */
  #ask(
    peer: PeerId | undefined,
    request: Uint8Array,
    settle: (outcome: Uint8Array | AppError) => void,
    name: string
  ): void {
    const target = peer === undefined ? undefined : this.#around.live(peer)
    if (peer === undefined || target === undefined) {
      // As a refused connection: known at once.
      this.#around.schedule(1, () => {
        settle(new AppError('PEER_UNREACHABLE', `no connection to ${name}`))
      })
      return
    }
    const there = this.#around.link(this.peerId, peer)
    const back = this.#around.link(peer, this.peerId)
    there.pass(() => {
      if (!target.alive) {
        settle(new AppError('TIMEOUT', 'the connection was lost before the reply'))
        return
      }
      const reply = (outcome: Uint8Array | AppError): void => {
        if (!target.alive) return
        back.pass(() => {
          settle(outcome)
        })
      }
      target.handlers
        ?.onRequest(this.peerId, target.numberOf(this.peerId), request)
        .then((body) => body.slice(), toAppError)
        .then(reply)
        .catch(reply)
    })
  }

  /** Settles a promise once, and never after a crash. */
  #once<T>(resolve: (value: T) => void, reject: (error: AppError) => void): (outcome: T | AppError) => void {
    let open = true
    const settle = (outcome: T | AppError): void => {
      if (!open || this.#state === 'crashed') return
      open = false
      this.#onStop.delete(settle)
      if (outcome instanceof AppError) reject(outcome)
      else resolve(outcome)
    }
    this.#onStop.add(settle)
    return settle
  }
}
