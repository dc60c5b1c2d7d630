/**
 * A task that stands for its class: what estimators look at, copied, since views are not to be kept and a cluster forgets tasks that have
 * ended. It counts as one that has run, so an answer about it is no promise to anybody; nothing depends on it.
 */
import type { TaskView } from '../../scheduler/policy.ts'

export function sampleOf(task: TaskView): TaskView {
  return {
    id: task.id,
    name: task.name,
    tenant: task.tenant,
    executor: task.executor,
    handler: task.handler,
    priority: task.priority,
    resources: { ...task.resources },
    nodeSelector: { ...task.nodeSelector },
    inputBytes: task.inputBytes,
    limitMs: task.limitMs,
    submittedAt: task.submittedAt,
    readyAt: task.readyAt,
    attempts: Math.max(1, task.attempts),
    idempotent: task.idempotent,
    deadlineAt: task.deadlineAt,
    lastFailedOn: undefined,
    lastErrorCode: undefined,
    needs: [],
    dependents: [],
    group: task.group
  }
}
