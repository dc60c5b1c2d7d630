/**
 * A whole simulated cluster: N nodes with the production runtime under one virtual time and one seed, watched by the
 * checkers. Faults and load are the scenario's (`scenario.ts`); this file only makes them possible.
 */
import { clusterId, nodeId, peerId, type NodeId } from '../base/ids.ts'
import { InvariantError, invariant } from '../base/invariant.ts'
import { createRng, type Rng } from '../base/prng.ts'
import { requestJoin } from '../runtime/membership/peer-desk.ts'
import type { AttemptStart } from '../runtime/ports/attempt-host.ts'
import type { PeerAddress, TransportHandlers } from '../runtime/ports/transport.ts'
import type { SimBehaviour } from './attempt-host.ts'
import { createAttemptLedger, type AttemptLedger } from './attempt-ledger.ts'
import { LeaderChecker } from './checkers/leaders.ts'
import { TaskChecker } from './checkers/tasks.ts'
import { TraceChecker } from './checkers/trace.ts'
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

export class SimCluster {
  readonly time = new VirtualTime()
  readonly rng: Rng
  readonly network: SimNetwork
  readonly ledger: AttemptLedger
  readonly trace = new TraceChecker()
  readonly leaders = new LeaderChecker()
  readonly tasks = new TaskChecker()
  readonly nodes: SimNode[] = []
  /** Errors that nodes stopped for. */
  readonly fatal: string[] = []
  readonly #options: SimClusterOptions
  #peers: readonly PeerAddress[] = []

  constructor(options: SimClusterOptions) {
    this.#options = options
    this.rng = createRng(options.seed)
    this.ledger = createAttemptLedger(() => this.time.now)
    this.network = createSimNetwork({
      rng: this.rng.fork(),
      schedule: (delayMs, callback) => this.time.schedule(delayMs, callback)
    })
  }

  /** Brings all nodes up, the first as the founder, the others through it, and waits until each may run attempts. */
  async start(): Promise<void> {
    for (let number = 1; number <= this.#options.nodes; number++) this.nodes.push(this.#makeNode(number))
    const [founder, ...others] = this.nodes
    invariant(founder !== undefined, 'a cluster has at least one node')
    await this.finish(founder.start())
    await this.until(() => founder.runtime?.open === true, 10_000, 'the founder opens its incarnation')
    for (const node of others) {
      await this.#join(node, founder)
      await this.finish(node.start())
    }
    const allVote = (): boolean => {
      const voters = this.leader()?.runtime?.raftStatus().confState.voters.length ?? 0
      return (
        this.nodes.every((node) => node.runtime?.open === true) && voters >= Math.min(3, this.nodes.length)
      )
    }
    await this.until(allVote, 60_000, 'all nodes have joined')
  }

  /** The node that leads and knows it, if there is one now. */
  leader(): SimNode | undefined {
    let leader: SimNode | undefined
    for (const node of this.nodes) {
      if (node.runtime?.reigning !== true) continue
      if (leader === undefined || node.runtime.raftStatus().hardState.term > termOf(leader)) leader = node
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

  async until(condition: () => boolean, limitMs: number, what: string): Promise<void> {
    if (await this.run(condition, limitMs)) return
    throw new InvariantError(`not within ${limitMs} ms of virtual time: ${what}`)
  }

  /** Lets time pass, with the checks that every step must stand. */
  async run(condition: () => boolean, limitMs: number): Promise<boolean> {
    return await this.time.run(() => {
      for (const node of this.nodes) {
        const status = node.runtime?.raftStatus()
        if (status !== undefined)
          this.leaders.observe(node.id, status.hardState.term, status.role === 'leader')
      }
      return condition()
    }, limitMs)
  }

  /** Everything that any checker found. */
  violations(): string[] {
    const overlaps = this.ledger.violations.map(({ type, entries: [a, b] }) => {
      return `${type}: task ${b.taskId} on ${a.machine} (token ${a.token}) and ${b.machine} (token ${b.token})`
    })
    return [...this.leaders.violations, ...this.trace.violations, ...this.tasks.violations, ...overlaps]
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
      ledger: this.ledger,
      slots: this.#options.slots,
      clockOffsetMs: this.rng.nextInt(200) - 100,
      behaviour: (attempt) => this.#options.behaviour(attempt, behaviourRng),
      initialPeers: () => this.#peers,
      onEvents: (node, events, index) => {
        this.trace.applied(Math.floor(this.time.now * 1000), node.id, index, events)
        this.tasks.applied(index, events)
      },
      onFatal: (node, error) => {
        this.fatal.push(`node ${node.id}: ${error.code}: ${error.message}`)
        this.trace.note(`fatal ${node.id} ${error.code}`)
        // The process ends itself; the machine stays.
        this.time.schedule(0, () => {
          if (node.up) node.crash(false)
        })
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

  async #join(node: SimNode, contact: SimNode): Promise<NodeId> {
    const transport = this.network.transport(node.peer)
    await this.finish(transport.start(SILENT))
    const address = this.network.addressOf(contact.peer)
    const reply = await this.finish(requestJoin(transport, [address], `zone-${node.id}`, 20_000))
    await this.finish(transport.stop())
    invariant(reply.nodeId === node.id, () => `join: got number ${reply.nodeId}, expected ${node.id}`)
    this.#peers = reply.peers
    return reply.nodeId
  }
}

const SILENT: TransportHandlers = {
  onFrame: () => undefined,
  onConnection: () => undefined,
  onRequest: () => Promise.reject(new InvariantError('a joining node answers nothing')),
  onSnapshot: () => Promise.reject(new InvariantError('a joining node takes no snapshot'))
}

function termOf(node: SimNode): number {
  return node.runtime?.raftStatus().hardState.term ?? 0
}
