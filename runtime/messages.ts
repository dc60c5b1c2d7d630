/**
 * What nodes say to each other, and its encoding. Raft's own messages travel inside frames as opaque bytes.
 *
 * A frame is one msgpackr value made of positional arrays, so it decodes alone. A frame that does not decode is dropped
 * and counted: nothing above the transport relies on delivery.
 */
import { Packr } from 'msgpackr'
import type { ErrorCode } from '../base/errors.ts'
import type { Incarnation } from '../base/ids.ts'
import type { MonotonicMs, TimestampMs } from '../base/units.ts'

/** A node asks for its lease to be extended; rides on its heartbeat responses. */
export interface LeaseRenewal {
  readonly incarnation: Incarnation
  /** The node's monotonic clock when it asked; echoed by the grant, meaningless to the leader. */
  readonly t0: MonotonicMs
  /** The node's wall clock when it asked, for the leader's estimate of clock offsets. */
  readonly wall: TimestampMs
  /** How far the node has applied, for the planner. */
  readonly applied: number
}

/** The leader's answer once a later heartbeat round has confirmed its leadership: the lease ends at t0 + leaseMs. */
export interface LeaseGrant {
  readonly incarnation: Incarnation
  readonly t0: MonotonicMs
  readonly leaseMs: number
}

/** A frame of the `liveness` or `append` channel. */
export interface RaftFrame {
  /** Encoded by consensus. */
  readonly messages: readonly Uint8Array[]
  readonly renewal?: LeaseRenewal | undefined
  readonly grant?: LeaseGrant | undefined
}

/** The leader (or who was taken for it) did not propose it; nothing entered the log. */
export interface ProposalRefusal {
  readonly incarnation: Incarnation
  readonly sequence: number
  readonly code: ErrorCode
  readonly message: string
}

/** A frame of the `forward` channel. */
export interface ForwardFrame {
  /** Proposals for the leader, encoded by the scheduler. Absent when there are none. */
  readonly proposals?: Uint8Array | undefined
  readonly refusals: readonly ProposalRefusal[]
}

const packr = new Packr({ useRecords: false })

export function encodeRaftFrame(frame: RaftFrame): Uint8Array {
  const { renewal, grant } = frame
  return packr.pack([
    frame.messages,
    renewal === undefined ? 0 : [renewal.incarnation, renewal.t0, renewal.wall, renewal.applied],
    grant === undefined ? 0 : [grant.incarnation, grant.t0, grant.leaseMs]
  ])
}

/** The frame, or undefined when the bytes are not one. */
export function decodeRaftFrame(bytes: Uint8Array): RaftFrame | undefined {
  const value = unpackArray(bytes, 3)
  if (value === undefined || !isBytesArray(value[0])) return undefined
  const renewal = numbers(value[1], 4)
  const grant = numbers(value[2], 3)
  return {
    messages: value[0],
    renewal: renewal && {
      incarnation: renewal[0] as Incarnation,
      t0: renewal[1] as MonotonicMs,
      wall: renewal[2] as TimestampMs,
      applied: renewal[3] as number
    },
    grant: grant && {
      incarnation: grant[0] as Incarnation,
      t0: grant[1] as MonotonicMs,
      leaseMs: grant[2] as number
    }
  }
}

export function encodeForwardFrame(frame: ForwardFrame): Uint8Array {
  const refusals = frame.refusals.map((r) => [r.incarnation, r.sequence, r.code, r.message])
  return packr.pack([frame.proposals ?? 0, refusals])
}

/** The frame, or undefined when the bytes are not one. */
export function decodeForwardFrame(bytes: Uint8Array): ForwardFrame | undefined {
  const value = unpackArray(bytes, 2)
  if (value === undefined) return undefined
  const [proposals, refusals] = value
  if (!Array.isArray(refusals)) return undefined
  return {
    proposals: proposals instanceof Uint8Array ? proposals : undefined,
    refusals: refusals.flatMap((r: unknown) => decodeRefusal(r))
  }
}

function decodeRefusal(value: unknown): ProposalRefusal[] {
  if (!Array.isArray(value)) return []
  const [incarnation, sequence, code, message] = value as unknown[]
  if (typeof incarnation !== 'number' || typeof sequence !== 'number') return []
  if (typeof code !== 'string' || typeof message !== 'string') return []
  return [{ incarnation: incarnation as Incarnation, sequence, code: code as ErrorCode, message }]
}

function unpackArray(bytes: Uint8Array, length: number): unknown[] | undefined {
  try {
    const value: unknown = packr.unpack(bytes)
    return Array.isArray(value) && value.length === length ? (value as unknown[]) : undefined
  } catch {
    // Bytes from the network that are no frame are the sender's fault and not worth more than a count.
    return undefined
  }
}

function isBytesArray(value: unknown): value is Uint8Array[] {
  return Array.isArray(value) && value.every((item) => item instanceof Uint8Array)
}

function numbers(value: unknown, length: number): readonly number[] | undefined {
  if (!Array.isArray(value) || value.length !== length) return undefined
  return value.every((item) => typeof item === 'number') ? value : undefined
}
