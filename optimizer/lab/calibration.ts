/**
 * How good an estimator's predictions are, prequentially: each task is predicted when it becomes ready, and again when an attempt
 * of it starts; the estimator hears of it only when it has finished, all in the order of a simulated run. Instant feedback would
 * make errors look two to three times too small.
 */
import { nodeId } from '../../base/ids.ts'
import type { NodeView } from '../../scheduler/policy.ts'
import type { ClassKey, Estimator, Prediction } from '../estimate.ts'
import { EventHeap } from '../sim/event-heap.ts'
import { LiveTask } from '../sim/view.ts'
import type { SimNode, SimResult } from '../sim/types.ts'

/** Errors of one kind of prediction. */
interface Accuracy {
  /** Mean absolute error of ln(run time), by the predicted median. */
  readonly maeLn: number
  /** The same over the second half of the outcomes, when learners have learned. */
  readonly maeLnLater: number
  /** Mean pinball loss of ln(run time) at .5, .9 and .99. */
  readonly pinball: readonly [number, number, number]
  /** Share of run times at or below the predicted p90 and p99. */
  readonly coverage90: number
  readonly coverage99: number
  /** Largest distance of `reliability` from the diagonal: a Kolmogorov–Smirnov statistic on `LEVELS`. */
  readonly pitKs: number
  /** Share of run times at or below each of `LEVELS`: the diagonal is perfect. */
  readonly reliability: readonly (readonly [level: number, observed: number])[]
}

/** The quality of an estimator's predictions on one run: on becoming ready (the fields of `Accuracy`), and at the start. */
export interface Calibration extends Accuracy {
  readonly estimator: string
  readonly predictions: number
  /** Predictions for the node at the moment that the attempt starts there. */
  readonly atStart: Accuracy
  /** Classes that were told apart. */
  readonly classes: number
}

const LEVELS = [0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99] as const
const PINBALL = [0.5, 0.9, 0.99] as const

type Step = 'ended' | 'ready' | 'starts'

/**
 * Replays the run's arrivals, starts and completions past a fresh estimator. `cluster` tells the profiles of nodes, `most` to how many of the
 * first tasks this is kept.
 */
export function calibrate(
  result: SimResult,
  estimator: Estimator,
  cluster: readonly SimNode[] = [],
  most = Infinity
): Calibration {
  const tasks = result.workload.tasks.map(
    (task, index) => new LiveTask(task, result.workload.dependents[index] ?? [])
  )
  const nodes = new Map(cluster.map((node) => [node.id as number, viewOf(node.id, node.profile)]))
  const classes = new Set<ClassKey>()
  const ready = new Tally(tasks.length)
  const started = new Tally(tasks.length)
  for (const { at, index, step } of stepsOf(result, most)) {
    const task = tasks[index]
    if (task === undefined) continue
    const on = result.node[index] ?? 0
    const node = nodes.get(on) ?? viewOf(on, '')
    // Policies would score these classes anew; here only the moment counts.
    estimator.advance?.(at)
    if (step === 'ready') {
      classes.add(estimator.classOf(task))
      ready.predicted(index, estimator.predict(task))
    } else if (step === 'starts') {
      started.predicted(index, estimator.predict(task, node))
      estimator.placed?.(task, node, at)
    } else {
      const runMs = Math.max(1, at - (result.startedAt[index] ?? 0))
      ready.ended(index, runMs)
      started.ended(index, runMs)
      const peakMemoryBytes = result.workload.tasks[index]?.peakMemoryBytes ?? 0
      estimator.observe({ task, node: node.id, end: 'succeeded', runMs, peakMemoryBytes })
    }
  }
  return {
    estimator: estimator.name,
    predictions: ready.count,
    ...ready.accuracy(),
    atStart: started.accuracy(),
    classes: classes.size
  }
}

/** What happened, in order: at one moment ends come before what becomes ready, and that before what starts. */
function* stepsOf(
  result: SimResult,
  most: number
): Generator<{ readonly at: number; readonly index: number; readonly step: Step }> {
  const events = new EventHeap<{ readonly at: number; readonly index: number; readonly step: Step }>()
  const add = (step: Step, times: Float64Array): void => {
    times.forEach((at, index) => {
      if (index < most && (result.finishedAt[index] ?? -1) >= 0) events.push(at, { at, index, step })
    })
  }
  add('ended', result.finishedAt)
  add('ready', result.readyAt)
  add('starts', result.startedAt)
  for (let event = events.pop(); event !== undefined; event = events.pop()) yield event
}

function viewOf(id: number, profile: string): NodeView {
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

/** Predictions and what became of them. */
class Tally {
  readonly #quantilesMs: (Float64Array | undefined)[]
  readonly #below = LEVELS.map(() => 0)
  readonly #pinball = PINBALL.map(() => 0)
  readonly #errors: number[] = []

  constructor(tasks: number) {
    this.#quantilesMs = new Array<Float64Array | undefined>(tasks)
  }

  get count(): number {
    return this.#errors.length
  }

  predicted(index: number, prediction: Prediction): void {
    this.#quantilesMs[index] = Float64Array.from(LEVELS, (level) => prediction.quantileMs(level))
  }

  ended(index: number, runMs: number): void {
    const quantiles = this.#quantilesMs[index]
    this.#quantilesMs[index] = undefined
    if (quantiles === undefined) return
    LEVELS.forEach((_, level) => {
      if (runMs <= (quantiles[level] ?? 0)) this.#below[level] = (this.#below[level] ?? 0) + 1
    })
    PINBALL.forEach((q, which) => {
      const above = Math.log(runMs) - Math.log(quantiles[LEVELS.indexOf(q)] ?? 1)
      this.#pinball[which] = (this.#pinball[which] ?? 0) + (above >= 0 ? q * above : (q - 1) * above)
    })
    this.#errors.push(Math.abs(Math.log(runMs) - Math.log(quantiles[LEVELS.indexOf(0.5)] ?? 1)))
  }

  accuracy(): Accuracy {
    const count = Math.max(1, this.count)
    const reliability = LEVELS.map((level, index) => [level, (this.#below[index] ?? 0) / count] as const)
    const observed = (level: (typeof LEVELS)[number]): number => reliability[LEVELS.indexOf(level)]?.[1] ?? 0
    const [half = 0, most = 0, nearlyAll = 0] = this.#pinball
    return {
      maeLn: mean(this.#errors),
      maeLnLater: mean(this.#errors.slice(Math.floor(this.count / 2))),
      pinball: [half / count, most / count, nearlyAll / count],
      coverage90: observed(0.9),
      coverage99: observed(0.99),
      pitKs: Math.max(...reliability.map(([level, share]) => Math.abs(share - level))),
      reliability
    }
  }
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length)
}
