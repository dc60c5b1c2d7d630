/** What a node's runtime is made of: its ports, its configuration, and who hears of what it does. */
import type { AppError } from '../base/errors.ts'
import type { SchedulerEvent } from '../scheduler/events.ts'
import type { PolicyFactory } from '../scheduler/policy.ts'
import type { RuntimeConfig } from './config.ts'
import type { PolicyFailure } from './leader/guarded-policy.ts'
import type { RuntimePorts } from './ports/index.ts'
import type { PeerAddress } from './ports/transport.ts'

/** Everything that `NodeRuntime.open` needs. */
export interface RuntimeOptions {
  readonly ports: RuntimePorts
  readonly config: RuntimeConfig
  /** Path of the data folder on the disk port. */
  readonly folder: string
  readonly segmentBytes?: number
  /** Policies beyond the built-in ones. */
  readonly policies?: ReadonlyMap<string, PolicyFactory>
  /** Members that a contact named when this node joined. */
  readonly initialPeers?: readonly PeerAddress[]
  /** Something failed that the node must not survive. Called once; the process stops. */
  readonly onFatal: (error: AppError) => void
  /** Every applied entry's events, before any part of the runtime hears them: what a policy asks has learned of them. What it throws is logged. */
  readonly beforeEvents?: (events: readonly SchedulerEvent[], index: number) => void
  /** This node's reign began, or ended. What it throws is logged. */
  readonly onReign?: (reigning: boolean) => void
  /** The policy that the settings name cannot be used by this leader, or no more: `least-loaded` places instead. */
  readonly onPolicyFailure?: (failure: PolicyFailure) => void
  /** The state was replaced by a snapshot's, so what was gathered from events has a gap. */
  readonly onReplaced?: () => void
  /** Every applied entry's events, after the runtime's own parts have heard them. */
  readonly onEvents?: (events: readonly SchedulerEvent[], index: number) => void
}
