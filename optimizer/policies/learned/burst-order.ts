/**
 * The order of bursts: larger `priority` first, then least predicted area (run time × width), which is Smith's rule for unit weights. The run
 * time of a task lies between its burst's median and mean (`bursts.ts`).
 *
 * Probing: of a burst of which nothing is known, one task goes ahead at an optimistic prediction (more so the more siblings wait for what it
 * shows), and while it runs the others wait at a pessimistic one. That is the shape of the Gittins index of an arm with many pulls left
 * (Gittins, Glazebrook & Weber, "Multi-armed Bandit Allocation Indices", ch. 2).
 */
import type { Burst, BurstEstimate } from './bursts.ts'

/** Deviations of a burst's mean by which a probe is taken to be shorter: this much per e-fold of siblings, and at most that much. */
const OPTIMISM = 0.5
const MOST_OPTIMISM = 1.5
/** Deviations by which the siblings of a running probe are taken to be longer. */
const PESSIMISM = 1
/** Of the way from the median to the mean: means order completion times best, medians slowdowns, and neither is known well. */
const MEAN_SHARE = 0.5
/** Keeps priorities apart: ln(area) lies within ±100. */
const PRIORITY_STEP = 1000

/** Bursts are served by rising scores. */
export function scoreOf(burst: Burst, { ln, lnError, meanMs }: BurstEstimate): number {
  const middleLn = ln + MEAN_SHARE * (Math.log(meanMs) - ln)
  return middleLn + lnError * tilt(burst) + Math.log(burst.width) - PRIORITY_STEP * burst.priority
}

/** The area, in slot-milliseconds, by which a task of this priority has the score. */
export function areaOf(score: number, priority: number): number {
  return Math.exp(score + PRIORITY_STEP * priority)
}

/** By how many deviations the burst's next task is taken to be longer than expected. */
function tilt({ completions, running, waiting }: Burst): number {
  if (completions > 0) return 0
  return running.size > 0 ? PESSIMISM : -Math.min(MOST_OPTIMISM, OPTIMISM * Math.log(Math.max(1, waiting)))
}
