/**
 * Lists tasks, newest first: live ones from memory, ended ones from the history rows of the store.
 *
 * A listing is a merge of two sources by falling id. Each call looks at a bounded number of rows, so that a rare filter
 * costs the caller another page rather than the node its breath.
 */
import type { KnownTaskRecord, TaskQuery, TaskRecordPage } from '../../api/ports.ts'
import { taskId, type TaskId } from '../../base/ids.ts'
import type { NodeRuntime } from '../../runtime/node-runtime.ts'
import { HISTORY_ROWS, historyKey } from '../../scheduler/keys.ts'
import { decodeHistory } from '../../scheduler/records.ts'
import type { HistoryRow, Task, TaskStatus } from '../../scheduler/types.ts'

/** Rows looked at for one page. */
const SCAN_ROWS = 5_000
const utf8 = new TextEncoder()

export async function listTasks(runtime: NodeRuntime, query: TaskQuery): Promise<TaskRecordPage> {
  const before = query.before ?? runtime.state.nextTaskId
  const wants = new Set<TaskStatus>(query.statuses)
  const matches = (status: TaskStatus, name: string): boolean =>
    (wants.size === 0 || wants.has(status)) && (query.name === undefined || query.name === name)
  const live = liveBelow(runtime, before).filter((task) => matches(task.status, task.spec.name))
  const wantsEnded = wants.size === 0 || [...wants].some((status) => ENDED.has(status))
  const ended = wantsEnded
    ? await endedBelow(runtime, before, query.limit, (row) => matches(row.status, row.spec.name))
    : NOTHING_ENDED
  return merge(live, ended, query.limit)
}

const ENDED: ReadonlySet<TaskStatus> = new Set(['succeeded', 'failed', 'cancelled', 'skipped'])

interface EndedRows {
  readonly rows: readonly HistoryRow[]
  /** The lowest id that was looked at when the scan stopped early; undefined when it reached the end. */
  readonly stoppedAt: TaskId | undefined
}

const NOTHING_ENDED: EndedRows = { rows: [], stoppedAt: undefined }

function liveBelow(runtime: NodeRuntime, before: TaskId): Task[] {
  const live: Task[] = []
  for (const task of runtime.state.tasks.values()) if (task.id < before) live.push(task)
  return live.reverse()
}

async function endedBelow(
  runtime: NodeRuntime,
  before: TaskId,
  limit: number,
  matches: (row: HistoryRow) => boolean
): Promise<EndedRows> {
  // Rows of the last moments are on their way to the store; a listing shows them too.
  await runtime.flush()
  const rows: HistoryRow[] = []
  const range = {
    gte: utf8.encode(HISTORY_ROWS.gte),
    lt: utf8.encode(historyKey(before)),
    reverse: true,
    limit: SCAN_ROWS
  }
  let scanned = 0
  let last = before
  for await (const [, value] of runtime.store.iterate(range)) {
    const row = decodeHistory(value)
    scanned += 1
    last = row.id
    if (matches(row)) rows.push(row)
    if (rows.length > limit) return { rows, stoppedAt: last }
  }
  return { rows, stoppedAt: scanned === SCAN_ROWS ? last : undefined }
}

function merge(live: readonly Task[], ended: EndedRows, limit: number): TaskRecordPage {
  const floor = ended.stoppedAt ?? taskId(0)
  const all: { readonly id: TaskId; readonly record: KnownTaskRecord }[] = [
    ...live
      .filter((task) => task.id >= floor)
      .map((task) => ({ id: task.id, record: { kind: 'live', task } as const })),
    ...ended.rows.map((row) => ({ id: row.id, record: { kind: 'ended', row } as const }))
  ]
  all.sort((a, b) => b.id - a.id)
  const page = all.slice(0, limit)
  const lastId = page.at(-1)?.id
  const moreHere = all.length > limit
  const next = moreHere ? lastId : ended.stoppedAt
  return { records: page.map(({ record }) => record), next }
}
