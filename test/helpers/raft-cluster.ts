/** Several `TestPeer`s and a network between them that loses what a test tells it to lose. */
import type { Message } from '../../consensus/index.ts'
import type { PeerOptions } from './raft-peer.ts'
import { TestPeer } from './raft-peer.ts'

/** A group whose messages arrive in order, at once, unless they are lost. */
export class TestCluster {
  readonly peers: readonly TestPeer[]
  /** Everything that was delivered. */
  readonly delivered: Message[] = []
  private loses: (message: Message) => boolean = () => false

  constructor(size: number, options: PeerOptions = {}) {
    const voters = Array.from({ length: size }, (_, at) => at + 1)
    this.peers = voters.map((id) => new TestPeer({ voters, ...options, id, seed: id }))
  }

  peer(id: number): TestPeer {
    const peer = this.peers[id - 1]
    if (peer === undefined) throw new Error(`there is no peer ${id}`)
    return peer
  }

  /** From now on, loses the messages for which `loses` holds. */
  lose(loses: (message: Message) => boolean): void {
    this.loses = loses
  }

  /** From now on, loses all messages between these peers and the others. */
  isolate(...ids: readonly number[]): void {
    this.loses = (message) => ids.includes(message.from) !== ids.includes(message.to)
  }

  /** From now on, loses nothing. */
  heal(): void {
    this.loses = () => false
  }

  /** Delivers until nothing is left to deliver. */
  settle(): void {
    let queue = this.peers.flatMap((peer) => peer.drain())
    while (queue.length > 0) {
      const next: Message[] = []
      for (const message of queue) {
        if (this.loses(message)) continue
        this.delivered.push(message)
        next.push(...this.peer(message.to).receive(message))
      }
      queue = next
    }
  }

  /** Lets a peer campaign, and settles. */
  elect(id: number): TestPeer {
    const peer = this.peer(id)
    peer.raw.campaign()
    this.settle()
    return peer
  }

  /** Lets all peers (or those given) live for `count` ticks, settling after each. */
  tick(count = 1, ids: readonly number[] = this.peers.map((peer) => peer.id)): void {
    for (let i = 0; i < count; i++) {
      for (const id of ids) this.peer(id).raw.tick()
      this.settle()
    }
  }

  /** The peers that believe that they lead. */
  leaders(): readonly number[] {
    return this.peers.filter((peer) => peer.raw.role === 'leader').map((peer) => peer.id)
  }
}
