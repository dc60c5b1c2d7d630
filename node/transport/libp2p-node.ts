/**
 * The libp2p node under the transport: TCP, noise and yamux, nothing else (no discovery, relay or DHT). Owns the choice
 * of its options; holds no protocol of ours.
 *
 * Ciphers run synchronously on the event loop, never in libuv's pool: as-chacha20poly1305 (WebAssembly) for messages under
 * 1,200 bytes, OpenSSL's above. Only `dns` addresses touch the pool, at dialling (getaddrinfo).
 */
import '../polyfill.ts'
import { generateKeyPairSync } from 'node:crypto'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { privateKeyFromProtobuf } from '@libp2p/crypto/keys'
import type { ComponentLogger, Logger as Libp2pLogger } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import { createLibp2p } from 'libp2p'
import type { Libp2p } from 'libp2p'
import { AppError } from '../../base/errors.ts'
import { KiB, MiB } from '../../base/units.ts'

/** A new Ed25519 identity in libp2p's protobuf form, to be kept in the data folder. */
export function generatePeerKey(): Uint8Array {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const seed = privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(-32)
  const point = publicKey.export({ format: 'der', type: 'spki' }).subarray(-32)
  // Protobuf: field 1 (type) = 1 (Ed25519), field 2 (data) = 64 bytes, seed then public key. libp2p peer-ids specification.
  return new Uint8Array([0x08, 0x01, 0x12, 0x40, ...seed, ...point])
}

/** A node that is not started yet. Rejects with `CONFIG_INVALID` for a key or address that libp2p cannot read. */
export async function createNode(options: {
  readonly privateKey: Uint8Array
  readonly listen: readonly string[]
  readonly announce: readonly string[]
  readonly dialTimeoutMs: number
}): Promise<Libp2p> {
  try {
    return await createLibp2p({
      start: false,
      privateKey: privateKeyFromProtobuf(options.privateKey),
      addresses: { listen: [...options.listen], announce: [...options.announce] },
      // No limit: a bulk connection may rest for days, and shares its fate with one that is watched.
      transports: [tcp({ inboundSocketInactivityTimeout: 0, outboundSocketInactivityTimeout: 0 })],
      connectionEncrypters: [noise()],
      streamMuxers: [
        yamux({
          // Its pings would abort nothing; dead connections are found by our own signs of life.
          enableKeepAlive: false,
          maxInboundStreams: 4_096,
          maxOutboundStreams: 4_096,
          // A window that never widens: what is under way is what a heartbeat's reader must decrypt first. Measured on
          // loopback while a snapshot streams at 200 MB/s, heartbeat p50/p99: 1 / 6 ms; with 4 MiB windows 14 / 37 ms. The
          // price is throughput over long distances: 256 KiB a round trip and stream.
          streamOptions: { maxStreamWindowSize: 256 * KiB, maxReadBufferLength: 8 * MiB }
        })
      ],
      // It would open a stream on every connection every few seconds to learn what the liveness streams tell.
      connectionMonitor: { enabled: false },
      connectionManager: {
        maxConnections: 1_024,
        // A restart of a whole cluster behind one address must not look like an attack.
        inboundConnectionThreshold: 512,
        maxIncomingPendingConnections: 128,
        dialTimeout: options.dialTimeoutMs,
        addressDialTimeout: options.dialTimeoutMs,
        inboundUpgradeTimeout: options.dialTimeoutMs
      },
      logger: silentLogger
    })
  } catch (error) {
    throw new AppError('CONFIG_INVALID', `peer key or address: ${messageOf(error)}`, { cause: error })
  }
}

/** Starts to listen. Rejects with `PORT_IN_USE` or `CONFIG_INVALID`. */
export async function startNode(node: Libp2p, listen: readonly string[]): Promise<void> {
  try {
    await node.start()
  } catch (error) {
    const reason = messageOf(error)
    if (reason.includes('EADDRINUSE')) {
      const got = listen.join(', ')
      const message = `peer port: got ${got}, expected one that is free`
      throw new AppError('PORT_IN_USE', message, { cause: error, details: { field: 'peer-port', got } })
    }
    throw new AppError('CONFIG_INVALID', `listen on ${listen.join(', ')}: ${reason}`, { cause: error })
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** libp2p's own lines name streams and frames; what an operator needs is logged by the transport. */
const silent: Libp2pLogger = Object.assign((): void => undefined, {
  error: (): void => undefined,
  trace: (): void => undefined,
  enabled: false,
  newScope: () => silent
})
const silentLogger: ComponentLogger = { forComponent: () => silent }
