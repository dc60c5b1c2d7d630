/**
 * One simulated machine with its disk, its stores and whatever lives of a node run on it one after the other.
 *
 * The node process may crash, hang and stop; the machine (its disk, its clocks, its supervisor) outlives it.
 */
import { toAppError, type AppError } from '../base/errors.ts'
import type { ClusterId, NodeId, PeerId } from '../base/ids.ts'
import type { Rng } from '../base/prng.ts'
import { DEFAULT_RUNTIME, LAN_TIMING, type RuntimeConfig } from '../runtime/config.ts'
import { NodeRuntime } from '../runtime/node-runtime.ts'
import type { AttemptStart } from '../runtime/ports/attempt-host.ts'
import type { RuntimePorts } from '../runtime/ports/index.ts'
import type { Logger } from '../runtime/ports/log.ts'
import type { PeerAddress } from '../runtime/ports/transport.ts'
import type { SchedulerEvent } from '../scheduler/events.ts'
import { createSimMachine, type SimBehaviour, type SimMachine } from './attempt-host.ts'
import type { AttemptLedger } from './attempt-ledger.ts'
import { createSimDisk } from './disk.ts'
import { EAGER_COPIES, eagerCopies } from './eager-copies.ts'
import type { SimDisk } from './disk-types.ts'
import type { SimNetwork } from './network-types.ts'
import { gatedHost, gatedTransport, ProcessGate } from './process-gate.ts'
import { createSimStores } from './store.ts'
import type { SimStores } from './store-types.ts'
import type { MachineClock, VirtualTime } from './virtual-time.ts'

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
  /** Longest write of its disk. */
  readonly maxWriteMs: number
  /** Longest stretch of applying entries; 0 for one entry a turn, since nothing takes time by itself here. */
  readonly applySliceMs: number
  readonly behaviour: (attempt: AttemptStart) => SimBehaviour
  readonly initialPeers: () => readonly PeerAddress[]
  readonly onEvents: (node: SimNode, events: readonly SchedulerEvent[], index: number) => void
  /** The process ended itself, or could not open its data. */
  readonly onFatal: (node: SimNode, error: AppError) => void
  readonly onLog?: (node: SimNode, level: string, fields: unknown, message: string) => void
}

/** Small segments and frequent compaction, so that short simulations meet both. */
const SEGMENT_BYTES = 256 * 1024
const COMPACT_BYTES = 64 * 1024
/** Wall clocks of healthy machines stand at most this far from true time. */
export const CLOCK_SKEW_MS = 100
/** Monotonic clocks run at most this much faster or slower than true time. */
const CLOCK_DRIFT = 0.001
const STOP_LIMIT_MS = 2_000
const POLICIES = new Map([[EAGER_COPIES, eagerCopies]])

export class SimNode {
  readonly id: NodeId
  readonly peer: PeerId
  runtime: NodeRuntime | undefined
  readonly disk: SimDisk
  /** This machine's wall clock relative to the simulation's. */
  clockOffsetMs = 0
  /** It was told to leave the cluster, and does not come back once the log knows. */
  leaving = false
  readonly #input: SimNodeInput
  readonly #clock: MachineClock
  readonly #stores: SimStores
  readonly #machine: SimMachine
  #gate: ProcessGate
  #phase: 'down' | 'starting' | 'up' | 'stopping' = 'down'
  /** The next end of the process is of its surroundings' making. */
  #endExpected = false

  constructor(input: SimNodeInput) {
    const { time, rng } = input
    this.id = input.id
    this.peer = input.peer
    this.#input = input
    this.#gate = this.#newGate()
    this.#gate.end()
    this.healClock()
    this.#clock = {
      startMs: rng.nextInt(1_000_000_000),
      rate: 1 + (rng.nextFloat() * 2 - 1) * CLOCK_DRIFT,
      offsetMs: () => this.clockOffsetMs
    }
    const schedule = (delayMs: number, callback: () => void): (() => void) =>
      time.schedule(delayMs, () => {
        this.#gate.run(callback)
      })
    this.disk = createSimDisk({ rng: rng.fork(), schedule, maxWriteMs: input.maxWriteMs })
    this.#stores = createSimStores({ rng: rng.fork(), schedule })
    this.#machine = createSimMachine({
      clock: time.clock(this.#clock),
      timers: time.timers(this.#clock, (callback) => {
        callback()
      }),
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
    return this.#phase === 'up'
  }

  get down(): boolean {
    return this.#phase === 'down'
  }

  get paused(): boolean {
    return this.#gate.paused
  }

  /** Begins the node's next life on what its disk kept; resolves once it takes part, or failed to. */
  async start(): Promise<void> {
    if (this.#phase !== 'down') return
    this.#phase = 'starting'
    this.#endExpected = false
    const gate = this.#newGate()
    this.#gate = gate
    try {
      const runtime = await NodeRuntime.open({
        ports: this.#ports(gate),
        config: this.#config(),
        folder: 'data',
        segmentBytes: SEGMENT_BYTES,
        initialPeers: this.#input.initialPeers(),
        policies: POLICIES,
        onFatal: (error) => {
          if (!gate.isOver) this.#fatal(error)
        },
        onEvents: (events, index) => {
          if (!gate.isOver) this.#input.onEvents(this, events, index)
        }
      })
      await runtime.start(`http://n${this.id}`)
      this.runtime = runtime
      this.#phase = 'up'
    } catch (error) {
      this.#fatal(toAppError(error))
    }
  }

  /** The process dies; with `power`, the machine loses what no sync covered. */
  crash(power: boolean): void {
    if (this.#phase === 'down') return
    this.#end(power)
  }

  /** A graceful stop, as of the first signal; resolves when the process has ended. */
  async stop(): Promise<void> {
    const { runtime } = this
    if (this.#phase !== 'up' || runtime === undefined) return
    this.#phase = 'stopping'
    const gate = this.#gate
    await gate.call(() => runtime.stop(STOP_LIMIT_MS))
    if (!gate.isOver) this.#end(false)
  }

  /** The process stands still: its timers, its input and output. Its machine goes on. */
  pause(): void {
    this.#gate.pause()
  }

  resume(): void {
    this.#gate.resume()
  }

  /** The supervisor dies, and with it what it ran; the node must end itself. */
  loseSupervisor(): void {
    if (this.#phase !== 'up') return
    this.#endExpected = true
    this.#machine.loseSupervisor()
  }

  /** Sets the wall clock to within the skew of healthy clocks. */
  healClock(): void {
    this.clockOffsetMs = this.#input.rng.nextInt(2 * CLOCK_SKEW_MS) - CLOCK_SKEW_MS
  }

  #fatal(error: AppError): void {
    if (!this.#endExpected) this.#input.onFatal(this, error)
    // The process ends itself with its next step; the machine stays.
    const gate = this.#gate
    this.#input.time.schedule(0, () => {
      if (this.#gate === gate) this.crash(false)
    })
  }

  #end(power: boolean): void {
    this.#gate.end()
    this.#phase = 'down'
    this.runtime = undefined
    this.#input.network.crash(this.peer)
    this.#machine.crash()
    this.#stores.crash({ power })
    this.disk.crash({ power })
  }

  #newGate(): ProcessGate {
    return new ProcessGate((callback) => {
      this.#input.time.schedule(0, callback)
    })
  }

  #ports(gate: ProcessGate): RuntimePorts {
    const { time, network, rng } = this.#input
    return {
      clock: time.clock(this.#clock),
      timers: time.timers(this.#clock, (callback) => {
        gate.run(callback)
      }),
      entropy: {
        bytes: (count) => Uint8Array.from({ length: count }, () => rng.nextInt(256)),
        uint32: () => rng.nextUint32()
      },
      disk: this.disk.disk(),
      stores: this.#stores,
      transport: gatedTransport(network.transport(this.peer), gate),
      host: gatedHost(this.#machine.createHost(), gate),
      logger: this.#logger()
    }
  }

  #config(): RuntimeConfig {
    const { id, peer, clusterId, founder, slots, applySliceMs } = this.#input
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
      flushMs: 200,
      applySliceMs
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
