/**
 * Attempts that have run far longer than their class ever does, judged by the predicted 99th percentile.
 *
 * A factor of 2 above p99 and a floor keep the alarm quiet for short tasks and for classes that are hardly known: where an
 * estimator knows little its p99 is far away. The user's own timeout, where there is one, ends the attempt anyhow; an alarm
 * before it is still worth having.
 */
import type { Prediction } from '../estimate.ts'

const MARGIN = 2
const FLOOR_MS = 10_000

/** From which run time on an attempt counts as stuck, in milliseconds. */
export function stuckAfterMs(prediction: Prediction): number {
  return Math.max(FLOOR_MS, MARGIN * prediction.quantileMs(0.99))
}
