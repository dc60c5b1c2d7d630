/**
 * The greeting: the first frame of both directions of every stream between members. Nothing else is read or delivered
 * before the two were compared.
 */
import type { NodeId } from '../../base/ids.ts'
import { CODEC_VERSION } from '../../scheduler/codec.ts'
import { RECORD_VERSION } from '../../scheduler/record-version.ts'

/** Rises when frames of one version cannot be understood by another, whatever they carry. */
const FRAME_VERSION = 2

/**
 * Frames carry entries, proposals and, in snapshots, rows, and nodes that cannot read each other's must not greet. Each of these versions
 * only ever rises, so their sum rises whenever one does, and two programs of one sum have all of them in common.
 */
export const PROTOCOL_VERSION = FRAME_VERSION + CODEC_VERSION + RECORD_VERSION

export interface Hello {
  readonly protocolVersion: number
  readonly clusterId: string
  /** What the peer believes its number to be. For logs; membership decides. */
  readonly nodeId: NodeId
  readonly softwareVersion: string
}

export interface HelloMismatch {
  readonly code: 'PROTOCOL_VERSION_UNSUPPORTED' | 'CLUSTER_MISMATCH'
  readonly message: string
}

export function encodeHello(hello: Hello): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(hello))
}

/** The greeting in a frame; undefined when it is none. A later version may say more than this one reads. */
export function decodeHello(frame: Uint8Array): Hello | undefined {
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder().decode(frame))
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  const hello = value as Partial<Record<keyof Hello, unknown>>
  return typeof hello.protocolVersion === 'number' &&
    typeof hello.clusterId === 'string' &&
    typeof hello.nodeId === 'number' &&
    typeof hello.softwareVersion === 'string'
    ? (hello as Hello)
    : undefined
}

/** Why the two may not speak, if they may not. The version comes first: another one may mean other things by its fields. */
export function compareHello(own: Hello, peer: Hello): HelloMismatch | undefined {
  if (peer.protocolVersion !== own.protocolVersion) {
    return {
      code: 'PROTOCOL_VERSION_UNSUPPORTED',
      message: `protocol version: got ${peer.protocolVersion} (software ${peer.softwareVersion}), expected ${own.protocolVersion} (software ${own.softwareVersion})`
    }
  }
  if (peer.clusterId !== own.clusterId) {
    return { code: 'CLUSTER_MISMATCH', message: `cluster: got ${peer.clusterId}, expected ${own.clusterId}` }
  }
  return undefined
}
