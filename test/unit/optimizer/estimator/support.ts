/** Tasks, nodes and completions for tests of estimators. */
import { nodeId, taskId } from '../../../../base/ids.ts'
import { timestampMs } from '../../../../base/units.ts'
import type { AttemptFeedback, NodeView, TaskView } from '../../../../scheduler/policy.ts'
import type { AttemptEnd } from '../../../../scheduler/events.ts'

/** A task with this much said of it. */
export function task(id: number, said: Partial<TaskView> = {}): TaskView {
  return {
    id: taskId(id),
    name: 'resize',
    tenant: 'ann',
    executor: 'shell',
    handler: '',
    priority: 0,
    resources: { cpu: 1000 },
    nodeSelector: {},
    inputBytes: 0,
    limitMs: 0,
    submittedAt: timestampMs(0),
    readyAt: timestampMs(0),
    attempts: 0,
    idempotent: false,
    deadlineAt: timestampMs(0),
    lastFailedOn: undefined,
    lastErrorCode: undefined,
    needs: [],
    dependents: [],
    group: taskId(id),
    ...said
  }
}

/** A node of this profile. */
export function node(id: number, profile = 'plain'): NodeView {
  return {
    id: nodeId(id),
    labels: {},
    zone: '',
    profile,
    slots: 1,
    freeSlots: 1,
    resources: {},
    free: () => Infinity
  }
}

/** The end of an attempt of `of` after `runMs`. */
export function ended(
  of: TaskView,
  runMs: number,
  {
    end = 'succeeded',
    on = 1,
    peakMemoryBytes = 0
  }: { end?: AttemptEnd; on?: number; peakMemoryBytes?: number } = {}
): AttemptFeedback {
  return { task: of, node: nodeId(on), end, runMs, peakMemoryBytes }
}
