/**
 * What a node does beyond Raft while it leads: turns proposals into log entries and plans placements.
 *
 * One reign lasts from the moment the leader has applied an entry of its own term until it loses the role. Outside of a
 * reign proposals are refused, since ids and plans need the applied state.
 *
 * 1. All commands of a turn share one entry, bounded in bytes; placements ride in the same entry as the submissions and
 *    completions that make them possible.
 * 2. Proposed entries are settled with the planner in log order. What is in flight when a reign ends is forgotten: the
 *    next leader, or this one's next reign, begins from the applied state.
 * 3. Submissions and models may fill half of the bound on uncommitted bytes; the rest is for what frees capacity:
 *    reports, incarnations, cancels. One model a turn, so that models starve nobody.
 */
import type { ErrorCode } from '../../base/errors.ts'
import type { Incarnation, NodeId } from '../../base/ids.ts'
import { LIMITS } from '../../base/limits.ts'
import { encodeBatch } from '../../scheduler/codec.ts'
import type { Command } from '../../scheduler/commands.ts'
import type { SchedulerEvent } from '../../scheduler/events.ts'
import { dueCommands, nextDueAt } from '../../scheduler/planner/duties.ts'
import { createPlanner, type PlannedCommand, type Planner } from '../../scheduler/planner/planner.ts'
import { createIdAllocator, toCommand, type IdAllocator, type Proposal } from '../../scheduler/proposals.ts'
import type { SchedulerState } from '../../scheduler/state.ts'
import type { ClusterNode } from '../../scheduler/types.ts'
import type { StepResult } from '../../consensus/index.ts'
import type { ProposalRefusal } from '../messages.ts'
import { approximateBytes } from './command-size.ts'
import { PolicyDesk, type PolicyDeskInput, type PolicyStatus, type Seat } from './policy-desk.ts'
import type { StampClock } from './stamp-clock.ts'

export interface LeaderInput extends PolicyDeskInput {
  readonly nodeId: NodeId
  readonly stamps: StampClock
  /** Appends an entry to the log; its index is `lastIndex()` when the result is `ok`. */
  readonly propose: (data: Uint8Array) => StepResult
  readonly lastIndex: () => number
  /** Tells the origin that its proposal did not enter the log. */
  readonly refuse: (to: NodeId, refusal: ProposalRefusal) => void
  /** Nodes that may get no placements now: no lease, too far behind. */
  readonly excluded: (node: ClusterNode) => boolean
  /** Whether the write-behind has no room for more submissions. */
  readonly storeFull: () => boolean
  /** Whether this node's log has no room, so that nothing new may be promised. */
  readonly storageFull: () => boolean
}

interface Queued {
  readonly proposal: Proposal
  readonly from: NodeId
}

interface Reign {
  readonly state: SchedulerState
  readonly planner: Planner
  readonly ids: IdAllocator
  readonly term: number
  seat: Seat
}

interface InFlight {
  readonly index: number
  /** What the planner calls it; undefined once the planner has forgotten it. */
  batch: number | undefined
  readonly sizeBytes: number
  readonly duties: boolean
}

export class Leader {
  readonly #input: LeaderInput
  #reign: Reign | undefined
  #queue: Queued[] = []
  #inFlight: InFlight[] = []
  #inFlightBytes = 0
  #dutiesInFlight = false
  /** Whether something changed that a plan could use. */
  #planDue = false
  /** Raft took nothing just now (a transfer, too much uncommitted): asking again before time passes would only spin. */
  #refusedUntilTick = false
  readonly #policies: PolicyDesk

  constructor(input: LeaderInput) {
    this.#input = input
    this.#policies = new PolicyDesk(input, () => {
      this.#planDue = true
    })
  }

  get reigning(): boolean {
    return this.#reign !== undefined
  }

  get inFlightEntries(): number {
    return this.#inFlight.length
  }

  get policyStatus(): PolicyStatus {
    return this.#policies.status(this.#reign?.seat)
  }

  /** The leader has applied an entry of its own term: the reign begins. */
  begin(state: SchedulerState, term: number): void {
    const { stamps, logger } = this.#input
    stamps.reset(state.time)
    const seat = this.#policies.make(state.settings.policy)
    const { excluded } = this.#input
    const planner = createPlanner({ state, policy: seat.guard, excluded, now: stamps.now() })
    this.#reign = { state, planner, ids: createIdAllocator(state), term, seat }
    this.#forgetInFlight()
    this.#planDue = true
    logger.info({ term, policy: seat.guard.name }, 'this node leads')
  }

  /** The role was lost: whatever is not in the log is refused. */
  end(): void {
    if (this.#reign !== undefined)
      this.#input.logger.info({ term: this.#reign.term }, 'this node leads no more')
    this.#reign = undefined
    this.#forgetInFlight()
    const queue = this.#queue
    this.#queue = []
    for (const queued of queue) this.#refuse(queued, 'NOT_LEADER', 'this node leads no more')
  }

  /** Takes proposals from a member, which may be this node. */
  take(from: NodeId, proposals: readonly Proposal[]): void {
    for (const proposal of proposals) {
      const queued = { proposal, from }
      if (this.#reign === undefined) this.#refuse(queued, 'NOT_LEADER', 'this node does not lead')
      else if (!isFrom(proposal, from))
        this.#refuse(queued, 'INVALID_REQUEST', 'a proposal names another origin')
      else this.#queue.push(queued)
    }
  }

  /** An entry was applied; `index` and `term` are its position. */
  applied(index: number, term: number, events: readonly SchedulerEvent[]): void {
    const reign = this.#reign
    if (reign === undefined) return
    const first = this.#inFlight[0]
    if (first?.index === index && term === reign.term) {
      this.#inFlight.shift()
      this.#inFlightBytes -= first.sizeBytes
      if (first.duties) this.#dutiesInFlight = false
    }
    if (first?.index === index && first.batch !== undefined) reign.planner.settle(first.batch, events)
    else reign.planner.observe(events)
    this.#planDue = true
    for (const event of events) {
      if (event.type === 'settings-changed') this.#settingsChanged(reign, event.chosen)
    }
  }

  /** Capacity may have changed for a reason outside of the log (a lease, a lag). */
  wake(): void {
    this.#planDue = true
  }

  /** Once per tick: what time alone asks for. */
  tick(): void {
    const reign = this.#reign
    if (reign === undefined) return
    this.#refusedUntilTick = false
    const wakeAt = reign.planner.wakeAt()
    if (wakeAt !== undefined && wakeAt <= this.#input.stamps.now()) this.#planDue = true
  }

  /** Ends incarnations whose lease is over. */
  declareLost(expired: readonly { readonly node: NodeId; readonly incarnation: Incarnation }[]): void {
    for (const { node, incarnation } of expired) {
      this.#input.logger.warn({ node, incarnation }, 'a node lost its lease')
      const proposal: Proposal = { type: 'end-incarnation', node, incarnation, reason: 'lost' }
      this.#queue.push({ proposal, from: this.#input.nodeId })
    }
  }

  /** At the end of a turn: puts what gathered into the log, with the placements that it makes possible. */
  collect(): void {
    const reign = this.#reign
    if (reign === undefined || this.#refusedUntilTick) return
    // Applying one of them brings the next turn; what gathers until then shares its entry.
    if (this.#inFlight.length >= MAX_ENTRIES_IN_FLIGHT) return
    const now = this.#input.stamps.now()
    const commands = this.#admit(reign)
    const duties = this.#duties(reign, now)
    commands.push(...duties)
    if (commands.length === 0 && !this.#planDue) return
    this.#planDue = false
    const chunks = splitCommands(commands)
    const last = chunks.pop() ?? []
    for (const [position, chunk] of chunks.entries()) {
      const result = this.#append(reign, chunk, false, false)
      if (result === 'ok') continue
      this.#dropped(reign, [...chunks.slice(position).flat(), ...last], result)
      return
    }
    const result = this.#append(reign, last, true, duties.length > 0)
    if (result !== 'ok') this.#dropped(reign, last, result)
  }

  #append(reign: Reign, commands: Command[], plan: boolean, duties: boolean): StepResult {
    const { stamps } = this.#input
    const stampedAt = stamps.now()
    reign.planner.project(commands)
    const placements = plan ? this.#plan(reign, stampedAt) : []
    if (placements.length === LIMITS.batchTasks) this.#planDue = true
    if (commands.length === 0 && placements.length === 0) return 'ok'
    const data = encodeBatch({
      stampedAt,
      commands: placements.length === 0 ? commands : [...commands, ...placements]
    })
    const batch = reign.planner.seal()
    const result = this.#input.propose(data)
    if (result !== 'ok') return result
    this.#inFlight.push({ index: this.#input.lastIndex(), batch, sizeBytes: data.length, duties })
    this.#inFlightBytes += data.length
    if (duties) this.#dutiesInFlight = true
    return 'ok'
  }

  #plan(reign: Reign, now: ReturnType<StampClock['now']>): PlannedCommand[] {
    const { planner } = reign
    const { clock } = this.#input
    const before = clock.monotonicNow()
    const faults = planner.faults
    const placements = planner.plan(now, LIMITS.batchTasks)
    const faulty = planner.faults > faults
    reign.seat.guard.roundEnded(faulty, clock.monotonicNow() - before, planner.view)
    // Nothing may change until somebody places again: not to ask would leave tasks waiting for the next event.
    if (faulty) this.#planDue = true
    return placements
  }

  /** Raft did not take these: their origins hear so, and plans begin anew from the applied state. */
  #dropped(reign: Reign, commands: readonly Command[], result: StepResult): void {
    const code = result === 'overloaded' ? 'OVERLOADED' : 'NOT_LEADER'
    for (const command of commands) {
      this.#refuseCommand(command, code)
      // Nobody asks for it again: a lease that ran out is reported once in a reign.
      if (command.type === 'end-incarnation')
        this.#queue.push({ proposal: command, from: this.#input.nodeId })
    }
    // The planner cannot forget this batch alone; what is in flight reaches it as it is applied.
    reign.planner.reset(this.#input.stamps.now())
    for (const entry of this.#inFlight) entry.batch = undefined
    this.#planDue = true
    this.#refusedUntilTick = true
  }

  #admit(reign: Reign): Command[] {
    if (this.#queue.length === 0) return []
    const queue = this.#queue
    this.#queue = []
    const commands: Command[] = []
    let bytes = this.#inFlightBytes
    let publishes = 0
    for (const queued of queue) {
      const isPublish = queued.proposal.type === 'publish-model'
      const isBulk = isPublish || queued.proposal.type === 'submit'
      if (isBulk && this.#input.storageFull()) {
        this.#refuse(queued, 'STORAGE_FULL', 'the disk of the leader is full')
        continue
      }
      if (isBulk && (bytes > LIMITS.uncommittedBytes / 2 || this.#input.storeFull())) {
        this.#refuse(queued, 'OVERLOADED', 'too much work waits to be committed')
        continue
      }
      if (isPublish && ++publishes > 1) {
        this.#refuse(queued, 'OVERLOADED', 'another model is being published')
        continue
      }
      const command = toCommand(queued.proposal, reign.state, reign.ids, this.#input.rng)
      bytes += approximateBytes(command)
      commands.push(command)
    }
    return commands
  }

  #duties(reign: Reign, now: ReturnType<StampClock['now']>): Command[] {
    if (this.#dutiesInFlight) return []
    const dueAt = nextDueAt(reign.state)
    if (dueAt === undefined || dueAt > now) return []
    return dueCommands(reign.state, now, MAX_DUTIES)
  }

  /** A policy that failed is tried again when an operator chooses it again. */
  #settingsChanged(reign: Reign, chosen: boolean): void {
    const { policy } = reign.state.settings
    const { wanted, guard } = reign.seat
    const isReplaced = guard.name !== wanted
    if (wanted === policy && !(chosen && isReplaced)) return
    reign.seat = this.#policies.make(policy)
    reign.planner.use(reign.seat.guard)
    this.#input.logger.info({ policy: reign.seat.guard.name }, 'placement policy switched')
  }

  #forgetInFlight(): void {
    this.#inFlight = []
    this.#inFlightBytes = 0
    this.#dutiesInFlight = false
  }

  #refuse(queued: Queued, code: ErrorCode, message: string): void {
    const { proposal } = queued
    const origin = 'origin' in proposal ? proposal.origin : undefined
    if (origin === undefined) return
    const { incarnation, sequence } = origin
    this.#input.refuse(queued.from, { incarnation, sequence, code, message })
  }

  #refuseCommand(command: Command, code: ErrorCode): void {
    const origin = 'origin' in command ? command.origin : undefined
    if (origin === undefined) return
    const { node, incarnation, sequence } = origin
    this.#input.refuse(node, { incarnation, sequence, code, message: 'the entry did not enter the log' })
  }
}

/**
 * Entries proposed and not yet applied. More would not make the disks and the network faster, only the entries smaller:
 * under load this is what makes turns share an entry, its frames and its syncs.
 */
const MAX_ENTRIES_IN_FLIGHT = 4
/** `dueCommands` asked for at once; each touches up to LIMITS.batchTasks tasks. */
const MAX_DUTIES = 16

/** Who a proposal speaks for is who sent it: the transport authenticated the sender. */
function isFrom(proposal: Proposal, from: NodeId): boolean {
  if ('origin' in proposal && proposal.origin.node !== from) return false
  if (proposal.type === 'announce' || proposal.type === 'end-incarnation') return proposal.node === from
  return true
}

/** Groups that each fit an entry, in order. A command that is too large by itself stands alone. */
function splitCommands(commands: readonly Command[]): Command[][] {
  const chunks: Command[][] = []
  let chunk: Command[] = []
  let bytes = 0
  for (const command of commands) {
    const size = approximateBytes(command)
    if (chunk.length > 0 && bytes + size > LIMITS.entryBytes) {
      chunks.push(chunk)
      chunk = []
      bytes = 0
    }
    chunk.push(command)
    bytes += size
  }
  if (chunk.length > 0) chunks.push(chunk)
  return chunks
}
