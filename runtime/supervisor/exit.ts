/** How the end of an attempt is reported: the table says whose doing it was, the driver what came of it. */
import type { FencingToken } from '../../base/ids.ts'
import type { DurationMs, TimestampMs } from '../../base/units.ts'
import type { StopReason, TaskError } from '../../scheduler/types.ts'
import type { AttemptExit } from '../ports/attempt-host.ts'
import type { Ending } from './attempt-table.ts'

/** What came of an attempt that ended by itself. `not-started`: the node could not begin it, for reasons of its own. */
export type NaturalEnd =
  | { readonly outcome: 'succeeded'; readonly result: Uint8Array }
  | { readonly outcome: 'failed' | 'not-started'; readonly error: TaskError }

/** What was measured. */
export interface ExitFacts {
  readonly token: FencingToken
  readonly startedAt: TimestampMs
  readonly finishedAt: TimestampMs
  readonly runMs: DurationMs
  /** 0 when unknown. */
  readonly peakMemoryBytes: number
}

const NO_BYTES = new Uint8Array(0)

const STOP_ERRORS: Readonly<Record<StopReason | 'lease', TaskError>> = {
  timeout: { code: 'TIMEOUT', message: 'it ran longer than startToClose allows', retryable: true },
  cancel: { code: 'CANCELLED', message: 'it was cancelled', retryable: false },
  drain: { code: 'DRAINED', message: 'its node was told to stop', retryable: true },
  replace: { code: 'REPLACED', message: 'another run takes its place', retryable: false },
  superseded: {
    code: 'SUPERSEDED',
    message: 'its copy, or the one that it copies, succeeded',
    retryable: false
  },
  lease: { code: 'LEASE_LOST', message: "its node's lease ended", retryable: true }
}
const NO_END: TaskError = { code: 'CRASHED', message: 'its process ended without a word', retryable: true }

/** The one report of an attempt. `natural` is what came of it, if it ended by itself. */
export function attemptExit(facts: ExitFacts, ending: Ending, natural: NaturalEnd | undefined): AttemptExit {
  if (ending.type === 'itself') {
    const end = natural ?? { outcome: 'failed', error: NO_END }
    return end.outcome === 'succeeded'
      ? { ...facts, outcome: 'succeeded', reason: undefined, result: end.result, error: undefined }
      : { ...facts, outcome: end.outcome, reason: undefined, result: NO_BYTES, error: end.error }
  }
  const error = ending.reason === undefined ? errorOf(natural) : STOP_ERRORS[ending.reason]
  const outcome = ending.type === 'stopped' ? 'stopped' : 'not-started'
  return { ...facts, outcome, reason: ending.reason, result: NO_BYTES, error }
}

function errorOf(natural: NaturalEnd | undefined): TaskError | undefined {
  return natural === undefined || natural.outcome === 'succeeded' ? undefined : natural.error
}
