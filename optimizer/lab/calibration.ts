/**
 * How good an estimator's predictions are, prequentially: each task is predicted when it becomes ready, and the
 * estimator hears of it only when it has finished, both in the order of a simulated run. Instant feedback would make
 * errors look two to three times too small.
 */
import { nodeId } from '../../base/ids.ts'
import type { ClassKey, Estimator } from '../estimate.ts'
import { EventHeap } from '../sim/event-heap.ts'
import { LiveTask } from '../sim/view.ts'
import type { SimResult } from '../sim/types.ts'

/** The quality of an estimator's predictions on one run. */
export interface Calibration {
  readonly estimator: string
  readonly predictions: number
  /** Mean absolute error of ln(run time), by the predicted median. */
  readonly maeLn: number
  /** Share of run times at or below the predicted p90 and p99. */
  readonly coverage90: number
  readonly coverage99: number
  /** Share of run times at or below each of `LEVELS`: the diagonal is perfect. */
  readonly reliability: readonly (readonly [level: number, observed: number])[]
  /** Classes that were told apart. */
  readonly classes: number
}

const LEVELS = [0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99] as const

interface Forecast {
  readonly medianMs: number
  readonly quantilesMs: readonly number[]
}

/** Replays the run's arrivals and completions past a fresh estimator. */
export function calibrate(result: SimResult, estimator: Estimator): Calibration {
  const tasks = result.workload.tasks.map(
    (task, index) => new LiveTask(task, result.workload.dependents[index] ?? [])
  )
  const events = new EventHeap<{ readonly index: number; readonly ready: boolean }>()
  result.finishedAt.forEach((finished, index) => {
    if (finished < 0) return
    events.push(result.readyAt[index] ?? 0, { index, ready: true })
    events.push(finished, { index, ready: false })
  })
  const forecasts = new Map<number, Forecast>()
  const classes = new Set<ClassKey>()
  const below = LEVELS.map(() => 0)
  let count = 0
  let error = 0
  for (let event = events.pop(); event !== undefined; event = events.pop()) {
    const { index, ready } = event
    const task = tasks[index]
    if (task === undefined) continue
    if (ready) {
      classes.add(estimator.classOf(task))
      forecasts.set(index, forecast(estimator, task))
      continue
    }
    const runMs = Math.max(1, (result.finishedAt[index] ?? 0) - (result.startedAt[index] ?? 0))
    const made = forecasts.get(index)
    if (made !== undefined) {
      count++
      error += Math.abs(Math.log(runMs) - Math.log(made.medianMs))
      made.quantilesMs.forEach((ms, level) => {
        if (runMs <= ms) below[level] = (below[level] ?? 0) + 1
      })
    }
    estimator.observe({
      task,
      node: nodeId(result.node[index] ?? 0),
      end: 'succeeded',
      runMs,
      peakMemoryBytes: task.spec.peakMemoryBytes
    })
  }
  const share = (level: number): number => (below[LEVELS.indexOf(level as 0.9)] ?? 0) / Math.max(1, count)
  return {
    estimator: estimator.name,
    predictions: count,
    maeLn: error / Math.max(1, count),
    coverage90: share(0.9),
    coverage99: share(0.99),
    reliability: LEVELS.map((level) => [level, share(level)] as const),
    classes: classes.size
  }
}

function forecast(estimator: Estimator, task: LiveTask): Forecast {
  const prediction = estimator.predict(task)
  return {
    medianMs: prediction.medianMs,
    quantilesMs: LEVELS.map((level) => prediction.quantileMs(level))
  }
}
