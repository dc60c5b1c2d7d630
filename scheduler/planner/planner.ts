/**
 * The leader's planner: asks the policy for placements on the projected view and tells it what changes.
 *
 * 1. The policy hears of each ready task once until it is gone, whether it came from state or from a submission in flight.
 * 2. A choice that does not hold in the view is a fault of the policy: counted, and the round ends there. One that was
 *    overtaken by what is in flight (a copy of an attempt that just ended) ends the round and is no fault.
 * 3. `apply` has the last word: when a batch settles, whatever it refused is offered again, and the policy hears of nodes that changed.
 */
import type { TaskId } from '../../base/ids.ts'
import type { TimestampMs } from '../../base/units.ts'
import type { Command, PlaceCommand, PlaceCopyCommand } from '../commands.ts'
import type { SchedulerEvent } from '../events.ts'
import type { ClusterView, Policy, TaskView } from '../policy.ts'
import type { SchedulerState } from '../state.ts'
import type { ClusterNode } from '../types.ts'
import type { Corrections } from './projection.ts'
import { Projection, noCorrections } from './projection.ts'
import { viewOfTask } from './task-view.ts'

/** What a planner makes of a policy's choices. */
export type PlannedCommand = PlaceCommand | PlaceCopyCommand

export interface PlannerOptions {
  readonly state: SchedulerState
  readonly policy: Policy
  /** Nodes that get no placements now: lagging, without a lease. Nodes that leave or are closed are left out anyway. */
  readonly excluded: (node: ClusterNode) => boolean
  /** What time it is. Default: that of the state. */
  readonly now?: TimestampMs
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
  plan(now: TimestampMs, limit: number): PlannedCommand[]
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
  return new LeaderPlanner(options)
}

class LeaderPlanner implements Planner {
  faults = 0
  private readonly state: SchedulerState
  private readonly projection: Projection
  private policy: Policy
  private open: Corrections = noCorrections()
  private readonly sealed = new Map<number, Corrections>()
  private batches = 0
  private readonly offer = (task: TaskView): void => {
    this.policy.onReady(task, this.projection)
  }

  constructor({ state, policy, excluded, now = state.time }: PlannerOptions) {
    this.state = state
    this.policy = policy
    this.projection = new Projection(state, excluded)
    this.reset(now)
  }

  get view(): ClusterView {
    return this.projection
  }

  project(commands: readonly Command[]): void {
    for (const command of commands) {
      if (command.type === 'submit') this.projection.addSubmit(this.open, command, this.offer)
      else if (command.type === 'complete') this.projection.addComplete(this.open, command)
    }
  }

  plan(now: TimestampMs, limit: number): PlannedCommand[] {
    if (now > this.projection.now) this.projection.now = now
    if (this.projection.refreshNodes()) this.policy.onNodesChanged?.(this.projection)
    const commands: PlannedCommand[] = []
    while (commands.length < limit) {
      const choice = this.policy.next(this.projection)
      if (choice === undefined) break
      const command = this.projection.addChoice(this.open, choice.taskId, choice.node)
      if (command === 'too-late') break
      if (command === 'too-early') {
        this.policy.onNotCopied?.(choice.taskId, this.projection)
        break
      }
      if (command === undefined) {
        this.faults++
        break
      }
      commands.push(command)
      if (command.type === 'place') this.policy.onGone(choice.taskId, this.projection)
    }
    return commands
  }

  seal(): number {
    const batch = ++this.batches
    this.sealed.set(batch, this.open)
    this.open = noCorrections()
    return batch
  }

  settle(batch: number, events: readonly SchedulerEvent[]): void {
    const corrections = this.sealed.get(batch)
    if (corrections !== undefined) {
      this.sealed.delete(batch)
      const { regained, vanished } = this.projection.settle(corrections)
      for (const id of vanished) this.withdraw(id)
      for (const id of regained) this.reoffer(id)
    }
    this.observe(events)
  }

  observe(events: readonly SchedulerEvent[]): void {
    let nodesChanged = false
    for (const event of events) {
      switch (event.type) {
        case 'task-ready':
          this.reoffer(event.task.id)
          break
        case 'task-withdrawn':
        case 'task-placed':
          this.withdraw(event.task.id)
          break
        case 'attempt-ended':
          this.policy.onEnded?.(
            {
              task: viewOfTask(event.task),
              node: event.placement.node,
              end: event.end,
              runMs: event.runMs,
              peakMemoryBytes: event.peakMemoryBytes
            },
            this.projection
          )
          break
        case 'task-ended':
          this.withdraw(event.row.id)
          this.policy.onFinished?.(event.row.id, this.projection)
          break
        case 'placement-refused':
          if (this.runsAlone(event.taskId)) this.policy.onNotCopied?.(event.taskId, this.projection)
          // What the plan had spent of the node is free again, and no attempt ends to say so.
          nodesChanged = true
          break
        case 'node-changed':
        case 'incarnation-opened':
        case 'incarnation-ended':
          nodesChanged = true
          break
        default:
      }
    }
    if (!nodesChanged) return
    this.projection.refreshNodes()
    this.policy.onNodesChanged?.(this.projection)
  }

  reset(now: TimestampMs): void {
    this.sealed.clear()
    this.open = noCorrections()
    this.projection.reset(now)
    this.policy.reset(this.projection)
  }

  use(policy: Policy): void {
    this.policy = policy
    policy.reset(this.projection)
  }

  wakeAt(): TimestampMs | undefined {
    return this.policy.wakeAt?.(this.projection)
  }

  /** An event may be behind: its task was placed later in the same entry, or is being placed. */
  private reoffer(id: TaskId): void {
    const { offered } = this.projection
    if (offered.has(id) || !this.state.ready.has(id) || this.projection.isPlacing(id)) return
    const task = this.state.tasks.get(id)
    if (task === undefined) return
    offered.add(id)
    this.policy.onReady(viewOfTask(task), this.projection)
  }

  /** Whether what was refused was a copy. */
  private runsAlone(id: TaskId): boolean {
    const task = this.state.tasks.get(id)
    return task?.placement !== undefined && task.copy === undefined
  }

  private withdraw(id: TaskId): void {
    if (this.state.ready.has(id) || !this.projection.offered.delete(id)) return
    this.policy.onGone(id, this.projection)
  }
}
