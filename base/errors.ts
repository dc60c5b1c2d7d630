/**
 * One table of every operational error: code, HTTP status, whether the same call may succeed later, and a title that
 * holds for every occurrence. docs/errors.md is checked against it. Codes are stable; messages are not.
 *
 * Four kinds of failure exist and this table names one of them. A bug throws `InvariantError`. A command that `apply`
 * rejects is a value carrying one of these codes. A user's task that fails is recorded on its attempt.
 */
export const ERRORS = {
  // Requests
  INVALID_REQUEST: [400, false, 'The request does not fit its schema'],
  INVALID_JSON: [400, false, 'The body is not valid JSON'],
  UNSUPPORTED_MEDIA_TYPE: [415, false, 'The body must be application/json'],
  BODY_TOO_LARGE: [413, false, 'The body is larger than the limit'],
  HOST_NOT_ALLOWED: [403, false, 'The Host or Origin header is not on the allow-list'],
  NOT_FOUND: [404, false, 'There is no such resource'],
  METHOD_NOT_ALLOWED: [405, false, 'The resource does not support this method'],
  // Submission
  TASK_NOT_FOUND: [404, false, 'There is no task with this id'],
  UNKNOWN_EXECUTOR: [422, false, 'No such executor exists'],
  UNKNOWN_HANDLER: [422, false, 'No node of the cluster has this handler'],
  UNKNOWN_NEED: [422, false, 'A dependency names no task'],
  CYCLIC_NEEDS: [422, false, 'The dependencies form a cycle'],
  DUPLICATE_NAME: [422, false, 'A dependency names more than one task of the submission'],
  LIMIT_EXCEEDED: [422, false, 'A published limit is exceeded'],
  IDEMPOTENCY_IN_FLIGHT: [409, true, 'The first request with this idempotency key is not committed yet'],
  IDEMPOTENCY_MISMATCH: [422, false, 'The idempotency key was used with another body'],
  IDEMPOTENCY_KEYS_FULL: [429, true, 'The bound on kept idempotency keys is reached'],
  // Task state
  RETIRED: [410, false, 'The task ended long ago and its record was retired'],
  ALREADY_TERMINAL: [409, false, 'The task has already ended'],
  NOT_TERMINAL: [409, true, 'The task has not ended yet'],
  STALE_TOKEN: [409, false, 'The fencing token is not the current one'],
  STALE_INCARNATION: [409, false, 'The incarnation is not the current one'],
  TASK_NOT_READY: [409, false, 'The task is not ready to be placed'],
  COPY_NOT_ALLOWED: [409, false, 'The task may not have a second attempt'],
  NO_CAPACITY: [409, true, 'The node has no free slot or resource for the task'],
  INELIGIBLE_NODE: [409, false, 'The node may not run the task'],
  MODEL_NOT_FOUND: [404, false, 'There is no model with this version'],
  MODEL_STATE_INVALID: [409, false, 'The model is not in a state that allows this'],
  OUTCOME_UNKNOWN: [409, false, 'The outcome of this proposal is no longer kept'],
  SEQUENCE_STALE: [409, true, 'The task id was not above the highest assigned one'],
  // Cluster
  NOT_LEADER: [503, true, 'This node is not the leader'],
  NO_LEADER: [503, true, 'The cluster has no leader at the moment'],
  OVERLOADED: [503, true, 'Too much work is waiting to be committed'],
  TIMEOUT: [503, true, 'The request was not finished in time; whether it took effect is unknown'],
  SHUTTING_DOWN: [503, true, 'The node is stopping, or has not come up yet'],
  PEER_UNREACHABLE: [503, true, 'The peer could not be reached; the request was not delivered'],
  NODE_NOT_FOUND: [404, false, 'There is no node with this number'],
  NODE_HAS_INCARNATION: [409, true, 'The node still has an open incarnation'],
  NODE_LEAVING: [409, false, 'The node is leaving the cluster'],
  QUORUM_AT_RISK: [409, false, 'The change would leave the cluster without a safe quorum'],
  // Starting and storage
  CONFIG_INVALID: [500, false, 'The configuration is not valid'],
  PORT_IN_USE: [500, false, 'The address is already in use'],
  DATA_FOLDER_LOCKED: [500, false, 'Another process uses the data folder'],
  DATA_FOLDER_FOREIGN: [500, false, 'The data folder belongs to another node or cluster'],
  DATA_VERSION_UNSUPPORTED: [
    500,
    false,
    'The data folder was written by a version that this one cannot read'
  ],
  PROTOCOL_VERSION_UNSUPPORTED: [500, false, 'The peer speaks another protocol version'],
  CLUSTER_MISMATCH: [500, false, 'The peer belongs to another cluster'],
  JOIN_REFUSED: [500, true, 'The cluster did not accept the node'],
  WAL_CORRUPT: [500, false, 'The write-ahead log is damaged where it was already acknowledged'],
  HARD_STATE_CORRUPT: [500, false, 'No intact copy of the latest term and vote is left'],
  STATE_CORRUPT: [500, false, 'The materialised state does not match its checksum'],
  STORAGE_FAILED: [500, false, 'The disk reported an error; the node stops rather than guess'],
  STORAGE_FULL: [
    503,
    true,
    'The disk is full; nothing is acknowledged until there is room, and a node that cannot write its state stops'
  ],
  ENCODING_INVALID: [400, false, 'The encoded bytes are malformed or of an unknown version'],
  INTERNAL: [500, false, 'Something is wrong in DTSS itself']
} as const satisfies Record<string, readonly [status: number, retryable: boolean, title: string]>

export type ErrorCode = keyof typeof ERRORS

/** An operational error. `message` says what was got and what was expected; `code` is stable. */
export class AppError extends Error {
  override readonly name = 'AppError'
  readonly code: ErrorCode
  /** What the error is about, for machines: `{ field, got, expected, … }`. */
  readonly details: Readonly<Record<string, unknown>>

  constructor(
    code: ErrorCode,
    message: string,
    options: { cause?: unknown; details?: Readonly<Record<string, unknown>> } = {}
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.details = options.details ?? {}
  }

  /** The HTTP status that answers a request which failed so. */
  get status(): number {
    return ERRORS[this.code][0]
  }

  /** Whether the same call may succeed later without a change. */
  get retryable(): boolean {
    return ERRORS[this.code][1]
  }
}

/** Any thrown value as an `AppError`; what is not one already becomes `INTERNAL` with the original as its cause. */
export function toAppError(error: unknown): AppError {
  if (error instanceof AppError) return error
  const message = error instanceof Error ? error.message : String(error)
  return new AppError('INTERNAL', message, { cause: error })
}
