import type { NodeId } from '../../base/ids.ts'
import { invariant } from '../../base/invariant.ts'
import type { TimestampMs } from '../../base/units.ts'
import type { Command, PlaceCommand } from '../commands.ts'
import type { SchedulerEvent } from '../events.ts'
import type { ClusterView, Policy } from '../policy.ts'
import type { SchedulerState } from '../state.ts'
import type { ClusterNode } from '../types.ts'

export interface PlannerOptions {
  readonly state: SchedulerState
  readonly policy: Policy
  /** Nodes that get no placements now: lagging, without a lease. Nodes that leave or are closed are left out anyway. */
  readonly excluded: (node: ClusterNode) => boolean
}

/**
 * Plans placements on the applied state plus the commands that this leader has in flight. One turn of a leader:
 * `project(commands)`, `plan(now, limit)`, append `[...commands, ...placements]` as one entry, `seal()`; when that
 * entry was applied, `settle(batch, events)`. Entries settle in the order in which they were sealed.
 */
export interface Planner {
  readonly view: ClusterView
  /** Adds commands to the open batch. */
  project(commands: readonly Command[]): void
  /** The next placements, added to the open batch. */
  plan(now: TimestampMs, limit: number): PlaceCommand[]
  /** Closes the open batch and names it. */
  seal(): number
  /** The sealed batch was applied (or lost, then without events): state speaks for itself from here on. */
  settle(batch: number, events: readonly SchedulerEvent[]): void
  /** An entry was applied that this planner did not seal. */
  observe(events: readonly SchedulerEvent[]): void
  /** Forgets all in-flight commands and begins from state: a reign begins, or entries were lost. */
  reset(now: TimestampMs): void
  /** Switches the policy, which reads the view anew. */
  use(policy: Policy): void
  /** When the policy wants to be asked again though nothing changes. */
  wakeAt(): TimestampMs | undefined
  /** Choices of the policy that did not hold in the view, since the planner was made. */
  readonly faults: number
}

export function createPlanner(options: PlannerOptions): Planner {
  invariant(false, `stub ${options.policy.name} ${options.state.time}`)
}
export type { NodeId }
