/**
 * How the Raft core is set up in production. PreVote and CheckQuorum always come together: each alone fails
 * under partial partitions.
 */
import { LIMITS } from '../../base/limits.ts'
import { createRng } from '../../base/prng.ts'
import { KiB, MiB } from '../../base/units.ts'
import type { RaftConfig, RaftLogger } from '../../consensus/index.ts'
import type { RuntimeConfig } from '../config.ts'
import type { Logger } from '../ports/log.ts'
import type { MemoryStorage } from '../../consensus/index.ts'

/** Entries of one append message: large enough to amortise a frame, small enough not to hold up the next. */
const APPEND_BYTES = 512 * KiB
/** What may be on the way to one follower and unacknowledged. */
const INFLIGHT_BYTES = 16 * MiB
const INFLIGHT_MESSAGES = 256
/** Committed entries handed to apply and not yet done. */
const APPLYING_BYTES = 8 * MiB

export function raftOptions(input: {
  readonly config: RuntimeConfig
  readonly log: MemoryStorage
  readonly logger: Logger
  readonly seed: number
  readonly applied: number
}): RaftConfig {
  return {
    id: input.config.nodeId,
    electionTicks: input.config.timing.electionTicks,
    heartbeatTicks: 1,
    storage: input.log,
    rng: createRng(input.seed),
    applied: input.applied,
    asyncStorageWrites: true,
    maxMessageBytes: APPEND_BYTES,
    maxApplyingBytes: APPLYING_BYTES,
    maxUncommittedBytes: LIMITS.uncommittedBytes,
    maxInflightMessages: INFLIGHT_MESSAGES,
    maxInflightBytes: INFLIGHT_BYTES,
    checkQuorum: true,
    preVote: true,
    readOnly: 'safe',
    disableProposalForwarding: true,
    stepDownOnRemoval: true,
    logger: raftLogger(input.logger)
  }
}

/** Raft's own lines: its warnings and errors as such, the rest for debugging. */
function raftLogger(logger: Logger): RaftLogger {
  return {
    debug: () => undefined,
    info: (line) => {
      logger.debug({ component: 'raft' }, line())
    },
    warning: (line) => {
      logger.warn({ component: 'raft' }, line())
    },
    error: (line) => {
      logger.error({ component: 'raft' }, line())
    }
  }
}
