/** What the rules of one command share. */
import type { ErrorCode } from '../../base/errors.ts'
import type { NodeId } from '../../base/ids.ts'
import { touch } from '../changes.ts'
import type { CommandType } from '../commands.ts'
import type { SchedulerEvent } from '../events.ts'
import type { SchedulerState } from '../state.ts'
import type { Outcome, OutcomeValue, Task } from '../types.ts'

export interface ApplyContext {
  readonly state: SchedulerState
  readonly events: SchedulerEvent[]
  /** Tasks that the current command may still touch beyond those that it names. */
  budget: number
}

export function rejected(code: ErrorCode, message: string): Outcome {
  return { ok: false, code, message }
}

export function accepted(value: OutcomeValue): Outcome {
  return { ok: true, value }
}

export const DONE: Outcome = accepted({ type: 'none' })

/** Notes that the record of a task with live attempts changed, ended or not. */
export function touchAttempts({ changes, lingering }: SchedulerState, task: Task): void {
  touch(lingering.get(task.id) === task ? changes.lingering : changes.tasks, task)
}

/** Tells that a command for which nobody waits was refused. */
export function refuse(
  ctx: ApplyContext,
  command: CommandType,
  node: NodeId | undefined,
  code: ErrorCode,
  message: string
): void {
  ctx.events.push({ type: 'command-refused', command, node, code, message })
}
