/** A made-up history of a cluster: classes with their own run times, on nodes of their own speeds. */
import { nodeId, taskId } from '../../../../base/ids.ts'
import { createRng } from '../../../../base/prng.ts'
import { timestampMs } from '../../../../base/units.ts'
import type { ArrivedTask, FinishedTask } from '../../../../optimizer/guard/history.ts'
import type { NodeFacts } from '../../../../optimizer/guard/replay.ts'
import type { UnendedTask } from '../../../../optimizer/guard/unended.ts'

export function nodeFacts(id: number, changes: Partial<NodeFacts> = {}): NodeFacts {
  return {
    id: nodeId(id),
    labels: {},
    zone: '',
    profile: 'any',
    slots: 2,
    resources: {},
    executors: ['shell'],
    handlers: [],
    ...changes
  }
}

function arrived(id: number): ArrivedTask {
  const at = timestampMs(1_000_000 + id * 10)
  return {
    id: taskId(id),
    group: taskId(id),
    name: 'a',
    tenant: 'default',
    executor: 'shell',
    handler: '',
    priority: 0,
    resources: {},
    nodeSelector: {},
    inputBytes: 0,
    limitMs: 0,
    idempotent: false,
    needs: [],
    submittedAt: at,
    arrivedAt: at,
    readyAt: at
  }
}

export function finished(id: number, changes: Partial<FinishedTask> = {}): FinishedTask {
  const task = arrived(id)
  return {
    ...task,
    finishedAt: timestampMs(task.arrivedAt + 100),
    node: nodeId(1),
    runMs: 100,
    peakMemoryBytes: 0,
    succeeded: true,
    ...changes
  }
}

/** One that waits. */
export function unended(id: number, changes: Partial<UnendedTask> = {}): UnendedTask {
  return { ...arrived(id), running: undefined, ...changes }
}

/** Short and long classes that arrive faster than two slots can run them, so that their order matters. */
export function busyHistory(count: number, seed = 1): FinishedTask[] {
  const rng = createRng(seed)
  return Array.from({ length: count }, (_, index) => {
    const long = rng.nextFloat() < 0.2
    const runMs = Math.round((long ? 5_000 : 100) * (0.5 + rng.nextFloat()))
    return finished(index + 1, {
      name: long ? 'long' : 'short',
      runMs,
      arrivedAt: timestampMs(1_000_000 + index * 500)
    })
  })
}
