/** Small workloads and clusters for tests of the simulator and of policies. */
import fc from 'fast-check'
import { nodeId, taskId } from '../../base/ids.ts'
import type { ClusterView, Policy } from '../../scheduler/policy.ts'
import { simulate } from '../../optimizer/sim/engine.ts'
import { fixedRunTimes } from '../../optimizer/sim/run-models.ts'
import { compileWorkload } from '../../optimizer/sim/workload.ts'
import type { SimNode, SimOptions, SimResult, SimTask, Workload } from '../../optimizer/sim/types.ts'

/** What a test says of a task; times in milliseconds. */
export interface TaskSketch {
  readonly work: number
  readonly at?: number
  readonly cpu?: number
  readonly needs?: readonly number[]
  readonly group?: number
  readonly name?: string
  readonly tenant?: string
  readonly limit?: number
  readonly inputBytes?: number
  readonly priority?: number
  readonly idempotent?: boolean
  readonly selector?: Readonly<Record<string, string>>
  readonly resources?: Readonly<Record<string, number>>
}

/** A workload of these tasks, numbered from 1. Without a group each task is its own. */
export function workloadOf(sketches: readonly TaskSketch[]): Workload {
  return compileWorkload('test', sketches.map(taskOf))
}

export function taskOf(sketch: TaskSketch, index: number): SimTask {
  return {
    id: taskId(index + 1),
    name: sketch.name ?? 'task',
    tenant: sketch.tenant ?? 'tenant',
    priority: sketch.priority ?? 0,
    resources: sketch.resources ?? (sketch.cpu === undefined ? {} : { cpu: sketch.cpu }),
    nodeSelector: sketch.selector ?? {},
    inputBytes: sketch.inputBytes ?? 0,
    limitMs: sketch.limit ?? 0,
    submittedAt: sketch.at ?? 0,
    idempotent: sketch.idempotent ?? false,
    needs: (sketch.needs ?? []).map(taskId),
    transferBytes: [],
    group: taskId(sketch.group ?? index + 1),
    workMs: sketch.work,
    kind: 'cpu',
    peakMemoryBytes: 0
  }
}

/** Nodes of one slot with these speeds. */
export function nodesOf(speeds: readonly number[], slots = 1): SimNode[] {
  return speeds.map((speed, index) => ({
    id: nodeId(index + 1),
    labels: {},
    zone: '',
    profile: '',
    slots,
    resources: {},
    speeds: { cpu: speed }
  }))
}

/** One machine of so many processors, as logs of parallel machines are replayed on. */
export function machineOf(processors: number): SimNode[] {
  const [node] = nodesOf([1], processors)
  return node === undefined ? [] : [{ ...node, resources: { cpu: processors } }]
}

export function runPolicy(
  sketches: readonly TaskSketch[],
  cluster: readonly SimNode[],
  policy: Policy,
  options: Partial<SimOptions> = {}
): SimResult {
  return simulate(workloadOf(sketches), cluster, policy, { model: fixedRunTimes(), record: true, ...options })
}

/** Start times by task. */
export function starts(result: SimResult): number[] {
  return Array.from(result.startedAt)
}

/** The task that each attempt ran, in order of placement. */
export function placed(result: SimResult): number[] {
  return [...result.attempts]
    .sort((a, b) => a.placedAt - b.placedAt || a.task - b.task)
    .map(({ task }) => task)
}

/** Random workloads: rising arrivals, dependencies only backwards, widths that fit `processors`. */
export function sketches(processors: number): fc.Arbitrary<TaskSketch[]> {
  const one = fc.record({
    work: fc.integer({ min: 1, max: 1000 }),
    gap: fc.integer({ min: 0, max: 300 }),
    cpu: fc.integer({ min: 1, max: processors }),
    limit: fc.integer({ min: 1, max: 3000 }),
    needs: fc.array(fc.integer({ min: 1, max: 6 }), { maxLength: 2 }),
    tenant: fc.constantFrom('a', 'b', 'c')
  })
  return fc.array(one, { minLength: 1, maxLength: 40 }).map((drafts) => {
    let at = 0
    return drafts.map(({ work, gap, cpu, limit, needs, tenant }, index) => {
      at += gap
      const back = [...new Set(needs.map((steps) => index + 1 - steps).filter((id) => id >= 1))]
      return { work, at, cpu, limit, tenant, needs: back, group: 1 }
    })
  })
}

/** The policy itself, of which every wish to be woken goes through `wish`. */
export function wishing(
  policy: Policy,
  wish: (at: number | undefined, now: number) => number | undefined
): Policy {
  const own = policy.wakeAt?.bind(policy)
  return Object.assign(policy, {
    wakeAt: (view: ClusterView) => wish(own?.(view), view.now)
  })
}
