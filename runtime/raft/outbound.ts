/**
 * Collects what one raft turn sends and hands it to the transport as one frame per peer and channel.
 *
 * Owns the choice of channel: appends and their answers are bulk, everything else is liveness, and bulk never delays
 * liveness. Snapshots leave by their own way (`snapshots.ts`).
 */
import { nodeId, type NodeId } from '../../base/ids.ts'
import { encodeMessage, type Message } from '../../consensus/index.ts'
import { encodeRaftFrame, type LeaseGrant, type LeaseRenewal } from '../messages.ts'
import type { Transport } from '../ports/transport.ts'

interface Pending {
  readonly liveness: Uint8Array[]
  readonly append: Uint8Array[]
  renewal: LeaseRenewal | undefined
  grant: LeaseGrant | undefined
}

export class Outbound {
  readonly #transport: Transport
  readonly #byPeer = new Map<NodeId, Pending>()
  /** Called for a peer that a frame of appends could not be queued for. */
  readonly #onDropped: (peer: NodeId) => void

  constructor(transport: Transport, onDropped: (peer: NodeId) => void) {
    this.#transport = transport
    this.#onDropped = onDropped
  }

  add(message: Message): void {
    const pending = this.#pending(nodeId(message.to))
    const bulk = message.type === 'MsgApp' || message.type === 'MsgAppResp'
    const list = bulk ? pending.append : pending.liveness
    list.push(encodeMessage(message))
  }

  renew(to: NodeId, renewal: LeaseRenewal): void {
    this.#pending(to).renewal = renewal
  }

  grant(to: NodeId, grant: LeaseGrant): void {
    this.#pending(to).grant = grant
  }

  flush(): void {
    if (this.#byPeer.size === 0) return
    for (const [peer, pending] of this.#byPeer) {
      const { liveness, append, renewal, grant } = pending
      if (liveness.length > 0 || renewal !== undefined || grant !== undefined) {
        this.#transport.send(peer, 'liveness', encodeRaftFrame({ messages: liveness, renewal, grant }))
      }
      if (append.length > 0) {
        const queued = this.#transport.send(peer, 'append', encodeRaftFrame({ messages: append }))
        if (!queued) this.#onDropped(peer)
      }
    }
    this.#byPeer.clear()
  }

  #pending(peer: NodeId): Pending {
    let pending = this.#byPeer.get(peer)
    if (pending === undefined) {
      pending = { liveness: [], append: [], renewal: undefined, grant: undefined }
      this.#byPeer.set(peer, pending)
    }
    return pending
  }
}
