/**
 * What a node asks the leader to put in the log, and how the leader makes commands of it: ids for submissions, drawn
 * delays for retries. Everything that two leaders could decide differently is decided here and recorded.
 */
import type { FencingToken, TaskId } from '../base/ids.ts'
import { taskId } from '../base/ids.ts'
import { invariant } from '../base/invariant.ts'
import type { Rng } from '../base/prng.ts'
import type {
  AnnounceCommand,
  AttemptReport,
  CancelCommand,
  Command,
  EndIncarnationCommand,
  LeaveCommand,
  Origin,
  RegisterNodeCommand,
  RemoveNodeCommand,
  SetSettingsCommand,
  StartCommand,
  StopCommand
} from './commands.ts'
import type { SchedulerState } from './state.ts'
import type { Submission } from './submission.ts'

/** A validated submission that waits for ids. */
export interface SubmitProposal {
  readonly type: 'submit'
  readonly origin: Origin
  readonly submission: Submission
}

/** A node's report; the leader adds the retry delay. */
export interface ReportProposal {
  readonly type: 'report'
  readonly report: AttemptReport
}

/** As the command, without the delay, which the leader draws. */
export type AnnounceProposal = Omit<AnnounceCommand, 'retryDelayMs'>
export type EndIncarnationProposal = Omit<EndIncarnationCommand, 'retryDelayMs'>

export type Proposal =
  | SubmitProposal
  | ReportProposal
  | AnnounceProposal
  | EndIncarnationProposal
  | CancelCommand
  | StartCommand
  | StopCommand
  | RegisterNodeCommand
  | LeaveCommand
  | RemoveNodeCommand
  | SetSettingsCommand

/** Hands out task ids above all that are assigned or in flight. */
export interface IdAllocator {
  take(count: number): TaskId
  /** Forgets ids in flight: a reign begins, or entries were lost. */
  reset(): void
}

export function createIdAllocator(state: SchedulerState): IdAllocator {
  return { take: (count) => taskId(state.nextTaskId + count), reset: () => undefined }
}

/** The command that a proposal becomes in this leader's log. */
export function toCommand(proposal: Proposal, state: SchedulerState, ids: IdAllocator, rng: Rng): Command {
  invariant(false, `stub ${proposal.type} ${state.time} ${ids.take(1)} ${rng.nextUint32()}`)
}

export type { FencingToken }
