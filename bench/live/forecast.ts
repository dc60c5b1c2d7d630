/** What the simulator says a replay will bring: the policies that nodes offer, on the same jobs and nodes. */
import { createRng } from '../../base/prng.ts'
import { OFFERED_POLICIES } from '../../node/optimizer/policies.ts'
import { createLearnedEstimator } from '../../optimizer/estimator/learned.ts'
import { simulate } from '../../optimizer/sim/engine.ts'
import type { RunModel } from '../../optimizer/sim/types.ts'
import type { Slice } from './slice.ts'

export const KNOWN_POLICIES: readonly string[] = OFFERED_POLICIES.map(({ name }) => name)

/**
 * Completion time by job, in milliseconds. `overheadMs` is what an attempt costs beside its work. Estimators begin
 * empty, as those of the cluster did.
 */
export function forecast(slice: Slice, policy: string, overheadMs: number): Float64Array {
  const offered = OFFERED_POLICIES.find(({ name }) => name === policy)
  if (offered === undefined) throw new RangeError(`no policy ${policy}`)
  const model: RunModel = {
    start: (task, _node, _context, plan) => {
      plan.setupMs = overheadMs
      plan.runMs = task.workMs
    }
  }
  const made = offered.factory(createLearnedEstimator(), true)(createRng(1))
  const result = simulate(slice.workload, slice.cluster, made, { model })
  return Float64Array.from(
    result.finishedAt,
    (finishedAt, index) => finishedAt - (slice.workload.tasks[index]?.submittedAt ?? 0)
  )
}
