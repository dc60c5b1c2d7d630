/**
 * Has policies' code compiled before it is timed: a leader decides for weeks, and its first thousand decisions cost several times what
 * later ones do. Nothing else comes of it; every measured run starts afresh.
 */
import { createRng } from '../../base/prng.ts'
import type { Policy } from '../../scheduler/policy.ts'
import { simulate } from '../sim/engine.ts'
import type { SimResult, Workload } from '../sim/types.ts'
import { compileWorkload } from '../sim/workload.ts'
import type { PolicyEntry } from './catalog.ts'
import { RunPolicies } from './continued.ts'
import type { Instance, Trace } from './trace.ts'

/** Apart from the seeds that are measured. */
const SEED = 1_000_003

export interface WarmUpOptions {
  readonly policies: readonly PolicyEntry[]
  readonly load: number | undefined
  /** Tasks that each policy ends, of instances that are not measured: again and again where these have fewer. */
  readonly tasks: number
  /** What measured runs read; in microseconds. */
  readonly clockUs: () => number
}

/** Has each policy end so many tasks of the trace. */
export function warmUp(trace: Trace, { policies, load, tasks, clockUs }: WarmUpOptions): void {
  if (tasks <= 0) return
  for (const entry of policies) {
    const runPolicies = new RunPolicies(trace)
    let left = tasks
    while (left > 0) {
      const before = left
      for (const whole of trace.instances(SEED, load ?? trace.defaultLoad)) {
        const instance = { ...whole, workload: beginningOf(whole.workload, left) }
        left -= instance.workload.tasks.length
        const policy = runPolicies.of(entry, instance, createRng(SEED))
        runPolicies.runEnded(entry, runOf(policy, instance, clockUs))
        if (left <= 0) break
      }
      // Of nothing there is nothing to end.
      if (left === before) return
    }
  }
}

function runOf(policy: Policy, instance: Instance, clockUs: () => number): SimResult {
  return simulate(instance.workload, instance.cluster, policy, {
    model: instance.model(),
    outages: instance.outages,
    clockUs
  })
}

/** The first tasks of the workload and whatever more these need; all of it where that is not a beginning. */
function beginningOf(workload: Workload, most: number): Workload {
  let end = Math.min(most, workload.tasks.length)
  for (let index = 0; index < end; index++) {
    for (const need of workload.tasks[index]?.needs ?? []) end = Math.max(end, need)
  }
  return end === workload.tasks.length
    ? workload
    : compileWorkload(workload.name, workload.tasks.slice(0, end))
}
