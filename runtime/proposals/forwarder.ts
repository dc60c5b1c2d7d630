/**
 * Carries this node's proposals to whoever leads, until the log shows what became of them.
 *
 * A proposal is resolved by this node's own apply and by nothing else: who gets an answer can read its effect here.
 *
 * F1. A proposal keeps its (incarnation, sequence) for life, however often it is sent; `apply` keeps its outcome until
 *     `lowestOutstanding` passes it. So it takes effect once, also across leaders.
 * F2. A refusal means that nothing entered the log, from the node that sent it. Since an earlier leader may still have
 *     it in its log, a proposal that was sent to two leaders is never refused to its caller as "did not happen".
 * F3. Notices (reports, starts, announcements) are idempotent by their fencing; they are sent once per call and their
 *     owner repeats them until state shows them.
 */
import { AppError, type ErrorCode } from '../../base/errors.ts'
import type { Incarnation, NodeId } from '../../base/ids.ts'
import { LIMITS } from '../../base/limits.ts'
import type {
  CancelCommand,
  JudgeModelCommand,
  LeaveCommand,
  Origin,
  PublishModelCommand,
  RemoveNodeCommand,
  SetSettingsCommand
} from '../../scheduler/commands.ts'
import type { Proposal, SubmitProposal } from '../../scheduler/proposals.ts'
import type { Outcome, OutcomeValue } from '../../scheduler/types.ts'
import type { ProposalRefusal } from '../messages.ts'
import type { Clock } from '../ports/clock.ts'

/** A proposal that wants an outcome, before it has an origin. */
export type Draft =
  | Omit<SubmitProposal, 'origin'>
  | Omit<CancelCommand, 'origin'>
  | Omit<SetSettingsCommand, 'origin'>
  | Omit<LeaveCommand, 'origin'>
  | Omit<RemoveNodeCommand, 'origin'>
  | Omit<PublishModelCommand, 'origin'>
  | Omit<JudgeModelCommand, 'origin'>

interface Waiting {
  readonly draft: Draft
  readonly sizeBytes: number
  readonly sequence: number
  readonly incarnation: Incarnation
  readonly expiresAt: number
  readonly resolve: (value: OutcomeValue) => void
  readonly reject: (error: AppError) => void
  sentTo: NodeId | undefined
  sentAt: number
  /** How many different reigns it was sent to. */
  sends: number
}

export interface ForwarderInput {
  readonly nodeId: NodeId
  readonly clock: Clock
  /** Sends proposals to a node, which may be this one. */
  readonly send: (to: NodeId, proposals: readonly Proposal[]) => void
  /** How long to wait before a proposal is sent again to the same leader. */
  readonly resendMs: number
}

export class Forwarder {
  readonly #input: ForwarderInput
  /** By incarnation, then by sequence in rising order. */
  readonly #waiting = new Map<Incarnation, Map<number, Waiting>>()
  #incarnation: Incarnation | undefined
  #nextSequence = 1
  #waitingBytes = 0
  #leader: NodeId | undefined
  /** Proposals to send with the next flush. */
  #unsent: Waiting[] = []
  #notices: Proposal[] = []

  constructor(input: ForwarderInput) {
    this.#input = input
  }

  /** Whether proposals can be taken at all: the log knows this node's incarnation. */
  get open(): boolean {
    return this.#incarnation !== undefined
  }

  get outstanding(): number {
    let count = 0
    for (const bySequence of this.#waiting.values()) count += bySequence.size
    return count
  }

  /** The log opened this node's incarnation; sequences start anew under it. */
  openIncarnation(incarnation: Incarnation): void {
    if (this.#incarnation === incarnation) return
    this.#incarnation = incarnation
    this.#nextSequence = 1
  }

  /** Who leads now, as far as this node knows. A new leader gets everything that waits. */
  setLeader(leader: NodeId | undefined): void {
    if (leader === this.#leader) return
    this.#leader = leader
    this.#unsent = this.#all()
  }

  /** Proposes and resolves with the outcome that the log gave it. Rejects with the outcome's code, or `TIMEOUT`. */
  propose(draft: Draft, timeoutMs: number): Promise<OutcomeValue> {
    const incarnation = this.#incarnation
    if (incarnation === undefined) {
      return Promise.reject(new AppError('NO_LEADER', 'this node is not yet a running member of the cluster'))
    }
    const sizeBytes = sizeOf(draft)
    if (this.#waitingBytes + sizeBytes > MAX_WAITING_BYTES) {
      return Promise.reject(
        new AppError('OVERLOADED', 'too many proposals of this node wait for their outcome')
      )
    }
    this.#waitingBytes += sizeBytes
    const sequence = this.#nextSequence
    this.#nextSequence += 1
    return new Promise((resolve, reject) => {
      const now = this.#input.clock.monotonicNow()
      const expiresAt = now + timeoutMs
      const sent = { sentTo: undefined, sentAt: now, sends: 0 }
      const waiting: Waiting = {
        draft,
        sizeBytes,
        sequence,
        incarnation,
        expiresAt,
        resolve,
        reject,
        ...sent
      }
      let bySequence = this.#waiting.get(incarnation)
      if (bySequence === undefined) {
        bySequence = new Map()
        this.#waiting.set(incarnation, bySequence)
      }
      bySequence.set(sequence, waiting)
      this.#unsent.push(waiting)
    })
  }

  /** Sends a proposal that needs no outcome with the next flush; dropped when no leader is known then. */
  notify(notice: Proposal): void {
    this.#notices.push(notice)
  }

  /** What the log says became of a proposal. */
  settled(origin: Origin, outcome: Outcome): void {
    const waiting = this.#take(origin.incarnation, origin.sequence)
    if (waiting === undefined) return
    if (outcome.ok) waiting.resolve(outcome.value)
    else waiting.reject(new AppError(outcome.code, outcome.message))
  }

  /** The node that was taken for the leader says that it did not propose it. */
  refused(from: NodeId, refusal: ProposalRefusal): void {
    const waiting = this.#waiting.get(refusal.incarnation)?.get(refusal.sequence)
    if (waiting?.sentTo !== from) return
    const elsewhere = refusal.code === 'NOT_LEADER' || refusal.code === 'NO_LEADER'
    if (elsewhere || waiting.sends > 1) return // `tick` sends it again; an earlier sending may still take effect
    this.#take(refusal.incarnation, refusal.sequence)
    waiting.reject(new AppError(refusal.code, refusal.message))
  }

  /** Once per tick: gives up what is too old and sends again what had no answer. */
  tick(): void {
    const now = this.#input.clock.monotonicNow()
    for (const waiting of this.#all()) {
      if (now >= waiting.expiresAt) {
        this.#take(waiting.incarnation, waiting.sequence)
        waiting.reject(timedOut(waiting))
      } else if (waiting.sends > 0 && now - waiting.sentAt >= this.#input.resendMs) {
        waiting.sentAt = now
        this.#unsent.push(waiting)
      }
    }
  }

  /** At the end of a turn: sends what gathered, in one frame. */
  flush(): void {
    const leader = this.#leader
    if (leader === undefined) {
      this.#notices = []
      return
    }
    if (this.#unsent.length === 0 && this.#notices.length === 0) return
    const unsent = this.#unsent
    const proposals = this.#notices
    this.#unsent = []
    this.#notices = []
    const now = this.#input.clock.monotonicNow()
    for (const waiting of unsent) {
      if (this.#waiting.get(waiting.incarnation)?.get(waiting.sequence) !== waiting) continue
      waiting.sentTo = leader
      waiting.sentAt = now
      waiting.sends += 1
      proposals.push({ ...waiting.draft, origin: this.#origin(waiting) })
    }
    if (proposals.length > 0) this.#input.send(leader, proposals)
  }

  /** Rejects everything that waits: the node stops. */
  close(code: ErrorCode, message: string): void {
    for (const waiting of this.#all()) {
      this.#take(waiting.incarnation, waiting.sequence)
      waiting.reject(new AppError(code, message))
    }
  }

  #origin(waiting: Waiting): Origin {
    // Sequences enter the map in rising order, so its first key is the lowest that is still waited for.
    const lowest = this.#waiting.get(waiting.incarnation)?.keys().next().value
    return {
      node: this.#input.nodeId,
      incarnation: waiting.incarnation,
      sequence: waiting.sequence,
      lowestOutstanding: lowest ?? waiting.sequence
    }
  }

  #all(): Waiting[] {
    const all: Waiting[] = []
    for (const bySequence of this.#waiting.values()) all.push(...bySequence.values())
    return all
  }

  #take(incarnation: Incarnation, sequence: number): Waiting | undefined {
    const bySequence = this.#waiting.get(incarnation)
    const waiting = bySequence?.get(sequence)
    bySequence?.delete(sequence)
    this.#waitingBytes -= waiting?.sizeBytes ?? 0
    if (bySequence?.size === 0) this.#waiting.delete(incarnation)
    return waiting
  }
}

/** What one node holds of proposals whose outcome it waits for: without a leader they stay for their whole time limit. */
const MAX_WAITING_BYTES = LIMITS.uncommittedBytes
const DRAFT_BYTES = 256

/** Rough size of a proposal in memory. */
function sizeOf(draft: Draft): number {
  if (draft.type === 'publish-model') return DRAFT_BYTES + draft.weights.length + draft.evaluation.length
  if (draft.type !== 'submit') return DRAFT_BYTES
  return draft.submission.tasks.reduce(
    (sum, task) => sum + task.input.length + task.params.length + DRAFT_BYTES,
    0
  )
}

function timedOut(waiting: Waiting): AppError {
  if (waiting.sends === 0) return new AppError('NO_LEADER', 'no leader was known within the time limit')
  return new AppError('TIMEOUT', 'no outcome was seen within the time limit; it may still take effect')
}
