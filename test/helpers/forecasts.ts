/** Sources of forecasts for tests, and estimators whose distributions are known exactly. */
import type { Estimator, Prediction } from '../../optimizer/estimate.ts'
import type { ForecastSource, RunningTask, WaitingTask } from '../../optimizer/advice/problem.ts'
import { LiveNode, LiveTask } from '../../optimizer/sim/view.ts'
import { taskId } from '../../base/ids.ts'
import type { TaskView } from '../../scheduler/policy.ts'
import { nodesOf, taskOf } from './workloads.ts'
import type { TaskSketch } from './workloads.ts'

/** A log-normal distribution, under a limit. */
export function logNormal(medianMs: number, sigma: number, limitMs = Infinity): Prediction {
  const quantileMs = (q: number): number => Math.min(limitMs, medianMs * Math.exp(sigma * probit(q)))
  return {
    meanMs: medianMs * Math.exp((sigma * sigma) / 2),
    medianMs,
    quantileMs,
    remainingMs: (elapsedMs) => Math.max(1, quantileMs(0.9) - elapsedMs),
    failureProbability: 0,
    memoryBytes: () => 0
  }
}

/** An estimator that knows each task's distribution. */
export function knowing(predictionOf: (task: TaskView) => Prediction): Estimator {
  return {
    name: 'knowing',
    classOf: (task) => task.name,
    predict: (task) => predictionOf(task),
    observe: () => undefined
  }
}

/** The present: tasks that run (since `at`, on node 1 and so on) and tasks that wait, on nodes of one slot each or more. */
export function sourceOf(
  running: readonly TaskSketch[],
  waiting: readonly TaskSketch[],
  { nodes = 1, slots = 1, now = 0 }: { nodes?: number; slots?: number; now?: number } = {}
): ForecastSource {
  const cluster = nodesOf(new Array<number>(nodes).fill(1), slots).map((node) => new LiveNode(node))
  const live = [...running, ...waiting].map((sketch, index) => {
    const task = new LiveTask(taskOf(sketch, index), [])
    task.readyAt = task.submittedAt
    return task
  })
  const attempts = running.map((sketch, index): RunningTask => {
    const node = cluster[index % nodes]!
    node.take({}, 1)
    return { task: live[index]!, node: node.id, since: sketch.at ?? 0 }
  })
  const waits = waiting.map((sketch, index): WaitingTask => ({
    task: live[running.length + index]!,
    waitsFor: (sketch.needs ?? []).map(taskId),
    notBefore: 0
  }))
  return { now, nodes: cluster, running: attempts, waiting: waits, eligible: () => true }
}

/** The normal quantile (Acklam's rational approximation; relative error below 1.2e-9). */
function probit(p: number): number {
  const a = [
    -39.69683028665376, 220.9460984245205, -275.9285104469687, 138.357751867269, -30.66479806614716,
    2.506628277459239
  ]
  const b = [-54.47609879822406, 161.5858368580409, -155.6989798598866, 66.80131188771972, -13.28068155288572]
  const c = [
    -0.007784894002430293, -0.3223964580411365, -2.400758277161838, -2.549732539343734, 4.374664141464968,
    2.938163982698783
  ]
  const d = [0.007784695709041462, 0.3224671290700398, 2.445134137142996, 3.754408661907416]
  const at = (coefficients: readonly number[], x: number): number =>
    coefficients.reduce((sum, coefficient) => sum * x + coefficient, 0)
  if (p < 0.02425) {
    const q = Math.sqrt(-2 * Math.log(p))
    return at(c, q) / (at(d, q) * q + 1)
  }
  if (p > 1 - 0.02425) return -probit(1 - p)
  const q = p - 0.5
  const r = q * q
  return (at(a, r) * q) / (at(b, r) * r + 1)
}
