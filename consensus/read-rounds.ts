/**
 * Linearizable reads that wait for proof of leadership. Reads are numbered by arrival within a leadership; a heartbeat
 * carries the number of the latest one, its response acknowledges all up to it, and a quorum of acknowledgements confirms
 * them together: one round serves every waiting read. Raft thesis §6.4.
 */
import { committedByJoint } from './quorum/joint.ts'
import type { JointVoters } from './quorum/joint.ts'
import type { AckedIndex } from './quorum/majority.ts'
import type { Message } from './types.ts'

const POSITION_BYTES = 8
const TWO_POW_32 = 0x1_0000_0000

/** A read request with the commit index at its arrival. */
export interface WaitingRead {
  readonly request: Message
  readonly index: number
}

/** The reads of one leadership. */
export class ReadRounds {
  private acks = new Map<number, number>()
  private waiting: WaitingRead[] = []
  private confirmed = 0
  private readonly acked: AckedIndex = (id) => this.acks.get(id)

  /** Forgets all reads, as a change of role must. */
  reset(): void {
    if (this.waiting.length > 0) this.waiting = []
    if (this.acks.size > 0) this.acks = new Map()
    this.confirmed = 0
  }

  add(request: Message, commitIndex: number): void {
    this.waiting.push({ request, index: commitIndex })
  }

  /** What a heartbeat must carry to confirm every waiting read; undefined when none waits. */
  context(): Uint8Array | undefined {
    if (this.waiting.length === 0) return undefined
    return encodePosition(this.confirmed + this.waiting.length)
  }

  /** Takes an acknowledgement. Bytes that this class did not make count nothing. */
  acknowledge(from: number, context: Uint8Array | undefined): void {
    const position = context === undefined ? 0 : decodePosition(context)
    // A peer can only acknowledge what was asked; more would confirm reads that are yet to come.
    if (position === 0 || position > this.confirmed + this.waiting.length) return
    if (position > (this.acks.get(from) ?? 0)) this.acks.set(from, position)
  }

  /** Takes out the reads that a quorum of the given voters has confirmed by now, in order of arrival. */
  takeConfirmed(voters: JointVoters): readonly WaitingRead[] {
    if (this.waiting.length === 0) return []
    const confirmed = Math.min(committedByJoint(voters, this.acked), this.confirmed + this.waiting.length)
    if (confirmed <= this.confirmed) return []
    const reads = this.waiting.splice(0, confirmed - this.confirmed)
    this.confirmed = confirmed
    return reads
  }
}

function encodePosition(position: number): Uint8Array {
  const bytes = new Uint8Array(POSITION_BYTES)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, position % TWO_POW_32, true)
  view.setUint32(4, Math.floor(position / TWO_POW_32), true)
  return bytes
}

function decodePosition(bytes: Uint8Array): number {
  if (bytes.length !== POSITION_BYTES) return 0
  const view = new DataView(bytes.buffer, bytes.byteOffset, POSITION_BYTES)
  return view.getUint32(0, true) + view.getUint32(4, true) * TWO_POW_32
}
