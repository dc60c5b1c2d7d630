import { second } from '../units.ts'

/**
 * How long requests may take. A node gives up, and says why, well before a client stops listening: a client that hears nothing takes the
 * node for dead.
 */
export const DEADLINES = {
  /** What a client waits for the reply to one try, unless it is told otherwise. */
  replyMs: 15 * second,
  /** What a node waits for the log to take a submission or a cancellation: its fate is unknown then, so this is no shorter than it must be. */
  proposalMs: 10 * second,
  /** The same for what an operator sets, which somebody sits and waits for; a new leader takes less. */
  changeMs: 5 * second,
  /** What a node waits until it has applied what the client, or another node, has seen; it may have to wait for a leader after that. */
  appliedMs: 4 * second,
  /** What a node waits for a leader to confirm that it may answer a read. */
  readMs: 10 * second
} as const
