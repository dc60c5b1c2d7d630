/** Tasks as the API shows them: from a live task or a history row to the shapes of `base/wire/task-reply.ts`. Pure. */
import { formatTaskId } from '../base/ids.ts'
import type { Eta } from '../base/wire/forecast.ts'
import type { HistoryTask } from '../base/wire/history.ts'
import type {
  TaskResultReply,
  TaskStatusReply,
  TaskSummary,
  TaskView,
  WireTaskError
} from '../base/wire/task-reply.ts'
import type { HistoryRow, Placement, StoredSpec, Task, TaskStatus } from '../scheduler/types.ts'
import type { KnownTaskRecord, TaskContents, TaskOutlook } from './ports.ts'

const decoder = new TextDecoder()

export function statusOf(record: KnownTaskRecord): TaskStatus {
  return record.kind === 'live' ? record.task.status : record.row.status
}

/** The value of UTF-8 JSON; undefined for no bytes. */
function parsed(bytes: Uint8Array): unknown {
  return bytes.length === 0 ? undefined : JSON.parse(decoder.decode(bytes))
}

/** Spreads to nothing when the value is absent: 0 for a time, undefined for the rest. */
function present<K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } {
  return value === undefined || value === 0 ? {} : ({ [key]: value } as { [P in K]?: V })
}

/** A task in short. */
export function summaryOf(record: KnownTaskRecord, eta?: Eta): TaskSummary {
  if (record.kind === 'ended') return endedSummary(record.row)
  return { ...liveSummary(record.task), ...present('eta', eta) }
}

function liveSummary(task: Task): TaskSummary {
  const { placement } = task
  return {
    ...commonSummary(task.spec),
    id: formatTaskId(task.id),
    status: task.status,
    group: formatTaskId(task.group),
    attempts: task.attempts,
    submittedAt: task.submittedAt,
    ...present('node', placement?.node),
    ...present('readyAt', task.readyAt),
    ...present('startedAt', placement?.startedAt),
    ...present('error', errorOf(task.lastError))
  }
}

function endedSummary(row: HistoryRow): TaskSummary {
  return {
    ...commonSummary(row.spec),
    id: formatTaskId(row.id),
    status: row.status,
    group: formatTaskId(row.group),
    attempts: row.attempts,
    submittedAt: row.submittedAt,
    finishedAt: row.finishedAt,
    ...present('node', row.node),
    ...present('readyAt', row.readyAt),
    ...present('startedAt', row.startedAt),
    ...(row.startedAt === 0 ? {} : { runMs: row.runMs }),
    ...present('error', errorOf(row.error))
  }
}

function commonSummary(
  spec: StoredSpec
): Pick<TaskSummary, 'name' | 'tenant' | 'executor' | 'handler' | 'priority'> {
  const { name, tenant, executor, handler, priority } = spec
  return { name, tenant, executor, priority, ...(handler === '' ? {} : { handler }) }
}

function errorOf(error: WireTaskError | undefined): WireTaskError | undefined {
  return error === undefined
    ? undefined
    : { code: error.code, message: error.message, retryable: error.retryable }
}

/** A task in full, with what is expected of it while it is live. */
export function viewOf(record: KnownTaskRecord, contents: TaskContents, outlook?: TaskOutlook): TaskView {
  if (record.kind === 'live') {
    const { task } = record
    return {
      ...liveSummary(task),
      ...specFields(task.spec, contents),
      waitingOn: task.waitingOn,
      ...present('notBefore', task.notBefore),
      ...present('placement', task.placement === undefined ? undefined : placementOf(task.placement)),
      ...present('fencingToken', task.placement?.token),
      ...present('copy', task.copy === undefined ? undefined : placementOf(task.copy)),
      ...(outlook === undefined ? {} : { ...outlook, alarms: [...outlook.alarms] })
    }
  }
  const { row } = record
  const result = parsed(contents.result)
  return {
    ...endedSummary(row),
    ...specFields(row.spec, contents),
    ...(result === undefined ? {} : { result }),
    ...present('notBefore', row.spec.notBefore),
    ...present('fencingToken', row.token),
    ...present('peakMemoryBytes', row.peakMemoryBytes)
  }
}

type SpecFields = Omit<
  TaskView,
  | keyof TaskSummary
  | 'placement'
  | 'copy'
  | 'fencingToken'
  | 'waitingOn'
  | 'result'
  | 'notBefore'
  | 'predicted'
  | 'alarms'
>

function specFields(spec: StoredSpec, contents: TaskContents): SpecFields {
  const input = parsed(contents.input)
  return {
    ...(parsed(spec.params) as Pick<TaskView, 'command' | 'env' | 'workingDirectory'> | undefined),
    ...(input === undefined ? {} : { input }),
    needs: spec.needs.map((need) => ({ id: formatTaskId(need.id), as: need.as })),
    resources: spec.resources,
    nodeSelector: spec.nodeSelector,
    retry: { ...spec.retry },
    timeouts: { scheduleToStartMs: spec.scheduleToStartMs, startToCloseMs: spec.startToCloseMs },
    killGraceMs: spec.killGraceMs,
    delivery: spec.delivery,
    idempotent: spec.idempotent,
    onLeaseLoss: spec.onLeaseLoss,
    isolation: spec.isolation,
    ...present('deadlineAt', spec.deadlineAt)
  }
}

function placementOf(placement: Placement): NonNullable<TaskView['placement']> {
  return {
    node: placement.node,
    incarnation: placement.incarnation,
    fencingToken: placement.token,
    attempt: placement.attempt,
    placedAt: placement.placedAt,
    ...present('startedAt', placement.startedAt),
    ...present('stopReason', placement.stopReason)
  }
}

/** How far a task is. */
export function statusReplyOf(record: KnownTaskRecord, eta?: Eta): TaskStatusReply {
  const live = record.kind === 'live'
  const { id, spec, status, attempts } = live ? record.task : record.row
  return {
    id: formatTaskId(id),
    name: spec.name,
    status,
    terminal: !live,
    attempts,
    ...present('node', live ? record.task.placement?.node : record.row.node),
    ...present('error', errorOf(live ? record.task.lastError : record.row.error)),
    ...present('eta', live ? eta : undefined)
  }
}

/** What came of a task that has ended. */
export function resultReplyOf(row: HistoryRow, contents: TaskContents): TaskResultReply {
  const result = parsed(contents.result)
  return {
    id: formatTaskId(row.id),
    status: row.status,
    ...(result === undefined ? {} : { result }),
    ...present('error', errorOf(row.error))
  }
}

/** An ended task as an export of history shows it. */
export function historyTaskOf(row: HistoryRow): HistoryTask {
  const { spec } = row
  return {
    id: formatTaskId(row.id),
    group: formatTaskId(row.group),
    name: spec.name,
    tenant: spec.tenant,
    executor: spec.executor,
    ...present('handler', spec.handler === '' ? undefined : spec.handler),
    priority: spec.priority,
    resources: spec.resources,
    nodeSelector: spec.nodeSelector,
    needs: spec.needs.map((need) => formatTaskId(need.id)),
    inputBytes: 'sizeBytes' in spec.input ? spec.input.sizeBytes : spec.input.length,
    limitMs: spec.startToCloseMs,
    idempotent: spec.idempotent,
    status: row.status,
    attempts: row.attempts,
    submittedAt: row.submittedAt,
    ...present('notBefore', spec.notBefore),
    ...present('readyAt', row.readyAt),
    ...present('startedAt', row.startedAt),
    finishedAt: row.finishedAt,
    ...present('deadlineAt', spec.deadlineAt),
    ...present('node', row.node),
    runMs: row.runMs,
    peakMemoryBytes: row.peakMemoryBytes
  }
}
