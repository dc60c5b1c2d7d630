import { invariant } from '../base/invariant.ts'
import type { CommandBatch } from './commands.ts'
import type { Proposal } from './proposals.ts'
/** Version of log entries and proposals. */
export const CODEC_VERSION = 1
export function encodeBatch(batch: CommandBatch): Uint8Array {
  invariant(false, `stub ${batch.stampedAt}`)
}
/** Throws AppError ENCODING_INVALID; never a partial batch. */
export function decodeBatch(bytes: Uint8Array): CommandBatch {
  invariant(false, `stub ${bytes.length}`)
}
/** What a node forwards to the leader, several in one message. */
export function encodeProposals(proposals: readonly Proposal[]): Uint8Array {
  invariant(false, `stub ${proposals.length}`)
}
export function decodeProposals(bytes: Uint8Array): Proposal[] {
  invariant(false, `stub ${bytes.length}`)
}
