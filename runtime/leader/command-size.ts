/** Rough encoded size of a command, in bytes: enough to split entries and to count admission. */
import type { Command } from '../../scheduler/commands.ts'
import type { AttemptReport } from '../../scheduler/commands.ts'

const COMMAND_BYTES = 32
const TASK_BYTES = 96

export function approximateBytes(command: Command): number {
  switch (command.type) {
    case 'submit': {
      let bytes = COMMAND_BYTES
      for (const task of command.tasks) bytes += TASK_BYTES + task.input.length + task.params.length
      return bytes
    }
    case 'complete':
      return COMMAND_BYTES + reportBytes(command.report)
    case 'announce':
      return command.outbox.reduce((sum, report) => sum + reportBytes(report), 1024)
    case 'publish-model':
      return COMMAND_BYTES + command.weights.length + command.evaluation.length
    case 'judge-model':
      return COMMAND_BYTES + command.reason.length * 3 + (command.evaluation?.length ?? 0)
    default:
      return COMMAND_BYTES
  }
}

function reportBytes(report: AttemptReport): number {
  return COMMAND_BYTES + report.result.length + (report.error?.message.length ?? 0)
}
