import type { TaskError } from '../../../scheduler/types.ts'

/** What is recorded of an attempt whose handler its node does not have. */
export function unknownHandler(name: string): TaskError {
  return { code: 'UNKNOWN_HANDLER', message: `this node has no handler "${name}"`, retryable: false }
}
