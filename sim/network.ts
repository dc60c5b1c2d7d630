/**
 * A network in virtual time. Owns: which lives exist, and who reaches whom. Delay, loss, repeats, order and clogging are the
 * links'; membership is the endpoints'.
 *
 * 1. What happens is a function of the generator, the schedule and the calls: nothing reads a clock.
 * 2. Frames are carried wherever bytes can get, also over a link whose other direction is cut: harsher than TCP, and
 *    allowed by the port, since nothing above may rely on delivery.
 */
import { invariant } from '../base/invariant.ts'
import type { PeerId } from '../base/ids.ts'
import { MiB } from '../base/units.ts'
import type { Transport } from '../runtime/ports/transport.ts'
import { Connections } from './network-connections.ts'
import { Endpoint } from './network-endpoint.ts'
import { SimLink } from './network-link.ts'
import type { LinkProfile, SimNetwork, SimNetworkOptions, SimNetworkStats } from './network-types.ts'

const DEFAULT_LINK: LinkProfile = {
  minDelayMs: 0.1,
  meanExtraDelayMs: 0.2,
  loss: 0,
  duplicate: 0,
  reorder: 0
}

export function createSimNetwork(options: SimNetworkOptions): SimNetwork {
  return new Network(options)
}

class Network implements SimNetwork {
  readonly #options: SimNetworkOptions
  readonly #detectMs: number
  readonly #connections: Connections
  readonly #links = new Map<string, SimLink>()
  readonly #lives = new Map<PeerId, Endpoint>()
  readonly #cuts = new Set<string>()
  readonly #stats = { sent: 0, delivered: 0, lost: 0, duplicated: 0 }
  #groups: ReadonlyMap<PeerId, number> | undefined
  #profile: LinkProfile

  constructor(options: SimNetworkOptions) {
    this.#options = options
    this.#detectMs = options.detectMs ?? 1_000
    this.#profile = { ...DEFAULT_LINK, ...options.link }
    this.#connections = new Connections({
      detectMs: this.#detectMs,
      schedule: options.schedule,
      live: (peer) => this.#live(peer),
      reachable: (from, to) => this.#reachable(from, to),
      delayMs: (from, to) => {
        const { minDelayMs, meanExtraDelayMs } = this.#link(from, to).profile
        return minDelayMs + meanExtraDelayMs
      }
    })
  }

  transport(peer: PeerId): Transport {
    invariant(this.#live(peer) === undefined, () => `peer ${peer} still runs`)
    const endpoint = new Endpoint(peer, {
      schedule: this.#options.schedule,
      link: (from, to) => this.#link(from, to),
      reachable: (from, to) => this.#reachable(from, to),
      live: (other) => this.#live(other),
      peerAt: (address) => [...this.#lives.keys()].find((other) => this.addressOf(other) === address),
      addressOf: (other) => this.addressOf(other),
      changed: () => {
        this.#connections.check([...this.#lives.keys()])
      },
      maxFrameBytes: 16 * MiB,
      detectMs: this.#detectMs
    })
    this.#lives.set(peer, endpoint)
    return endpoint
  }

  addressOf(peer: PeerId): string {
    return `/sim/${peer}`
  }

  setLink(change: Partial<LinkProfile>, from?: PeerId, to?: PeerId): void {
    if (from !== undefined && to !== undefined) {
      const link = this.#link(from, to)
      link.profile = { ...link.profile, ...change }
      return
    }
    this.#profile = { ...this.#profile, ...change }
    for (const link of this.#links.values()) link.profile = { ...link.profile, ...change }
  }

  partition(groups: readonly (readonly PeerId[])[]): void {
    this.#groups = new Map(groups.flatMap((group, index) => group.map((peer) => [peer, index] as const)))
    this.#refresh()
  }

  cut(from: PeerId, to: PeerId): void {
    this.#cuts.add(`${from}>${to}`)
    this.#refresh()
  }

  clog(from: PeerId, to: PeerId): void {
    this.#link(from, to).clog()
  }

  unclog(from: PeerId, to: PeerId): void {
    this.#link(from, to).unclog()
  }

  heal(): void {
    this.#groups = undefined
    this.#cuts.clear()
    for (const link of this.#links.values()) link.unclog()
    this.#refresh()
  }

  crash(peer: PeerId): void {
    this.#lives.get(peer)?.crash()
    for (const other of this.#lives.keys()) if (other !== peer) this.#link(peer, other).truncate()
    this.#refresh()
  }

  stats(): SimNetworkStats {
    return { ...this.#stats }
  }

  #live(peer: PeerId): Endpoint | undefined {
    const life = this.#lives.get(peer)
    return life?.alive === true ? life : undefined
  }

  #reachable(from: PeerId, to: PeerId): boolean {
    if (this.#cuts.has(`${from}>${to}`)) return false
    const groups = this.#groups
    return groups === undefined || (groups.has(from) && groups.get(from) === groups.get(to))
  }

  #link(from: PeerId, to: PeerId): SimLink {
    const key = `${from}>${to}`
    const known = this.#links.get(key)
    if (known !== undefined) return known
    const link = new SimLink({
      rng: this.#options.rng,
      schedule: this.#options.schedule,
      maxQueueBytes: this.#options.maxQueueBytes ?? 64 * MiB,
      profile: this.#profile,
      count: (what) => {
        this.#stats[what] += 1
      }
    })
    link.cut = !this.#reachable(from, to)
    this.#links.set(key, link)
    return link
  }

  #refresh(): void {
    const peers = [...this.#lives.keys()]
    for (const from of peers) {
      for (const to of peers) if (from !== to) this.#link(from, to).cut = !this.#reachable(from, to)
    }
    this.#connections.check(peers)
  }
}
