/**
 * What the guard remembers of ended tasks: enough to run them again in the simulator. Of tasks that have not ended it
 * remembers nothing: they are looked up when a replay is asked for (`unended.ts`).
 *
 * 1. It holds the newest `capacity` tasks in the order in which they ended; older ones are forgotten.
 * 2. Entries are plain data, so that a thread can be given them.
 */
import type { NodeId, TaskId } from '../../base/ids.ts'
import type { TimestampMs } from '../../base/units.ts'
import { timestampMs } from '../../base/units.ts'
import type { AttemptFeedback, TaskView } from '../../scheduler/policy.ts'
import type { HistoryRow, Labels, Resources } from '../../scheduler/types.ts'

/** A task that has arrived, as it is known before it runs. */
export interface ArrivedTask {
  readonly id: TaskId
  readonly group: TaskId
  readonly name: string
  readonly tenant: string
  readonly executor: string
  readonly handler: string
  readonly priority: number
  readonly resources: Resources
  readonly nodeSelector: Labels
  readonly inputBytes: number
  /** What its user says an attempt takes at most, in milliseconds; 0 when unsaid. */
  readonly limitMs: number
  readonly idempotent: boolean
  readonly needs: readonly TaskId[]
  readonly submittedAt: TimestampMs
  /** When it could have been placed at the earliest, but for its needs. */
  readonly arrivedAt: TimestampMs
  /** When it last became ready; 0 before. */
  readonly readyAt: TimestampMs
}

/** An ended task that ran. */
export interface FinishedTask extends ArrivedTask {
  readonly finishedAt: TimestampMs
  /** Where its last attempt ran, and for how long. */
  readonly node: NodeId
  readonly runMs: number
  readonly peakMemoryBytes: number
  readonly succeeded: boolean
}

/** The row as the guard keeps it; undefined when the task never ran, or how long is not known. */
export function finishedTask(row: HistoryRow): FinishedTask | undefined {
  const { node, runMs, status } = row
  if (node === undefined || (status !== 'succeeded' && status !== 'failed') || row.startedAt === 0)
    return undefined
  return {
    ...arrivedTask(row),
    finishedAt: row.finishedAt,
    node,
    runMs,
    peakMemoryBytes: row.peakMemoryBytes,
    succeeded: status === 'succeeded'
  }
}

/** What of a row, or of a task in state, was known before it ran. */
export function arrivedTask({
  id,
  group,
  spec,
  submittedAt,
  readyAt
}: Pick<HistoryRow, 'id' | 'group' | 'spec' | 'submittedAt' | 'readyAt'>): ArrivedTask {
  const { name, tenant, executor, handler, priority, resources, nodeSelector, idempotent } = spec
  return {
    ...{ id, group, name, tenant, executor, handler, priority, resources, nodeSelector, idempotent },
    inputBytes: 'sizeBytes' in spec.input ? spec.input.sizeBytes : spec.input.length,
    limitMs: spec.startToCloseMs,
    needs: spec.needs.map((need) => need.id),
    submittedAt,
    arrivedAt: arrivalOf(submittedAt, spec),
    readyAt
  }
}

/** When it could have been placed at the earliest, but for its needs. */
export function arrivalOf(submittedAt: TimestampMs, { notBefore }: HistoryRow['spec']): TimestampMs {
  return notBefore > submittedAt ? notBefore : submittedAt
}

/** The same of a task as policies see it; for histories of simulations. */
export function arrivedView(task: TaskView): ArrivedTask {
  const { id, group, name, tenant, executor, handler, priority, resources, nodeSelector } = task
  const { inputBytes, limitMs, idempotent, needs, submittedAt, readyAt } = task
  return {
    ...{ id, group, name, tenant, executor, handler, priority, resources, nodeSelector },
    ...{ inputBytes, limitMs, idempotent, needs, submittedAt, arrivedAt: submittedAt, readyAt }
  }
}

/** A task that policies saw to its end, and how its last attempt ended; for histories of simulations. */
export function finishedView(task: TaskView, last: AttemptFeedback, finishedAt: TimestampMs): FinishedTask {
  return {
    ...arrivedView(task),
    finishedAt,
    node: last.node,
    runMs: last.runMs,
    peakMemoryBytes: last.peakMemoryBytes,
    succeeded: last.end === 'succeeded'
  }
}

/** One moment of a history: the last attempt of a task began, or ended. */
export interface Moment {
  readonly task: FinishedTask
  /** In state time. */
  readonly at: number
  readonly ended: boolean
}

/** Beginnings and ends in the order of time, so that what learns meets them as it would have. */
export function momentsOf(tasks: readonly FinishedTask[]): Moment[] {
  const moments = tasks.flatMap((task): Moment[] => [
    { task, at: task.finishedAt - task.runMs, ended: false },
    { task, at: task.finishedAt, ended: true }
  ])
  // A beginning comes before an end of its time, so that no task ends before it begins.
  return moments.sort((a, b) => a.at - b.at || Number(a.ended) - Number(b.ended) || a.task.id - b.task.id)
}

/** What an estimator would have been told when the task's last attempt ended. */
export function feedbackOf(task: FinishedTask): AttemptFeedback {
  return {
    task: viewOf(task),
    node: task.node,
    end: task.succeeded ? 'succeeded' : 'failed',
    runMs: task.runMs,
    peakMemoryBytes: task.peakMemoryBytes
  }
}

/** The task as policies saw it when it was placed. */
export function viewOf(task: FinishedTask): TaskView {
  return {
    id: task.id,
    group: task.group,
    name: task.name,
    tenant: task.tenant,
    executor: task.executor,
    handler: task.handler,
    priority: task.priority,
    resources: task.resources,
    nodeSelector: task.nodeSelector,
    inputBytes: task.inputBytes,
    limitMs: task.limitMs,
    submittedAt: task.submittedAt,
    readyAt: task.readyAt,
    attempts: 1,
    idempotent: task.idempotent,
    deadlineAt: timestampMs(0),
    lastFailedOn: undefined,
    lastErrorCode: undefined,
    needs: task.needs,
    dependents: []
  }
}

/** Tasks of a history by when they arrived. */
export interface ByArrival {
  /** The tasks that arrived last, in order of arrival. */
  readonly newest: readonly FinishedTask[]
  /** Those of the others that had ended when the first of these arrived, in the order that they were given in. */
  readonly older: readonly FinishedTask[]
}

/**
 * The `count` ended tasks that arrived last, and what was known when they began to. By their ends the newest would be those
 * that a policy let end first, and tasks that had long waited would bring along the time in which they did. What arrived
 * before and ended later is in neither part: nobody knew yet what it would take.
 */
export function byArrival(tasks: readonly FinishedTask[], count: number): ByArrival {
  const sorted = [...tasks].sort((a, b) => a.arrivedAt - b.arrivedAt || a.id - b.id)
  const newest = sorted.slice(Math.max(0, sorted.length - count))
  const chosen = new Set(newest)
  const fromAt = newest[0]?.arrivedAt ?? Infinity
  return { newest, older: tasks.filter((task) => task.finishedAt <= fromAt && !chosen.has(task)) }
}

/** A ring of finished tasks. */
export class History {
  readonly #capacity: number
  readonly #tasks: FinishedTask[] = []
  #next = 0

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  get size(): number {
    return this.#tasks.length
  }

  add(task: FinishedTask): void {
    if (this.#tasks.length < this.#capacity) {
      this.#tasks.push(task)
      return
    }
    this.#tasks[this.#next] = task
    this.#next = (this.#next + 1) % this.#capacity
  }

  /** The newest `count`, oldest first. */
  newest(count: number): FinishedTask[] {
    const ordered = [...this.#tasks.slice(this.#next), ...this.#tasks.slice(0, this.#next)]
    return ordered.slice(Math.max(0, ordered.length - count))
  }
}
