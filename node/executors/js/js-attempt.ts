import type { AttemptStart } from '../../../runtime/ports/attempt-host.ts'
import type { JsAttempt } from './protocol.ts'

/** What of an attempt a pool process needs. */
export function toJsAttempt(attempt: AttemptStart): JsAttempt {
  const { token, taskId, name, handler, input, needs } = attempt
  return { token, taskId, attempt: attempt.attempt, name, handler, input, needs: Object.entries(needs) }
}
