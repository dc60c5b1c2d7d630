/**
 * Codes that DTSS itself gives to failed attempts and tasks. Users' handlers and executors add their own (`EXIT_CODE`, …).
 */
import type { TaskError } from './types.ts'

export const TASK_ERRORS = {
  /** The node's incarnation ended while the attempt was live. */
  NODE_LOST: 'NODE_LOST',
  /** An at-most-once task whose attempt was lost or interrupted: it may have taken effect. */
  MAYBE_RAN: 'MAYBE_RAN',
  /** The attempt ran longer than `startToCloseMs`. */
  TIMEOUT: 'TIMEOUT',
  /** The task was ready for longer than `scheduleToStartMs`. */
  SCHEDULE_TO_START: 'SCHEDULE_TO_START',
  /** A task that it needs did not succeed. */
  NEED_FAILED: 'NEED_FAILED',
  /** The attempt stopped though nothing had told it to. */
  STOPPED: 'STOPPED',
  /** The result was larger than LIMITS.taskResultBytes. */
  RESULT_TOO_LARGE: 'RESULT_TOO_LARGE'
} as const

/** An error that another attempt may not meet. */
export function retryableError(code: string, message: string): TaskError {
  return { code, message, retryable: true }
}

/** An error that no further attempt follows. */
export function finalError(code: string, message: string): TaskError {
  return { code, message, retryable: false }
}
