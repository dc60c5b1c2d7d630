/** A leader's turns in tests of the planner: what it proposes, and how that is applied. */
import { taskId } from '../../../../base/ids.ts'
import { timestampMs } from '../../../../base/units.ts'
import type { Command } from '../../../../scheduler/commands.ts'
import type { SchedulerEvent } from '../../../../scheduler/events.ts'
import type { Planner } from '../../../../scheduler/planner/planner.ts'
import { spec } from '../../../helpers/scheduler.ts'
import type { Machine } from '../../../helpers/scheduler.ts'

/** A leader's turn whose entry is not applied yet. */
export function propose(
  planner: Planner,
  machine: Machine,
  commands: Command[]
): { batch: number; entry: Command[] } {
  planner.project(commands)
  const placements = planner.plan(timestampMs(machine.now), 1_000)
  return { batch: planner.seal(), entry: [...commands, ...placements] }
}

/** The entry is applied. */
export function settle(
  planner: Planner,
  machine: Machine,
  { batch, entry }: { batch: number; entry: Command[] }
): SchedulerEvent[] {
  const events = machine.apply(...entry)
  planner.settle(batch, events)
  return events
}

/** The command that submits these tasks. */
export function submitOf(machine: Machine, id: number, tasks = [spec()]): Command {
  return { type: 'submit', origin: machine.nextOrigin(), firstId: taskId(id), tasks }
}

/** Which tasks an entry places, and where. */
export const placed = (entry: readonly Command[]): [number, number][] =>
  entry.flatMap((command) => (command.type === 'place' ? [[command.taskId, command.node]] : []))
