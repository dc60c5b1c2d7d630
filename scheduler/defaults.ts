/**
 * What a task gets that its submitter left unsaid. Ingress fills these in; the encoding of specs leaves them out, so a
 * change here is a change of format (`codec.ts`, `records.ts`).
 */
import { durationMs, timestampMs } from '../base/units.ts'
import { NO_BYTES } from './bytes.ts'
import type { SubmissionTask } from './submission.ts'
import type { RetryPolicy } from './types.ts'

export const DEFAULT_RETRY: RetryPolicy = {
  maxAttempts: 3,
  baseDelayMs: durationMs(1_000),
  maxDelayMs: durationMs(60_000)
}

/** Everything but a name and an executor. */
export const TASK_DEFAULTS: Omit<SubmissionTask, 'name' | 'executor'> = {
  tenant: 'default',
  handler: '',
  params: NO_BYTES,
  input: NO_BYTES,
  needs: [],
  priority: 0,
  resources: {},
  nodeSelector: {},
  retry: DEFAULT_RETRY,
  scheduleToStartMs: durationMs(0),
  startToCloseMs: durationMs(0),
  killGraceMs: durationMs(10_000),
  delivery: 'at-least-once',
  idempotent: false,
  onLeaseLoss: 'kill',
  isolation: 'process',
  notBefore: timestampMs(0),
  deadlineAt: timestampMs(0)
}
