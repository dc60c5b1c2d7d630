/**
 * What `apply` tells its node has happened, in order. Events are not replicated: they are a consequence of the log, so
 * each node derives the same ones. Policies, the reconciler and waiting requests follow them instead of scanning state.
 */
import type { FencingToken, Incarnation, NodeId, TaskId } from '../base/ids.ts'
import type { HistoryRow, Outcome, Placement, StopReason, Task } from './types.ts'
import type { ErrorCode } from '../base/errors.ts'
import type { CommandType, Origin } from './commands.ts'

/** `superseded`: it succeeded after its sibling had, so its run time counts and its result does not. */
export type AttemptEnd = 'succeeded' | 'failed' | 'stopped' | 'not-started' | 'lost' | 'superseded'

/** Events carry the live `Task`: read it at once, do not keep it. */
export type SchedulerEvent =
  | { readonly type: 'task-submitted'; readonly task: Task }
  | { readonly type: 'task-ready'; readonly task: Task }
  /** A task that was ready is so no more, without having been placed (cancelled, expired). */
  | { readonly type: 'task-withdrawn'; readonly task: Task }
  | { readonly type: 'task-placed'; readonly task: Task; readonly placement: Placement }
  | { readonly type: 'task-started'; readonly task: Task; readonly placement: Placement }
  | {
      readonly type: 'task-stopping'
      readonly task: Task
      readonly placement: Placement
      readonly reason: StopReason
    }
  /**
   * An attempt is over, whatever becomes of its task. Comes before `task-ready` or `task-ended` of the same task, except
   * for one that was still to stop when its sibling ended the task.
   */
  | {
      readonly type: 'attempt-ended'
      readonly task: Task
      readonly placement: Placement
      readonly end: AttemptEnd
      /** 0 when unknown (lost). */
      readonly runMs: number
      readonly peakMemoryBytes: number
    }
  | { readonly type: 'task-ended'; readonly row: HistoryRow }
  | { readonly type: 'task-retired'; readonly taskId: TaskId }
  | { readonly type: 'node-changed'; readonly node: NodeId }
  | { readonly type: 'incarnation-opened'; readonly node: NodeId; readonly incarnation: Incarnation }
  | { readonly type: 'incarnation-ended'; readonly node: NodeId; readonly incarnation: Incarnation }
  /** `chosen`: an operator named the policy or its mode, be it what is in use already. */
  | { readonly type: 'settings-changed'; readonly chosen: boolean }
  /** A model was published, changed its state, or was dropped. */
  | { readonly type: 'model-changed'; readonly version: number }
  | { readonly type: 'outcome'; readonly origin: Origin; readonly outcome: Outcome }
  /**
   * An effect that was fenced off. `stale`: its token is not the task's last one; else it repeats an attempt that was
   * already judged.
   */
  | {
      readonly type: 'report-refused'
      readonly taskId: TaskId
      readonly token: FencingToken
      readonly stale: boolean
    }
  | {
      readonly type: 'placement-refused'
      readonly taskId: TaskId
      readonly node: NodeId
      readonly code: ErrorCode
    }
  /** Any other command without an origin that was refused. */
  | {
      readonly type: 'command-refused'
      readonly command: CommandType
      readonly node: NodeId | undefined
      readonly code: ErrorCode
      readonly message: string
    }
