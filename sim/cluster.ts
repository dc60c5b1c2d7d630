/**
 * A whole simulated cluster: N nodes with the production runtime under one virtual time and one seed, watched by the
 * checkers. Faults and load are the scenario's; this file only makes them possible.
 */
import { AppError, toAppError } from '../base/errors.ts'
import { clusterId, nodeId, peerId } from '../base/ids.ts'
import { InvariantError, invariant } from '../base/invariant.ts'
import { createRng, type Rng } from '../base/prng.ts'
import { wantedVoters } from '../runtime/membership/autopilot.ts'
import { requestJoin } from '../runtime/membership/peer-desk.ts'
import type { AttemptStart } from '../runtime/ports/attempt-host.ts'
import type { PeerAddress, TransportHandlers } from '../runtime/ports/transport.ts'
import type { SimBehaviour } from './attempt-host.ts'
import { Checkers } from './checkers/index.ts'
import { createSimNetwork } from './network.ts'
import type { SimNetwork } from './network-types.ts'
import { SimNode } from './sim-node.ts'
import { VirtualTime } from './virtual-time.ts'

export interface SimClusterOptions {
  readonly seed: number
  readonly nodes: number
  readonly slots: number
  readonly behaviour: (attempt: AttemptStart, rng: Rng) => SimBehaviour
  /** Every log line of every node; for diagnosis. */
  readonly onLog?: (line: string) => void
}

const CLUSTER = clusterId('5'.repeat(32))
const JOIN_TIMEOUT_MS = 20_000

export class SimCluster {
  readonly time = new VirtualTime()
  readonly rng: Rng
  readonly network: SimNetwork
  readonly checkers: Checkers
  readonly nodes: SimNode[] = []
  readonly #options: SimClusterOptions
  /** Disks of one kind: with slow ones, what was not yet durable is a target worth hitting. */
  readonly #maxWriteMs: number
  #peers: readonly PeerAddress[] = []
  #joining = false

  constructor(options: SimClusterOptions) {
    this.#options = options
    this.rng = createRng(options.seed)
    this.#maxWriteMs = this.rng.nextInt(3) === 0 ? 40 : 1
    this.checkers = new Checkers(() => this.time.now, options.slots)
    this.network = createSimNetwork({
      rng: this.rng.fork(),
      schedule: (delayMs, callback) => this.time.schedule(delayMs, callback)
    })
  }

  /** Brings all nodes up, the first as the founder, the others through it, and waits until each may run attempts and vote. */
  async start(): Promise<void> {
    const founder = this.#makeNode(1)
    this.nodes.push(founder)
    await this.finish(founder.start())
    await this.until(() => founder.runtime?.open === true, 10_000, 'the founder opens its incarnation')
    while (this.nodes.length < this.#options.nodes) await this.finish(this.join(founder))
    const allVote = (): boolean => {
      const voters = this.leader()?.runtime?.raftStatus().confState.voters.length ?? 0
      return (
        this.nodes.every((node) => node.runtime?.open === true) && voters >= wantedVoters(this.nodes.length)
      )
    }
    await this.until(allVote, 60_000, 'all nodes have joined')
  }

  /** Has all leaders place by this policy. */
  async usePolicy(policy: string): Promise<void> {
    const runtime = this.leader()?.runtime
    if (runtime === undefined) throw new InvariantError('a policy is set while somebody leads')
    await this.finish(runtime.propose({ type: 'set-settings', settings: { policy } }, 10_000))
  }

  /** Makes one more machine a member, let in by `contact`. Rejects when it was not; then it may be tried again. */
  async join(contact: SimNode): Promise<void> {
    if (this.#joining) throw new AppError('OVERLOADED', 'another node is joining')
    this.#joining = true
    try {
      const number = this.nodes.length + 1
      const transport = this.network.transport(peerId(`peer-${number}`))
      await transport.start(SILENT)
      try {
        const address = this.network.addressOf(contact.peer)
        const reply = await requestJoin(transport, [address], `zone-${number}`, JOIN_TIMEOUT_MS)
        invariant(reply.nodeId === number, () => `join: got number ${reply.nodeId}, expected ${number}`)
        this.#peers = reply.peers
      } finally {
        await transport.stop()
      }
      const node = this.#makeNode(number)
      this.nodes.push(node)
      await node.start()
    } finally {
      this.#joining = false
    }
  }

  /** The node that leads and knows it, if there is one now. */
  leader(): SimNode | undefined {
    let leader: SimNode | undefined
    for (const node of this.nodes) {
      if (node.runtime?.reigning !== true) continue
      if (leader?.runtime === undefined || node.runtime.term > leader.runtime.term) leader = node
    }
    return leader
  }

  /** Lets time pass until the promise is settled, and gives its value. */
  async finish<T>(promise: Promise<T>, limitMs = 60_000): Promise<T> {
    let settled = false
    const watched = promise.finally(() => {
      settled = true
    })
    watched.catch(() => undefined)
    const done = await this.run(() => settled, limitMs)
    if (!done) throw new InvariantError(`a promise was not settled within ${limitMs} ms of virtual time`)
    return await watched
  }

  /** What a client outside gets: the answer, or an error once it has waited too long, also from a dead process. */
  ask<T>(answer: Promise<T>, limitMs: number): Promise<T | AppError> {
    return new Promise((resolve) => {
      const cancel = this.time.schedule(limitMs, () => {
        resolve(new AppError('TIMEOUT', 'the connection brought no answer'))
      })
      answer.then(resolve, (error: unknown) => {
        resolve(toAppError(error))
      })
      answer.finally(cancel).catch(() => undefined)
    })
  }

  async until(condition: () => boolean, limitMs: number, what: string): Promise<void> {
    if (await this.run(condition, limitMs)) return
    throw new InvariantError(`not within ${limitMs} ms of virtual time: ${what}`)
  }

  /** Lets time pass, with the checks that every step must stand. */
  async run(condition: () => boolean, limitMs: number): Promise<boolean> {
    return await this.time.run(() => {
      for (const { id, runtime } of this.nodes) {
        if (runtime === undefined) continue
        if (runtime.leads) this.checkers.leaders.led(id, runtime.term)
        this.checkers.stateTime.observe(id, runtime.state.time)
      }
      return condition()
    }, limitMs)
  }

  #makeNode(number: number): SimNode {
    const behaviourRng = this.rng.fork()
    return new SimNode({
      id: nodeId(number),
      peer: peerId(`peer-${number}`),
      clusterId: CLUSTER,
      founder: number === 1,
      time: this.time,
      rng: this.rng.fork(),
      network: this.network,
      ledger: this.checkers.ledger,
      slots: this.#options.slots,
      maxWriteMs: this.#maxWriteMs,
      applySliceMs: this.rng.nextInt(2) === 0 ? 0 : 5,
      behaviour: (attempt) => this.#options.behaviour(attempt, behaviourRng),
      initialPeers: () => this.#peers,
      onEvents: (node, events, index) => {
        this.checkers.applied(node.id, index, events)
      },
      onFatal: (node, error) => {
        this.checkers.fatal(node.id, error)
      },
      ...this.#logSink()
    })
  }

  #logSink(): { onLog?: (node: SimNode, level: string, fields: unknown, message: string) => void } {
    const { onLog } = this.#options
    if (onLog === undefined) return {}
    return {
      onLog: (node, level, fields, message) => {
        onLog(`${this.time.now.toFixed(1)} n${node.id} ${level} ${message} ${JSON.stringify(fields)}`)
      }
    }
  }
}

const SILENT: TransportHandlers = {
  onFrame: () => undefined,
  onConnection: () => undefined,
  onRequest: () => Promise.reject(new InvariantError('a joining node answers nothing')),
  onSnapshot: () => Promise.reject(new InvariantError('a joining node takes no snapshot'))
}
