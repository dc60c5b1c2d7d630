/**
 * What goes wrong in a scenario, drawn one after the other. Each fault ends by itself after a while, and everything ends
 * with `heal`. Outside of the whole cluster's restart at most a minority is down at once, so that progress is possible.
 */
import type { Rng } from '../base/prng.ts'
import { leave } from './load.ts'
import type { SimCluster } from './cluster.ts'
import type { SimNode } from './sim-node.ts'

/** Kinds of faults by weight. */
const KINDS = {
  'power loss': 3,
  'process crash': 3,
  'isolated node': 3,
  split: 1,
  'one-way cut': 3,
  'bad links': 3,
  clog: 2,
  transfer: 2,
  pause: 3,
  'deaf leader': 2,
  'clock jump': 2,
  'full disk': 2,
  'supervisor loss': 1,
  'graceful restart': 2,
  'restart of all': 2,
  join: 1,
  leave: 1
} as const

export type FaultKind = keyof typeof KINDS

export interface FaultOptions {
  /** Whether nodes may join and leave. */
  readonly membership: boolean
}

const MAX_MEMBERS = 7

export class Faults {
  readonly counts: Partial<Record<FaultKind, number>> = {}
  readonly #cluster: SimCluster
  readonly #rng: Rng
  readonly #kinds: FaultKind[]
  #stopped = false
  /** The one whose wall clock is off now: more would be a majority's. */
  #offClock: SimNode | undefined

  constructor(cluster: SimCluster, rng: Rng, options: FaultOptions) {
    this.#cluster = cluster
    this.#rng = rng
    this.#kinds = (Object.keys(KINDS) as FaultKind[])
      .filter((kind) => options.membership || (kind !== 'join' && kind !== 'leave'))
      .flatMap((kind) => Array.from({ length: KINDS[kind] }, () => kind))
    this.#next()
  }

  /** No further faults; those under way are ended by `heal`. */
  stop(): void {
    this.#stopped = true
  }

  /** Everything works again and every node is up that did not leave. */
  async heal(): Promise<void> {
    const { network, nodes } = this.#cluster
    this.stop()
    network.heal()
    network.setLink({ loss: 0, duplicate: 0, reorder: 0, meanExtraDelayMs: 0.2 })
    for (const node of nodes) {
      node.resume()
      node.healClock()
      node.disk.setCapacity(Infinity)
    }
    const allUp = (): boolean => {
      for (const node of nodes) if (node.down && !node.leaving) void node.start()
      return nodes.every((node) => node.up || (node.leaving && node.down))
    }
    await this.#cluster.run(allUp, 60_000)
  }

  #next(): void {
    this.#after(300, 2_000, () => {
      const kind = this.#kinds[this.#rng.nextInt(this.#kinds.length)] ?? 'transfer'
      if (this.#strike(kind)) {
        this.#cluster.checkers.trace.note(`fault ${kind}`)
        this.counts[kind] = (this.counts[kind] ?? 0) + 1
      }
      this.#next()
    })
  }

  /** Whether there was something to strike. */
  #strike(kind: FaultKind): boolean {
    switch (kind) {
      case 'power loss':
        return this.#crash(true)
      case 'process crash':
        return this.#crash(false)
      case 'isolated node':
        return this.#partition(1)
      case 'split':
        return this.#partition(1 + this.#rng.nextInt(this.#cluster.nodes.length - 1))
      case 'one-way cut':
        return this.#link((from, to) => {
          this.#cluster.network.cut(from.peer, to.peer)
        })
      case 'bad links':
        return this.#badLinks()
      case 'clog':
        return this.#clog()
      case 'transfer':
        return this.#link((_, to) => this.#cluster.leader()?.runtime?.transferLeader(to.id))
      case 'pause':
        return this.#pause()
      case 'deaf leader':
        return this.#deafenLeader()
      case 'clock jump':
        return this.#jumpClock()
      case 'full disk':
        return this.#fillDisk()
      case 'supervisor loss':
        return this.#loseSupervisor()
      case 'graceful restart':
        return this.#restart()
      case 'restart of all':
        return this.#restartAll()
      case 'join':
        return this.#join()
      case 'leave':
        return this.#leave()
    }
  }

  #crash(power: boolean): boolean {
    const node = this.#expendable()
    if (node === undefined) return false
    node.crash(power)
    this.#startLater(node, 6_000)
    return true
  }

  #partition(size: number): boolean {
    const { network, nodes } = this.#cluster
    const shuffled = [...nodes].sort((a, b) => a.id - b.id)
    for (let i = shuffled.length - 1; i > 0; i--) {
      const j = this.#rng.nextInt(i + 1)
      const [a, b] = [shuffled[i], shuffled[j]]
      if (a !== undefined && b !== undefined) [shuffled[i], shuffled[j]] = [b, a]
    }
    const peers = shuffled.map(({ peer }) => peer)
    network.partition([peers.slice(0, size), peers.slice(size)])
    this.#after(500, 6_000, () => {
      network.heal()
    })
    return true
  }

  /** Calls back with two different nodes; what it does to their link ends after a while. */
  #link(strike: (from: SimNode, to: SimNode) => void): boolean {
    const from = this.#pick()
    const to = this.#pick()
    if (from === undefined || to === undefined || from === to) return false
    strike(from, to)
    this.#after(500, 4_000, () => {
      this.#cluster.network.heal()
    })
    return true
  }

  #badLinks(): boolean {
    this.#cluster.network.setLink({
      loss: this.#rng.nextInt(20) / 100,
      duplicate: this.#rng.nextInt(10) / 100,
      reorder: this.#rng.nextInt(20) / 100,
      meanExtraDelayMs: this.#rng.nextInt(30)
    })
    return true
  }

  #clog(): boolean {
    return this.#link((from, to) => {
      this.#cluster.network.clog(from.peer, to.peer)
    })
  }

  #pause(): boolean {
    const node = this.#pick()
    if (node === undefined || node.paused) return false
    node.pause()
    this.#after(100, this.#rng.nextInt(4) === 0 ? 8_000 : 1_000, () => {
      node.resume()
    })
    return true
  }

  /** A leader that was away for as long as its successor needs, among a minority that has not heard of one. */
  #deafenLeader(): boolean {
    const { network, nodes } = this.#cluster
    const leader = this.#cluster.leader()
    if (leader === undefined || leader.paused) return false
    const others = nodes.filter((node) => node !== leader).map(({ peer }) => peer)
    const minority = Math.max(0, Math.floor((nodes.length - 1) / 2) - 1)
    const first = this.#rng.nextInt(others.length + 1)
    const turned = [...others.slice(first), ...others.slice(0, first)]
    network.partition([[leader.peer, ...turned.slice(0, minority)], turned.slice(minority)])
    leader.pause()
    this.#after(500, 3_000, () => {
      leader.resume()
    })
    this.#after(4_000, 4_000, () => {
      network.heal()
    })
    return true
  }

  #jumpClock(): boolean {
    const node = this.#pick()
    if (node === undefined || this.#offClock !== undefined) return false
    // One of one or two is as much as the rest: nobody could tell who is right.
    if (this.#members().length < 3) return false
    const far = [600, 10_000, 3_600_000][this.#rng.nextInt(3)] ?? 600
    node.clockOffsetMs = this.#rng.nextInt(2) === 0 ? far : -far
    this.#offClock = node
    this.#after(1_000, 6_000, () => {
      node.healClock()
      this.#offClock = undefined
    })
    return true
  }

  #fillDisk(): boolean {
    const node = this.#pick()
    if (node === undefined) return false
    node.disk.setCapacity(0)
    this.#after(1_000, 5_000, () => {
      node.disk.setCapacity(Infinity)
    })
    return true
  }

  #loseSupervisor(): boolean {
    const node = this.#expendable()
    if (node === undefined || node.paused) return false
    node.loseSupervisor()
    this.#startLater(node, 3_000)
    return true
  }

  #restart(): boolean {
    const node = this.#expendable()
    if (node === undefined) return false
    void node.stop().then(() => {
      this.#startLater(node, 2_000)
    })
    return true
  }

  #restartAll(): boolean {
    for (const node of this.#cluster.nodes) {
      node.crash(this.#rng.nextInt(4) > 0)
      if (!node.leaving) this.#startLater(node, 1_500)
    }
    return true
  }

  #join(): boolean {
    const contact = this.#pick()
    if (contact === undefined || this.#members().length >= MAX_MEMBERS) return false
    this.#cluster.join(contact).catch(() => {
      // Nobody led, or the contact died: then there is no new node.
    })
    return true
  }

  #leave(): boolean {
    const node = this.#expendable()
    const by = this.#pick()
    if (node === undefined || by === undefined || this.#members().length <= 3) return false
    void leave(this.#cluster, by, node.id).then(async (left) => {
      if (!left) return
      node.leaving = true
      await node.stop()
      node.crash(false)
    })
    return true
  }

  #startLater(node: SimNode, withinMs: number): void {
    this.#after(200, withinMs, () => {
      if (!node.leaving) void node.start()
    })
  }

  #after(minMs: number, rangeMs: number, step: () => void): void {
    this.#cluster.time.schedule(minMs + this.#rng.nextInt(rangeMs), () => {
      if (!this.#stopped) step()
    })
  }

  #members(): SimNode[] {
    return this.#cluster.nodes.filter((node) => !node.leaving)
  }

  /** A node that is up, if the others would still be a majority without it. */
  #expendable(): SimNode | undefined {
    const members = this.#members()
    const down = members.filter((node) => !node.up).length
    return down + 1 > (members.length - 1) / 2 ? undefined : this.#pick()
  }

  #pick(): SimNode | undefined {
    const up = this.#members().filter((node) => node.up)
    return up[this.#rng.nextInt(Math.max(1, up.length))]
  }
}
