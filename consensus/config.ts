/**
 * What a Raft peer is created with. Sizes are bytes and default to no limit (`Infinity`); times are ticks, whose length
 * the caller decides. The defaults are etcd-io/raft's; DTSS sets PreVote and CheckQuorum always together.
 */
import { invariant } from '../base/invariant.ts'
import type { Rng } from '../base/prng.ts'
import type { Storage } from './storage.ts'
import { MAX_PEER_ID } from './types.ts'

/** Where the core's own log lines go. A line is formatted only when the logger calls `line`. */
export interface RaftLogger {
  debug(line: () => string): void
  info(line: () => string): void
  warning(line: () => string): void
  error(line: () => string): void
}

/** Discards every line without formatting it. */
export const SILENT_LOGGER: RaftLogger = {
  debug: () => undefined,
  info: () => undefined,
  warning: () => undefined,
  error: () => undefined
}

/** How a leader confirms a linearizable read: by a heartbeat round, or (with CheckQuorum) by trusting its lease. */
type ReadOnlyOption = 'safe' | 'lease-based'

/** The options of one peer. */
export interface RaftConfig {
  /** This peer's id: a safe integer in [1, MAX_PEER_ID]. */
  readonly id: number
  /** Ticks without a leader before an election; the timeout is drawn from [electionTicks, 2 · electionTicks). */
  readonly electionTicks: number
  /** Ticks between heartbeats; less than `electionTicks`, a tenth of it is usual. */
  readonly heartbeatTicks: number
  readonly storage: Storage
  /** Draws election timeouts; the only source of chance. */
  readonly rng: Rng
  /** The index applied before a restart; entries up to it are not handed out again. */
  readonly applied?: number
  /** Whether storage work leaves as messages to the local threads, instead of being acknowledged by `advance`. */
  readonly asyncStorageWrites?: boolean
  /** Bound on the entries of one append message; at least one entry is always sent. 0: one entry a message. */
  readonly maxMessageBytes?: number
  /** Bound on committed entries handed out and not yet acknowledged as applied. Default: `maxMessageBytes`. */
  readonly maxApplyingBytes?: number
  /** Payload bytes that a leader keeps uncommitted before it drops proposals as `overloaded`. 0: no limit. */
  readonly maxUncommittedBytes?: number
  /** Append messages in flight to one follower. */
  readonly maxInflightMessages?: number
  /** Payload bytes in flight to one follower; 0: no limit. At least `maxMessageBytes`. */
  readonly maxInflightBytes?: number
  /** Whether a leader steps down when it has not heard of a quorum for an election timeout. */
  readonly checkQuorum?: boolean
  /** Whether a candidate first asks if it could win, without disturbing anybody's term. */
  readonly preVote?: boolean
  /** Default `safe`. `lease-based` needs `checkQuorum` and bounded clock drift. */
  readonly readOnly?: ReadOnlyOption
  /** Whether followers drop proposals instead of forwarding them to the leader. */
  readonly disableProposalForwarding?: boolean
  /** Whether membership changes are accepted without a look at the current one; for a layer above that serialises them. */
  readonly disableConfChangeValidation?: boolean
  /** Whether a leader that is removed or demoted steps down at once. */
  readonly stepDownOnRemoval?: boolean
  /** Default: silence. */
  readonly logger?: RaftLogger
}

/** A configuration with its defaults filled in and its relations checked. */
export type ResolvedConfig = Required<RaftConfig>

/** Fills in the defaults. Throws `InvariantError` on a configuration that cannot work. */
export function resolveConfig(config: RaftConfig): ResolvedConfig {
  const maxMessageBytes = config.maxMessageBytes ?? Infinity
  const resolved: ResolvedConfig = {
    id: config.id,
    electionTicks: config.electionTicks,
    heartbeatTicks: config.heartbeatTicks,
    storage: config.storage,
    rng: config.rng,
    applied: config.applied ?? 0,
    asyncStorageWrites: config.asyncStorageWrites ?? false,
    maxMessageBytes,
    maxApplyingBytes: orUnlimited(config.maxApplyingBytes ?? maxMessageBytes),
    maxUncommittedBytes: orUnlimited(config.maxUncommittedBytes ?? 0),
    maxInflightMessages: config.maxInflightMessages ?? 256,
    maxInflightBytes: orUnlimited(config.maxInflightBytes ?? 0),
    checkQuorum: config.checkQuorum ?? false,
    preVote: config.preVote ?? false,
    readOnly: config.readOnly ?? 'safe',
    disableProposalForwarding: config.disableProposalForwarding ?? false,
    disableConfChangeValidation: config.disableConfChangeValidation ?? false,
    stepDownOnRemoval: config.stepDownOnRemoval ?? false,
    logger: config.logger ?? SILENT_LOGGER
  }
  check(resolved)
  return resolved
}

function orUnlimited(bytes: number): number {
  return bytes === 0 ? Infinity : bytes
}

function check(config: ResolvedConfig): void {
  const { id, electionTicks, heartbeatTicks } = config
  invariant(Number.isSafeInteger(id) && id >= 1 && id <= MAX_PEER_ID, () => `id: got ${id}, expected ≥ 1`)
  invariant(heartbeatTicks > 0, 'heartbeatTicks must be greater than 0')
  invariant(electionTicks > heartbeatTicks, 'electionTicks must be greater than heartbeatTicks')
  invariant(config.maxInflightMessages > 0, 'maxInflightMessages must be greater than 0')
  invariant(
    config.maxMessageBytes === Infinity || config.maxInflightBytes >= config.maxMessageBytes,
    'maxInflightBytes must be at least maxMessageBytes'
  )
  invariant(
    config.readOnly !== 'lease-based' || config.checkQuorum,
    'checkQuorum must be on when reads are lease-based'
  )
}
