/**
 * One simulated machine with its disk, its stores and whatever lives of a node run on it one after the other.
 */
import type { AppError } from '../base/errors.ts'
import { type ClusterId, type NodeId, type PeerId } from '../base/ids.ts'
import type { Rng } from '../base/prng.ts'
import { LAN_TIMING, type RuntimeConfig } from '../runtime/config.ts'
import { DEFAULT_RUNTIME } from '../runtime/config.ts'
import { NodeRuntime } from '../runtime/node-runtime.ts'
import type { Logger } from '../runtime/ports/log.ts'
import type { PeerAddress } from '../runtime/ports/transport.ts'
import type { SchedulerEvent } from '../scheduler/events.ts'
import { createSimMachine, type SimBehaviour, type SimMachine } from './attempt-host.ts'
import type { AttemptStart } from '../runtime/ports/attempt-host.ts'
import type { AttemptLedger } from './attempt-ledger.ts'
import { createSimDisk } from './disk.ts'
import type { SimDisk } from './disk-types.ts'
import type { SimNetwork } from './network-types.ts'
import { createSimStores } from './store.ts'
import type { SimStores } from './store-types.ts'
import type { VirtualTime } from './virtual-time.ts'

export interface SimNodeInput {
  readonly id: NodeId
  readonly peer: PeerId
  readonly clusterId: ClusterId
  readonly founder: boolean
  readonly time: VirtualTime
  readonly rng: Rng
  readonly network: SimNetwork
  readonly ledger: AttemptLedger
  readonly slots: number
  /** This machine's wall clock relative to the simulation's. */
  readonly clockOffsetMs: number
  readonly behaviour: (attempt: AttemptStart) => SimBehaviour
  readonly initialPeers: () => readonly PeerAddress[]
  readonly onEvents: (node: SimNode, events: readonly SchedulerEvent[], index: number) => void
  readonly onFatal: (node: SimNode, error: AppError) => void
  readonly onLog?: (node: SimNode, level: string, fields: unknown, message: string) => void
}

/** Small segments and frequent compaction, so that short simulations meet both. */
const SEGMENT_BYTES = 256 * 1024
const COMPACT_BYTES = 64 * 1024

export class SimNode {
  readonly id: NodeId
  readonly peer: PeerId
  runtime: NodeRuntime | undefined
  readonly disk: SimDisk
  readonly #input: SimNodeInput
  readonly #stores: SimStores
  readonly #machine: SimMachine
  #life = 0

  constructor(input: SimNodeInput) {
    const { time, rng } = input
    this.id = input.id
    this.peer = input.peer
    this.#input = input
    const schedule = (delayMs: number, callback: () => void): (() => void) => time.schedule(delayMs, callback)
    this.disk = createSimDisk({ rng: rng.fork(), schedule })
    this.#stores = createSimStores({ rng: rng.fork(), schedule })
    this.#machine = createSimMachine({
      clock: time.clock(input.clockOffsetMs),
      timers: time.timers(() => true),
      name: `n${input.id}`,
      offer: { executors: ['js', 'shell'], handlers: { work: 'hash-of-work' } },
      leaseMarginMs: 250,
      killMs: 20,
      noticeMs: 30,
      behaviour: input.behaviour,
      ledger: input.ledger
    })
  }

  get up(): boolean {
    return this.runtime !== undefined
  }

  /** Begins the node's next life on what its disk kept. */
  async start(): Promise<void> {
    const { time, network, rng } = this.#input
    this.#life += 1
    const life = this.#life
    const alive = (): boolean => this.#life === life
    const ports = {
      clock: time.clock(this.#input.clockOffsetMs),
      timers: time.timers(alive),
      entropy: seededEntropy(rng),
      disk: this.disk.disk(),
      stores: this.#stores,
      transport: network.transport(this.peer),
      host: this.#machine.createHost(),
      logger: this.#logger()
    }
    const runtime = await NodeRuntime.open({
      ports,
      config: this.#config(),
      folder: 'data',
      segmentBytes: SEGMENT_BYTES,
      initialPeers: this.#input.initialPeers(),
      onFatal: (error) => {
        if (alive()) this.#input.onFatal(this, error)
      },
      onEvents: (events, index) => {
        if (alive()) this.#input.onEvents(this, events, index)
      }
    })
    if (!alive()) return
    await runtime.start(`http://n${this.id}`)
    if (alive()) this.runtime = runtime
  }

  /** The process dies; with `power`, the machine loses what no sync covered. */
  crash(power: boolean): void {
    this.#life += 1
    this.runtime = undefined
    this.#input.network.crash(this.peer)
    this.#machine.crash()
    this.#stores.crash({ power })
    this.disk.crash({ power })
  }

  async stop(): Promise<void> {
    await this.runtime?.stop(2_000)
    this.runtime = undefined
    this.#life += 1
  }

  #config(): RuntimeConfig {
    const { id, peer, clusterId, founder, slots } = this.#input
    return {
      ...DEFAULT_RUNTIME,
      timing: LAN_TIMING,
      clusterId,
      nodeId: id,
      peerId: peer,
      bootstrap: founder,
      version: 'sim',
      slots,
      resources: {},
      labels: {},
      zone: `zone-${id}`,
      lazyStartMs: 200,
      compactBytes: COMPACT_BYTES,
      flushMs: 200
    }
  }

  #logger(): Logger {
    const { onLog } = this.#input
    const at =
      (level: string) =>
      (fields: Readonly<Record<string, unknown>>, message: string): void => {
        onLog?.(this, level, fields, message)
      }
    return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
  }
}

function seededEntropy(rng: Rng): { bytes: (count: number) => Uint8Array; uint32: () => number } {
  return {
    bytes: (count) => Uint8Array.from({ length: count }, () => rng.nextInt(256)),
    uint32: () => rng.nextUint32()
  }
}
