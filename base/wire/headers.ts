/** Names of the HTTP headers that DTSS defines, in lower case. */
export const HEADERS = {
  /** On every reply: this node had applied the log up to here. Pass it as `?index=` to read your own writes anywhere. */
  appliedIndex: 'dtss-applied-index',
  /** On every reply: the number of the node that answered. */
  node: 'dtss-node',
  /** The number of the leader that the node knows; absent without one. */
  leader: 'dtss-leader',
  /** Request: 1 to LIMITS.idempotencyKeyLength printable ASCII characters. */
  idempotencyKey: 'idempotency-key',
  /** `true` on the reply to a submission that an earlier one with the same key had made already. */
  idempotentReplayed: 'idempotent-replayed'
} as const

/** Where a node's HTTP API listens when nothing else is said. */
export const DEFAULT_PORT = 7400
