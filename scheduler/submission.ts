/**
 * A submission on its way to the log: tasks without ids, whose needs name each other by position or earlier tasks by id.
 *
 * Ingress validates it (`dag.ts`) and forwards it; the leader gives ids and makes the command (`proposals.ts`).
 */
import type { TaskId } from '../base/ids.ts'
import type { IdempotencyKey } from './commands.ts'
import type { TaskSpec } from './types.ts'

/** A dependency on another task of the submission (its position, lower than the dependent's own) or on an earlier task. */
export type SubmissionNeed =
  { readonly position: number; readonly as: string } | { readonly id: TaskId; readonly as: string }

export interface SubmissionTask extends Omit<TaskSpec, 'needs'> {
  readonly needs: readonly SubmissionNeed[]
}

/** Tasks in an order in which each stands after those that it needs; `orderSubmission` brings them there. */
export interface Submission {
  readonly tasks: readonly SubmissionTask[]
  readonly idempotency?: IdempotencyKey
}
