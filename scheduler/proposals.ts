/**
 * What a node asks the leader to put in the log, and how the leader makes commands of it: ids for submissions, drawn
 * delays for retries. Everything that two leaders could decide differently is decided here and recorded.
 */
import type { TaskId } from '../base/ids.ts'
import { taskId } from '../base/ids.ts'
import { LIMITS } from '../base/limits.ts'
import type { Rng } from '../base/prng.ts'
import { durationMs } from '../base/units.ts'
import type {
  AnnounceCommand,
  AttemptReport,
  CancelCommand,
  Command,
  EndIncarnationCommand,
  JudgeModelCommand,
  LeaveCommand,
  Origin,
  PublishModelCommand,
  RegisterNodeCommand,
  RemoveNodeCommand,
  SetSettingsCommand,
  StartCommand,
  StopCommand,
  SubmitCommand
} from './commands.ts'
import { delayAfter } from './retry.ts'
import { assemble } from './spec-codec.ts'
import type { SchedulerState } from './state.ts'
import type { Submission, SubmissionTask } from './submission.ts'
import type { Need } from './types.ts'

/** A validated submission that waits for ids. */
export interface SubmitProposal {
  readonly type: 'submit'
  readonly origin: Origin
  readonly submission: Submission
}

/** A node's report; the leader adds the retry delay. */
interface ReportProposal {
  readonly type: 'report'
  readonly report: AttemptReport
}

/** As the command, without the delay, which the leader draws. */
type AnnounceProposal = Omit<AnnounceCommand, 'retryDelayMs'>
type EndIncarnationProposal = Omit<EndIncarnationCommand, 'retryDelayMs'>

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
  | PublishModelCommand
  | JudgeModelCommand

/** Hands out task ids above all that are assigned or in flight. */
export interface IdAllocator {
  take(count: number): TaskId
  /** Forgets ids in flight: a reign begins, or entries were lost. */
  reset(): void
}

export function createIdAllocator(state: SchedulerState): IdAllocator {
  let next = 0
  return {
    take: (count) => {
      const first = Math.max(next, state.nextTaskId)
      next = first + count
      return taskId(first)
    },
    reset: () => {
      next = 0
    }
  }
}

/** The command that a proposal becomes in this leader's log. */
export function toCommand(proposal: Proposal, state: SchedulerState, ids: IdAllocator, rng: Rng): Command {
  switch (proposal.type) {
    case 'submit':
      return toSubmit(proposal, ids.take(proposal.submission.tasks.length))
    case 'report': {
      const report = clipError(proposal.report)
      const retryDelayMs = delayAfter(report, state.tasks.get(report.taskId), rng)
      return { type: 'complete', report, retryDelayMs }
    }
    // What a lost node leaves behind is taken up elsewhere without delay.
    case 'announce':
      return { ...proposal, outbox: proposal.outbox.map(clipError), retryDelayMs: durationMs(0) }
    case 'end-incarnation':
      return { ...proposal, retryDelayMs: durationMs(0) }
    default:
      return proposal
  }
}

function toSubmit({ origin, submission }: SubmitProposal, firstId: TaskId): SubmitCommand {
  const tasks = submission.tasks.map((task) =>
    assemble(task, task.input, absoluteNeeds(task, firstId), task.notBefore, task.deadlineAt)
  )
  return submission.idempotency === undefined
    ? { type: 'submit', origin, firstId, tasks }
    : { type: 'submit', origin, firstId, tasks, idempotency: submission.idempotency }
}

const NO_NEEDS: readonly Need[] = []

function absoluteNeeds({ needs }: SubmissionTask, firstId: TaskId): readonly Need[] {
  if (needs.length === 0) return NO_NEEDS
  return needs.map((need) => ({
    id: 'position' in need ? taskId(firstId + need.position) : need.id,
    as: need.as
  }))
}

/** A UTF-16 unit takes at most three bytes of UTF-8. */
const LONGEST_MESSAGE = Math.floor(LIMITS.errorMessageBytes / 3)

function clipError(report: AttemptReport): AttemptReport {
  const { error } = report
  if (error === undefined) return report
  if (error.message.length <= LONGEST_MESSAGE && error.code.length <= LIMITS.nameLength) return report
  const clipped = {
    code: error.code.slice(0, LIMITS.nameLength),
    message: error.message.slice(0, LONGEST_MESSAGE),
    retryable: error.retryable
  }
  return { ...report, error: clipped }
}
