/**
 * A task that stands for its class: what estimators look at, copied, since views are not to be kept and a cluster forgets tasks that have
 * ended. It counts as one that has run, so an answer about it is no promise to anybody; nothing depends on it.
 */
import type { TaskView } from '../../scheduler/policy.ts'

export function sampleOf(task: TaskView): TaskView {
  const { id, name, tenant, executor, handler, priority, inputBytes, limitMs } = task
  const { submittedAt, readyAt, attempts, idempotent, deadlineAt, group } = task
  return {
    ...{ id, name, tenant, executor, handler, priority, inputBytes, limitMs },
    ...{ submittedAt, readyAt, idempotent, deadlineAt, group },
    attempts: Math.max(1, attempts),
    resources: { ...task.resources },
    nodeSelector: { ...task.nodeSelector },
    lastFailedOn: undefined,
    lastErrorCode: undefined,
    needs: [],
    dependents: []
  }
}
