/**
 * The `forward` channel: carries proposals to the leader and refusals back, between nodes or within this one.
 *
 * A proposal for this node itself takes no detour over bytes; both ways end in the same `take` and `refused`.
 */
import type { NodeId } from '../../base/ids.ts'
import { decodeProposals, encodeProposals } from '../../scheduler/codec.ts'
import type { Proposal } from '../../scheduler/proposals.ts'
import { decodeForwardFrame, encodeForwardFrame, type ProposalRefusal } from '../messages.ts'
import type { Logger } from '../ports/log.ts'
import type { Transport } from '../ports/transport.ts'

export interface ProposalMailInput {
  readonly nodeId: NodeId
  readonly transport: Transport
  readonly logger: Logger
  /** This node as the leader that is asked. */
  readonly take: (from: NodeId, proposals: readonly Proposal[]) => void
  /** This node as the origin that was refused. */
  readonly refused: (from: NodeId, refusal: ProposalRefusal) => void
}

export class ProposalMail {
  readonly #input: ProposalMailInput

  constructor(input: ProposalMailInput) {
    this.#input = input
  }

  send(to: NodeId, proposals: readonly Proposal[]): void {
    const { nodeId, transport, take } = this.#input
    if (to === nodeId) take(to, proposals)
    else
      transport.send(
        to,
        'forward',
        encodeForwardFrame({ proposals: encodeProposals(proposals), refusals: [] })
      )
  }

  refuse(to: NodeId, refusal: ProposalRefusal): void {
    const { nodeId, transport, refused } = this.#input
    if (to === nodeId) refused(to, refusal)
    else transport.send(to, 'forward', encodeForwardFrame({ refusals: [refusal] }))
  }

  /** A frame from a member. What does not decode is the sender's fault: logged and dropped. */
  receive(from: NodeId, bytes: Uint8Array): void {
    const frame = decodeForwardFrame(bytes)
    if (frame === undefined) return
    for (const refusal of frame.refusals) this.#input.refused(from, refusal)
    if (frame.proposals === undefined) return
    try {
      this.#input.take(from, decodeProposals(frame.proposals))
    } catch (error) {
      this.#input.logger.warn({ from, error: String(error) }, 'proposals do not decode')
    }
  }
}
