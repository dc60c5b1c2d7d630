/**
 * When two simulated members count as connected. A connection needs both directions; a death or removal ends it at once, a
 * cut after the detection time, if it lasts as long.
 */
import type { NodeId, PeerId } from '../base/ids.ts'
import type { SimEnd } from './network-surroundings.ts'

export interface ConnectionsOptions {
  readonly detectMs: number
  schedule(delayMs: number, callback: () => void): void
  live(peer: PeerId): SimEnd | undefined
  reachable(from: PeerId, to: PeerId): boolean
  /** Typical one-way delay. */
  delayMs(from: PeerId, to: PeerId): number
}

interface Side {
  readonly end: SimEnd
  /** The number under which this side knew the other when they connected. */
  readonly other: NodeId
}
type Pair = readonly [Side, Side]

export class Connections {
  readonly #options: ConnectionsOptions
  readonly #up = new Map<string, Pair>()
  readonly #pending = new Set<string>()

  constructor(options: ConnectionsOptions) {
    this.#options = options
  }

  /** Looks again at all pairs of these peers; what changed is told after its delay. */
  check(peers: readonly PeerId[]): void {
    for (const [index, first] of peers.entries()) {
      for (const second of peers.slice(index + 1)) this.#checkPair(first, second)
    }
  }

  #checkPair(first: PeerId, second: PeerId): void {
    const key = `${first}|${second}`
    const pair = this.#up.get(key)
    const again = (): void => {
      this.#checkPair(first, second)
    }
    const delayMs = this.#options.delayMs(first, second)
    if (pair !== undefined) {
      if (this.#stands(pair)) return
      const silent = pair[0].end.alive && pair[1].end.alive && alike(pair[0].end, pair[1].end)
      this.#later(key, silent ? this.#options.detectMs : delayMs, () => {
        if (!this.#stands(pair)) this.#lose(key, pair)
        again()
      })
      return
    }
    if (this.#candidate(first, second) === undefined) return
    // Two round trips: the connection, then the greeting.
    this.#later(key, 4 * delayMs, () => {
      const made = this.#candidate(first, second)
      if (made === undefined) return
      this.#up.set(key, made)
      for (const side of made) side.end.handlers?.onConnection(side.other, true)
    })
  }

  #lose(key: string, pair: Pair): void {
    this.#up.delete(key)
    for (const side of pair) if (side.end.alive) side.end.handlers?.onConnection(side.other, false)
  }

  #stands([a, b]: Pair): boolean {
    return a.end.alive && b.end.alive && alike(a.end, b.end) && this.#bothWays(a.end, b.end)
  }

  #candidate(first: PeerId, second: PeerId): Pair | undefined {
    const a = this.#options.live(first)
    const b = this.#options.live(second)
    if (a === undefined || b === undefined || !this.#bothWays(a, b)) return undefined
    const bForA = a.memberOf(b)
    const aForB = b.memberOf(a)
    if (bForA === undefined || aForB === undefined) return undefined
    return [
      { end: a, other: bForA },
      { end: b, other: aForB }
    ]
  }

  #bothWays(a: SimEnd, b: SimEnd): boolean {
    return this.#options.reachable(a.peerId, b.peerId) && this.#options.reachable(b.peerId, a.peerId)
  }

  /** At most one look at a pair is under way. */
  #later(key: string, delayMs: number, act: () => void): void {
    if (this.#pending.has(key)) return
    this.#pending.add(key)
    this.#options.schedule(delayMs, () => {
      this.#pending.delete(key)
      act()
    })
  }
}

function alike(a: SimEnd, b: SimEnd): boolean {
  return a.memberOf(b) !== undefined && b.memberOf(a) !== undefined
}
