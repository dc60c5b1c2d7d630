/**
 * The state of one Raft peer and the few operations that everything else is made of: queueing a message and starting a
 * term or role anew. The rules live beside it, by subject: elections, replication, proposals, reads, transfer, membership;
 * step-*.ts dispatch messages to them by role.
 *
 * R1. `term` never falls; `vote` changes only with it or from none.
 * R2. A message in `messages` may leave at once. One in `afterAppend` answers for term, vote or log, and leaves only after
 *     all state that is unstable now is durable.
 * R3. A leadership transfer ends with every change of role or term.
 */
import { invariant } from '../base/invariant.ts'
import type { RaftLogger, ResolvedConfig } from './config.ts'
import { RaftLog } from './log.ts'
import { ReadRounds } from './read-rounds.ts'
import { ProgressTracker } from './tracker/tracker.ts'
import type { HardState, Message, MessageType, ReadState, Role } from './types.ts'
import { NONE, makeMessage } from './types.ts'

/** What a caller of `send` says; sender and term are filled in. */
export type OutgoingMessage = Partial<Message> & Pick<Message, 'type' | 'to'>

/** The mutable state of one peer. */
export class Raft {
  readonly id: number
  readonly config: ResolvedConfig
  readonly logger: RaftLogger
  readonly log: RaftLog
  readonly tracker: ProgressTracker

  term = 0
  /** The peer voted for in `term`. */
  vote = NONE
  lead = NONE
  role: Role = 'follower'
  isLearner = false

  /** The peer that leadership is being handed to; only on a leader. */
  leadTransferee = NONE
  /** At or above the index of the last membership change that may not be applied yet; only on a leader. */
  pendingConfIndex = 0
  /** Payload bytes proposed in this term and not known to be applied; may be too low, never too high. */
  uncommittedBytes = 0

  /** Ticks since an election timeout began. */
  electionElapsed = 0
  /** Ticks since the last heartbeat; only on a leader. */
  heartbeatElapsed = 0
  /** Drawn from [electionTicks, 2 · electionTicks) whenever a term or role begins. */
  randomizedElectionTicks = 0

  messages: Message[] = []
  afterAppend: Message[] = []
  readStates: ReadState[] = []
  readonly reads = new ReadRounds()
  /** Read requests that wait for this leader's first commit. */
  earlyReads: Message[] = []

  constructor(config: ResolvedConfig) {
    this.id = config.id
    this.config = config
    this.logger = config.logger
    this.log = new RaftLog(config.storage, config.maxApplyingBytes, config.logger)
    this.tracker = new ProgressTracker(config.maxInflightMessages, config.maxInflightBytes)
  }

  hardState(): HardState {
    return { term: this.term, vote: this.vote, commit: this.log.committed }
  }

  /** Whether this peer may campaign: a voter, with no snapshot waiting to be installed. */
  get promotable(): boolean {
    const own = this.tracker.get(this.id)
    return own !== undefined && !own.isLearner && this.log.unstable.snapshot === undefined
  }

  /**
   * Queues a message. Campaign messages name their own term, proposals and read requests have none (they concern whoever
   * leads), every other message gets the current one.
   */
  send(outgoing: OutgoingMessage): void {
    const message = makeMessage(outgoing, outgoing.from ?? this.id, this.outgoingTerm(outgoing))
    if (answersForDurableState(message.type)) {
      this.afterAppend.push(message)
      return
    }
    invariant(message.to !== this.id, () => `${message.type} must not be addressed to its sender`)
    this.messages.push(message)
  }

  /** Begins a role: forgets votes, reads, transfer and what was known of the other peers; also the vote in a new term. */
  reset(term: number): void {
    invariant(term >= this.term, () => `the term cannot fall from ${this.term} to ${term}`)
    if (this.term !== term) {
      this.term = term
      this.vote = NONE
    }
    this.lead = NONE
    this.electionElapsed = 0
    this.heartbeatElapsed = 0
    const { electionTicks, rng } = this.config
    this.randomizedElectionTicks = electionTicks + rng.nextInt(electionTicks)
    this.leadTransferee = NONE
    this.tracker.resetVotes()
    const lastIndex = this.log.lastIndex
    for (const peer of this.tracker.peers) {
      peer.restart(peer.id === this.id ? lastIndex : 0, lastIndex + 1)
    }
    this.pendingConfIndex = 0
    this.uncommittedBytes = 0
    this.reads.reset()
    this.earlyReads = []
  }

  private outgoingTerm(outgoing: OutgoingMessage): number {
    const given = outgoing.term ?? 0
    switch (outgoing.type) {
      case 'MsgVote':
      case 'MsgVoteResp':
      case 'MsgPreVote':
      case 'MsgPreVoteResp':
        invariant(given !== 0, () => `term should be set when sending ${outgoing.type}`)
        return given
      case 'MsgProp':
      case 'MsgReadIndex':
        return 0
      default:
        invariant(given === 0, () => `term should not be set when sending ${outgoing.type}`)
        return this.term
    }
  }
}

/**
 * Votes and acknowledged appends promise that something is on this node's disk. Rejections could leave earlier, but they
 * may rest on state that is not durable either, and they are rare. Thesis §3.8.
 */
function answersForDurableState(type: MessageType): boolean {
  return type === 'MsgAppResp' || type === 'MsgVoteResp' || type === 'MsgPreVoteResp'
}
