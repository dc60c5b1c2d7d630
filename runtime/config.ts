/**
 * What one node's runtime is started with. Parsed and defaulted in `node/`, frozen, and passed down.
 */
import { invariant } from '../base/invariant.ts'
import type { ClusterId, NodeId, PeerId } from '../base/ids.ts'
import { LIMITS } from '../base/limits.ts'
import { MiB, second } from '../base/units.ts'
import type { Labels, Resources } from '../scheduler/types.ts'

/** How fast the cluster notices and decides. */
export interface Timing {
  /** Length of one Raft tick. A leader beats once a tick. */
  readonly tickMs: number
  /** Ticks without a leader before an election; the timeout is drawn from [n, 2n). ≥ 10 × round-trip ÷ tick is usual. */
  readonly electionTicks: number
  /** Length of a node lease at the cluster's birth; replicated afterwards. ≥ 4 × (p99 election + renewal interval). */
  readonly leaseMs: number
  /** Bound on how far two monotonic clocks drift over one lease. */
  readonly leaseMarginMs: number
}

/** Suits networks with round trips up to some tens of milliseconds: a dead leader is replaced in one to two seconds. */
export const DEFAULT_TIMING: Timing = {
  tickMs: 100,
  electionTicks: 10,
  leaseMs: 10 * second,
  leaseMarginMs: 500
}

/** For one machine or one rack: a dead leader is replaced in about half a second, a dead node within four. */
export const LAN_TIMING: Timing = { tickMs: 30, electionTicks: 10, leaseMs: 3 * second, leaseMarginMs: 200 }

export interface RuntimeConfig {
  readonly clusterId: ClusterId
  readonly nodeId: NodeId
  readonly peerId: PeerId
  /** Whether this start is the cluster's birth: an empty folder, no `--join`. */
  readonly bootstrap: boolean
  readonly version: string
  readonly timing: Timing
  /** Attempts that this node runs at once. */
  readonly slots: number
  readonly resources: Resources
  readonly labels: Labels
  readonly zone: string
  /** Attempts that still run after this time have their start recorded in the log by themselves. */
  readonly lazyStartMs: number
  /** The planner skips nodes whose applied index is further behind than this. */
  readonly maxApplyLag: number
  /** The log above the last compaction is compacted when it exceeds this many bytes. */
  readonly compactBytes: number
  /** Longest time between two durable flushes of the materialised state. */
  readonly flushMs: number
  /** Write-behind beyond this pauses apply between entries. */
  readonly maxPendingStoreBytes: number
  /** Longest stretch of applying entries before other work gets its turn. */
  readonly applySliceMs: number
}

/** Defaults for everything that does not name the node. */
export const DEFAULT_RUNTIME = {
  timing: DEFAULT_TIMING,
  lazyStartMs: 1 * second,
  maxApplyLag: 50_000,
  compactBytes: 64 * MiB,
  flushMs: 1 * second,
  maxPendingStoreBytes: 64 * MiB,
  applySliceMs: 5
} as const

/** Checks the relations between options. Throws `InvariantError`; user input is checked with better words before. */
export function checkRuntimeConfig(config: RuntimeConfig): void {
  const { timing } = config
  invariant(timing.tickMs >= 1, 'tickMs must be at least 1')
  invariant(timing.electionTicks >= 3, 'electionTicks must be at least 3')
  const renewal = timing.tickMs * 2
  const election = timing.tickMs * timing.electionTicks * 2
  invariant(
    timing.leaseMs >= election + renewal,
    () =>
      `leaseMs: got ${timing.leaseMs}, expected at least ${election + renewal} (an election and a renewal)`
  )
  invariant(timing.leaseMarginMs < timing.leaseMs / 2, 'leaseMarginMs must be less than half of leaseMs')
  invariant(config.slots >= 0 && config.slots <= 10_000, 'slots must be in [0, 10000]')
  invariant(config.lazyStartMs <= LIMITS.taskDurationMs, 'lazyStartMs is out of range')
}
