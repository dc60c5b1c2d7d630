/**
 * One direction between two simulated peers: what is on its way, and the faults that act on it.
 *
 * 1. Frames of one channel arrive in order, unless the profile's `reorder` let one take its own way.
 * 2. A frame is judged twice: `loss` when it is sent, cuts and deaths when it would arrive.
 */
import type { Rng } from '../base/prng.ts'
import type { Channel } from '../runtime/ports/transport.ts'
import type { LinkProfile } from './network-types.ts'

export interface Parcel {
  readonly bytes: number
  deliver(): void
}

export interface SimLinkOptions {
  readonly rng: Rng
  readonly schedule: (delayMs: number, callback: () => void) => unknown
  readonly maxQueueBytes: number
  readonly profile: LinkProfile
  readonly count: (what: 'sent' | 'delivered' | 'lost' | 'duplicated') => void
}

interface Lane {
  waiting: Parcel[]
  /** How often a parcel's time came while the link was clogged. */
  due: number
}

export class SimLink {
  profile: LinkProfile
  /** Nothing arrives while it is set. */
  cut = false
  readonly #options: SimLinkOptions
  readonly #lanes = new Map<Channel, Lane>()
  #clogged = false

  constructor(options: SimLinkOptions) {
    this.#options = options
    this.profile = options.profile
  }

  /** Sends a frame; false when the queue of a clogged link is full. */
  send(channel: Channel, parcel: Parcel): boolean {
    const { count, maxQueueBytes, rng, schedule } = this.#options
    const lane = this.#lane(channel)
    if (this.queuedBytes(channel) + parcel.bytes > maxQueueBytes) return false
    count('sent')
    if (this.cut || this.#chance(this.profile.loss)) {
      count('lost')
      return true
    }
    if (this.#chance(this.profile.duplicate)) {
      count('duplicated')
      this.#enqueue(lane, parcel)
    }
    if (!this.#chance(this.profile.reorder)) {
      this.#enqueue(lane, parcel)
      return true
    }
    // Long enough to be overtaken by several frames.
    schedule(this.#delay() * (1 + rng.nextInt(10)), () => {
      if (this.#clogged) this.#enqueue(lane, parcel)
      else this.#arrive(parcel)
    })
    return true
  }

  /** Runs `act` after this link's delay, unless the link loses it; reliable traffic is lost to a cut only. */
  pass(act: () => void, { reliable = false }: { readonly reliable?: boolean } = {}): void {
    if (!reliable && this.#chance(this.profile.loss)) return
    this.#options.schedule(this.#delay(), () => {
      if (!this.cut) act()
    })
  }

  queuedBytes(channel: Channel): number {
    if (!this.#clogged) return 0
    return this.#lane(channel).waiting.reduce((sum, parcel) => sum + parcel.bytes, 0)
  }

  clog(): void {
    this.#clogged = true
  }

  unclog(): void {
    this.#clogged = false
    for (const lane of this.#lanes.values()) {
      const { due } = lane
      lane.due = 0
      for (let turn = 0; turn < due; turn++) this.#scheduleTurn(lane)
    }
  }

  /** Drops what is on its way, but for a random prefix of each channel: what had left before the sender died. */
  truncate(): void {
    for (const lane of this.#lanes.values()) {
      const kept = this.#options.rng.nextInt(lane.waiting.length + 1)
      for (let dropped = lane.waiting.length; dropped > kept; dropped--) this.#options.count('lost')
      lane.waiting.length = kept
    }
  }

  #lane(channel: Channel): Lane {
    const lane = this.#lanes.get(channel) ?? { waiting: [], due: 0 }
    this.#lanes.set(channel, lane)
    return lane
  }

  #chance(probability: number): boolean {
    return probability > 0 && this.#options.rng.nextFloat() < probability
  }

  #delay(): number {
    const { minDelayMs, meanExtraDelayMs } = this.profile
    return minDelayMs - Math.log(1 - this.#options.rng.nextFloat()) * meanExtraDelayMs
  }

  #enqueue(lane: Lane, parcel: Parcel): void {
    lane.waiting.push(parcel)
    this.#scheduleTurn(lane)
  }

  /** The first in line arrives when anyone's time has come: it was sent earlier, so its own delay is over as well. */
  #scheduleTurn(lane: Lane): void {
    this.#options.schedule(this.#delay(), () => {
      if (this.#clogged) {
        lane.due += 1
        return
      }
      const parcel = lane.waiting.shift()
      if (parcel !== undefined) this.#arrive(parcel)
    })
  }

  #arrive(parcel: Parcel): void {
    if (this.cut) {
      this.#options.count('lost')
      return
    }
    this.#options.count('delivered')
    parcel.deliver()
  }
}
