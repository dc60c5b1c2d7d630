/** Tasks that were submitted together, as one thing that makes progress. */
import { formatTaskId, taskId } from '../base/ids.ts'
import type { TaskId } from '../base/ids.ts'
import { LIMITS } from '../base/limits.ts'
import type { GroupView } from '../base/wire/forecast.ts'
import type { Task } from '../scheduler/types.ts'
import type { GroupOutlook, KnownTaskRecord, NodePort } from './ports.ts'

/** All that is still known of a group: its tasks have consecutive ids, from the group's own on. */
export async function groupMembers(port: NodePort, group: TaskId): Promise<KnownTaskRecord[]> {
  const members: KnownTaskRecord[] = []
  let before: TaskId | undefined = taskId(group + LIMITS.batchTasks)
  while (before !== undefined && before > group) {
    const page = await port.tasks({ statuses: [], name: undefined, before, limit: LIMITS.batchTasks })
    members.push(...page.records.filter((record) => groupOf(record) === group))
    before = page.next
  }
  return members
}

function groupOf(record: KnownTaskRecord): TaskId {
  return record.kind === 'live' ? record.task.group : record.row.group
}

/** `members`: at least one. `expectedMs`: the predicted run time of a live task. */
export function groupViewOf(
  group: TaskId,
  members: readonly KnownTaskRecord[],
  outlook: GroupOutlook,
  expectedMs: (task: Task) => number
): GroupView {
  const ended = members.flatMap((member) => (member.kind === 'ended' ? [member.row] : []))
  const live = members.flatMap((member) => (member.kind === 'live' ? [member.task] : []))
  const rows = [...ended, ...live]
  const total = rows.reduce<number>((highest, { id }) => Math.max(highest, id), group) - group + 1
  // Those that are not there any more were retired.
  const retired = total - rows.length
  const running = live.filter((task) => task.placement !== undefined).length
  const finishedAt = ended.reduce((latest, row) => Math.max(latest, row.finishedAt), 0)
  const doneMs = ended.reduce((sum, row) => sum + row.runMs, 0)
  const leftMs = live.reduce((sum, task) => sum + expectedMs(task), 0)
  return {
    id: formatTaskId(group),
    tasks: {
      total,
      ended: ended.length + retired,
      succeeded: ended.filter(({ status }) => status === 'succeeded').length,
      failed: ended.filter(({ status }) => status === 'failed').length,
      running,
      waiting: live.length - running,
      retired
    },
    progress: live.length === 0 ? 1 : doneMs + leftMs > 0 ? doneMs / (doneMs + leftMs) : 0,
    submittedAt: rows[0]?.submittedAt ?? 0,
    ...(live.length > 0 ? {} : { finishedAt }),
    ...(outlook.eta === undefined || live.length === 0 ? {} : { eta: outlook.eta }),
    alarms: [...outlook.alarms]
  }
}
