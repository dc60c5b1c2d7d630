/**
 * Starts one real node: data folder, adapters, runtime, HTTP API, in the order that lets each failure be named before
 * anything is changed that cannot be undone.
 */
import { AppError } from '../../base/errors.ts'
import type { NodeId } from '../../base/ids.ts'
import { peerId } from '../../base/ids.ts'
import { second } from '../../base/units.ts'
import { createServer, listen } from '../../api/server.ts'
import { DEFAULT_RUNTIME, type RuntimeConfig, type Timing } from '../../runtime/config.ts'
import { requestJoin } from '../../runtime/membership/peer-desk.ts'
import type { RuntimePorts } from '../../runtime/ports/index.ts'
import type { PeerAddress, Transport, TransportHandlers } from '../../runtime/ports/transport.ts'
import { NodeRuntime } from '../../runtime/node-runtime.ts'
import type { Logger } from '../../runtime/ports/log.ts'
import { nodeId } from '../../base/ids.ts'
import { createDisk } from '../disk/disk.ts'
import { createLevelStores } from '../store/level-store.ts'
import { createAttemptHost } from '../supervisor/attempt-host.ts'
import type { PoolOptions } from '../supervisor/options.ts'
import { Learning, type LearningSettings } from '../optimizer/learning.ts'
import { createClock } from '../system/clock.ts'
import { createEntropy } from '../system/entropy.ts'
import { createTimers } from '../system/timers.ts'
import { createLibp2pTransport, generatePeerKey } from '../transport/libp2p-transport.ts'
import { newClusterId, readIdentity, writeIdentity, type Identity } from './identity.ts'
import { createMetrics } from './metrics.ts'
import { createNodePort } from './node-port.ts'
import { refusedOffers } from './refused-offers.ts'
import { checkAsked, checkPorts, unusedJoin } from './start-checks.ts'
import { createOptimizerPort } from './optimizer-port.ts'

export interface StartOptions {
  readonly dataFolder: string
  /** Multiaddresses of members to join through. Empty: an empty folder gives birth to a cluster. */
  readonly join: readonly string[]
  readonly httpHost: string
  /** 0: the port used last, or any free one. */
  readonly httpPort: number
  readonly peerHost: string
  /** 0: the port used last, or any free one. */
  readonly peerPort: number
  readonly slots: number
  readonly executors: readonly ('shell' | 'js')[]
  readonly handlersFolder?: string | undefined
  readonly zone: string
  readonly labels: Readonly<Record<string, string>>
  readonly resources: Readonly<Record<string, number>>
  readonly timing: Timing
  readonly allowedHosts?: readonly string[]
  readonly pool?: PoolOptions
  readonly learning?: LearningSettings
  /** Knows no policy that predicts: as a leader it places by `least-loaded` where the settings name one, and says so. */
  readonly builtInPolicies?: boolean
  readonly version: string
  readonly logger: Logger
  /** Something failed that the node must not survive. */
  readonly onFatal: (error: AppError) => void
}

export interface RunningNode {
  readonly nodeId: NodeId
  /** Base URL of its HTTP API. */
  readonly url: string
  /** Multiaddresses, with its peer id: what others give to `--join`. */
  readonly addresses: readonly string[]
  readonly runtime: NodeRuntime
  /** What is not as it was asked for, though the node is up: whoever started it should read them. */
  readonly warnings: readonly string[]
  /** Stops cleanly; others are waited for at most `timeoutMs`. */
  stop(timeoutMs?: number): Promise<void>
}

const STOP_TIMEOUT_MS = 10 * second
const JOIN_TIMEOUT_MS = 20 * second
/** Room for the supervisor to have killed everything before the lease ends. */
const LEASE_KILL_MARGIN_MS = 250

export async function startNode(options: StartOptions): Promise<RunningNode> {
  // Before anything is made: a node that cannot be up is not born either.
  checkAsked(options)
  const known = await readIdentity(options.dataFolder)
  const { identity, initialPeers } =
    known === undefined ? await settle(options) : { identity: known, initialPeers: [] }
  const transport = await openTransport(options, identity.peerKey, options.peerPort || identity.peerPort)
  const warnings: string[] = []
  const ports = makePorts(options, transport, warnings)
  try {
    return await startOver(options, ports, identity, initialPeers, warnings)
  } catch (error) {
    // What is left open keeps the process alive, and a node that cannot start must end.
    await ports.host.close()
    await transport.stop()
    await ports.disk.close()
    throw error
  }
}

/** Opens and starts the node over its ports; when that fails, the runtime and its folder are let go. */
async function startOver(
  options: StartOptions,
  ports: RuntimePorts,
  identity: Identity,
  initialPeers: readonly PeerAddress[],
  warnings: string[]
): Promise<RunningNode> {
  let failed = false
  const learning = new Learning({
    logger: options.logger,
    now: () => performance.now(),
    seed: () => ports.entropy.uint32(),
    ...options.learning
  })
  const runtime = await NodeRuntime.open({
    ports,
    config: runtimeConfig(options, identity, ports.transport),
    folder: options.dataFolder,
    initialPeers,
    policies: options.builtInPolicies === true ? new Map() : learning.policies,
    ...learning.hooks(),
    onEvents: refusedOffers(identity.nodeId, options.logger),
    onFatal: (error) => {
      failed = true
      options.onFatal(error)
    }
  })
  try {
    learning.attach(runtime)
    // A node that has just been let in knows no member yet.
    const unused = initialPeers.length > 0 ? undefined : unusedJoin(options.join, identity, runtime.state)
    if (unused !== undefined) {
      warnings.push(unused)
      options.logger.warn({ join: options.join }, unused)
    }
    const { app, url } = await serve(options, ports, identity, { runtime, learning })
    // History is read once the node takes part: it may take seconds, and nobody waits for it.
    void learning.warmUp()
    const addresses = ports.transport.addresses()
    return {
      nodeId: identity.nodeId,
      url,
      addresses,
      runtime,
      warnings,
      stop: async (timeoutMs = STOP_TIMEOUT_MS) => {
        await app.close()
        await learning.close()
        if (!failed) await runtime.stop(timeoutMs)
        await ports.disk.close()
      }
    }
  } catch (error) {
    await learning.close()
    await runtime.abandon()
    throw error
  }
}

/** The API listens first, so that its address is in the node's first announcement; then the node joins in. */
async function serve(
  options: StartOptions,
  ports: RuntimePorts,
  identity: Identity,
  { runtime, learning }: { readonly runtime: NodeRuntime; readonly learning: Learning }
): Promise<{ readonly app: Awaited<ReturnType<typeof createServer>>; readonly url: string }> {
  const port = createNodePort({
    runtime,
    clusterId: identity.clusterId,
    metrics: createMetrics(runtime, learning, () => Date.now()),
    optimizer: createOptimizerPort(runtime, learning)
  })
  const app = await createServer({
    port,
    log: options.logger,
    version: options.version,
    bootId: ports.entropy.uint32().toString(36),
    host: options.httpHost,
    ...(options.allowedHosts === undefined ? {} : { allowedHosts: options.allowedHosts })
  })
  try {
    const url = await listenSomewhere(app, options, identity)
    await runtime.start(url)
    const peerPort = portOf(ports.transport.addresses())
    const httpPort = Number(new URL(url).port)
    if (peerPort !== identity.peerPort || httpPort !== identity.httpPort) {
      await writeIdentity(options.dataFolder, { ...identity, peerPort, httpPort })
    }
    return { app, url }
  } catch (error) {
    await app.close()
    throw error
  }
}

/** A new folder becomes somebody: the founder of a cluster, or the node whose number a member gave it. */
async function settle(
  options: StartOptions
): Promise<{ identity: Identity; initialPeers: readonly PeerAddress[] }> {
  await checkPorts(options)
  const peerKey = generatePeerKey()
  if (options.join.length === 0) {
    const identity = {
      clusterId: newClusterId(),
      nodeId: nodeId(1),
      founder: true,
      peerKey,
      peerPort: 0,
      httpPort: 0
    }
    await writeIdentity(options.dataFolder, identity)
    return { identity, initialPeers: [] }
  }
  const transport = await openTransport(options, peerKey, options.peerPort)
  try {
    await transport.start(NO_HANDLERS)
    const reply = await requestJoin(transport, options.join, options.zone, JOIN_TIMEOUT_MS)
    const identity = {
      clusterId: reply.clusterId,
      nodeId: reply.nodeId,
      founder: false,
      peerKey,
      // The address that the cluster now knows: the real start must be found there.
      peerPort: portOf(transport.addresses()),
      httpPort: 0
    }
    await writeIdentity(options.dataFolder, identity)
    return { identity, initialPeers: reply.peers }
  } finally {
    await transport.stop()
  }
}

/** A node that only asks to be let in has nothing to say to anybody yet. */
const NO_HANDLERS: TransportHandlers = {
  onFrame: () => undefined,
  onConnection: () => undefined,
  onRequest: () => Promise.reject(new AppError('SHUTTING_DOWN', 'this node has not joined yet')),
  onSnapshot: () => Promise.reject(new AppError('SHUTTING_DOWN', 'this node has not joined yet'))
}

async function openTransport(
  options: StartOptions,
  privateKey: Uint8Array,
  port: number
): Promise<Transport> {
  return await createLibp2pTransport({
    privateKey,
    listen: [`/ip4/${options.peerHost}/tcp/${port}`],
    entropy: createEntropy(),
    logger: options.logger,
    softwareVersion: options.version,
    onMismatch: ({ code, message, peerId: peer }) => {
      options.logger.error({ code, peer }, message)
    }
  })
}

function makePorts(options: StartOptions, transport: Transport, warnings: string[]): RuntimePorts {
  const clock = createClock()
  return {
    clock,
    timers: createTimers(),
    entropy: createEntropy(),
    disk: createDisk(),
    stores: createLevelStores(options.dataFolder),
    transport,
    host: createAttemptHost({
      dataFolder: options.dataFolder,
      slots: options.slots,
      executors: options.executors,
      handlersFolder: options.handlersFolder,
      clock,
      log: options.logger,
      onProblem: ({ file, message }) => {
        warnings.push(`handlers of ${file} are missing: ${message}`)
      },
      leaseMarginMs: LEASE_KILL_MARGIN_MS,
      ...(options.pool === undefined ? {} : { pool: options.pool })
    }),
    logger: options.logger
  }
}

function runtimeConfig(options: StartOptions, identity: Identity, transport: Transport): RuntimeConfig {
  const { slots, resources, labels, zone, timing, version } = options
  return {
    ...DEFAULT_RUNTIME,
    clusterId: identity.clusterId,
    nodeId: identity.nodeId,
    peerId: peerId(transport.peerId),
    bootstrap: identity.founder,
    version,
    timing,
    slots,
    resources,
    labels,
    zone
  }
}

/** The port that was asked for, or the one used last, or (when that is taken and none was asked for) any. */
async function listenSomewhere(
  app: Parameters<typeof listen>[0],
  options: StartOptions,
  identity: Identity
): Promise<string> {
  const { httpHost: host, httpPort } = options
  if (httpPort !== 0) return await listen(app, { host, port: httpPort })
  try {
    return await listen(app, { host, port: identity.httpPort })
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'PORT_IN_USE') throw error
    return await listen(app, { host, port: 0 })
  }
}

function portOf(addresses: readonly string[]): number {
  const match = /\/tcp\/(\d+)/.exec(addresses[0] ?? '')
  return match === null ? 0 : Number(match[1])
}
