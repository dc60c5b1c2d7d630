/** The predictors whose calibration a report shows. */
import { createLearnedEstimator } from '../../../optimizer/estimator/learned.ts'
import { calibrate } from '../../../optimizer/lab/calibration.ts'
import type { Calibration } from '../../../optimizer/lab/calibration.ts'
import type { Run } from '../../../optimizer/lab/protocol.ts'
import { lastTwo, runningMean, userLimit } from '../../../optimizer/policies/predictors.ts'

/** More take minutes, long after the last run, and say no more. */
const MOST_TASKS = 50_000

/** On the completions of the first tasks of one run, without a network; the first is what nodes predict with. */
export function calibratePredictors(run: Run): Calibration[] {
  const limits = run.instance.workload.tasks.some((task) => task.limitMs > 0) ? [userLimit()] : []
  return [createLearnedEstimator({ rows: false }), lastTwo(), runningMean(), ...limits].map((estimator) =>
    calibrate(run.result, estimator, [], MOST_TASKS)
  )
}
