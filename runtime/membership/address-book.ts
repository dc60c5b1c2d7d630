/**
 * Where to dial the other members: what the replicated state says, and what this node has learned since.
 *
 * State is the authority on who is a member. Addresses may be newer here: a node that restarts elsewhere tells its seeds
 * before it can take part in the log again.
 */
import type { NodeId, PeerId } from '../../base/ids.ts'
import type { ClusterNode } from '../../scheduler/types.ts'
import type { PeerAddress, Transport } from '../ports/transport.ts'

export class AddressBook {
  readonly #transport: Transport
  readonly #self: NodeId
  /** Addresses told by the peers themselves, by peer id: they come before the state's. */
  readonly #told = new Map<PeerId, readonly string[]>()
  /** Members that are known before the state is (a joining node's). */
  #initial: readonly PeerAddress[] = []
  #peers: readonly PeerAddress[] = []

  constructor(transport: Transport, self: NodeId) {
    this.#transport = transport
    this.#self = self
  }

  get peers(): readonly PeerAddress[] {
    return this.#peers
  }

  /** Members that a contact named, to be used until the state names its own. */
  begin(initial: readonly PeerAddress[]): void {
    this.#initial = initial
  }

  told(peer: PeerId, addresses: readonly string[], nodes: ReadonlyMap<NodeId, ClusterNode>): void {
    this.#told.set(peer, addresses)
    this.update(nodes)
  }

  /** Membership or an address changed. */
  update(nodes: ReadonlyMap<NodeId, ClusterNode>): void {
    const peers = new Map<NodeId, PeerAddress>()
    if (nodes.size === 0) for (const peer of this.#initial) peers.set(peer.id, peer)
    for (const node of nodes.values()) {
      const told = this.#told.get(node.peerId) ?? []
      const addresses = [...new Set([...told, ...node.offer.addresses])]
      peers.set(node.id, { id: node.id, peerId: node.peerId, addresses })
    }
    peers.delete(this.#self)
    this.#peers = [...peers.values()]
    this.#transport.setPeers(this.#peers)
  }
}
