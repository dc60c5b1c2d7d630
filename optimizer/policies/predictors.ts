/**
 * The run-time predictors of the published baselines: what the user says, the mean of the user's last two, the mean of
 * a class, all alike, and the truth. The learned estimator is not here.
 */
import type { NodeId, TaskId } from '../../base/ids.ts'
import type { AttemptFeedback, NodeView, TaskView } from '../../scheduler/policy.ts'
import { PointPrediction } from '../estimate.ts'
import type { Estimator, Prediction } from '../estimate.ts'
import { hasRun } from '../estimator/failures.ts'

const SHORTEST_MS = 1

/** What a task costs when nothing at all is known of it. */
const UNKNOWN_MS = 3_600_000

/** The user's own limit; `unknownMs` where none is given. Never learns. */
export function userLimit(unknownMs = UNKNOWN_MS): Estimator {
  const prediction = new PointPrediction()
  return {
    name: 'limit',
    classOf: (task) => task.limitMs,
    predict: (task) => prediction.of(task.limitMs > 0 ? task.limitMs : unknownMs),
    observe: () => undefined
  }
}

/** All tasks alike: for policies that know the structure and nothing else. */
export function unit(ms = 1000): Estimator {
  const prediction = new PointPrediction().of(ms)
  return { name: 'unit', classOf: () => 0, predict: () => prediction, observe: () => undefined }
}

/**
 * The mean of the last two run times of the same user, capped by the user's limit (Tsafrir, Etsion & Feitelson,
 * "Backfilling Using System-Generated Predictions Rather than User Runtime Estimates", IEEE TPDS 2007, §4). Before a
 * user's first completion: the limit, or without one `unknownMs`. `capped: false` ignores limits.
 */
export function lastTwo(options: { readonly capped?: boolean; readonly unknownMs?: number } = {}): Estimator {
  const { capped = true, unknownMs = UNKNOWN_MS } = options
  const recent = new Map<string, { last: number; before: number }>()
  const prediction = new PointPrediction()
  const limitOf = (task: TaskView): number => (capped && task.limitMs > 0 ? task.limitMs : Infinity)
  return {
    name: 'last2',
    // Tasks of one user differ in nothing but the cap.
    classOf: (task) => `${task.tenant}/${limitOf(task)}`,
    predict: (task) => {
      const seen = recent.get(task.tenant)
      const limit = limitOf(task)
      if (seen === undefined) return prediction.of(limit < Infinity ? limit : unknownMs)
      return prediction.of(Math.min(limit, Math.max(SHORTEST_MS, (seen.last + seen.before) / 2)))
    },
    observe: ({ task, end, runMs }) => {
      if (!hasRun(end)) return
      const seen = recent.get(task.tenant)
      recent.set(task.tenant, { last: runMs, before: seen?.last ?? runMs })
    }
  }
}

/** The mean of everything seen of the class (the task's name) so far; `unit` before the first completion. */
export function runningMean(unknownMs = 1000): Estimator {
  return runningMeanBy([({ name }) => name], unknownMs)
}

/** The same by name and input of the same octave, of the name before any of that was seen. */
export function runningMeanByInput(unknownMs = 1000): Estimator {
  return runningMeanBy(
    [({ name }) => name, ({ name, inputBytes }) => `${name}\n${octaveOf(inputBytes)}`],
    unknownMs
  )
}

function octaveOf(bytes: number): number {
  return bytes <= 0 ? -1 : Math.floor(Math.log2(bytes))
}

/** Means by keys that go from the general to the particular. */
function runningMeanBy(keys: readonly ((task: TaskView) => string)[], unknownMs: number): Estimator {
  const classes = new Map<string, { total: number; count: number }>()
  const prediction = new PointPrediction()
  const all = { total: 0, count: 0 }
  return {
    name: 'mean',
    classOf: (task) => keys.at(-1)?.(task) ?? '',
    predict: (task) => {
      let seen = all
      for (const key of keys) seen = classes.get(key(task)) ?? seen
      return prediction.of(seen.count === 0 ? unknownMs : Math.max(SHORTEST_MS, seen.total / seen.count))
    },
    observe: ({ task, end, runMs }: AttemptFeedback) => {
      if (end !== 'succeeded' && end !== 'superseded') return
      for (const key of keys) {
        const known = classes.get(key(task))
        if (known === undefined) classes.set(key(task), { total: runMs, count: 1 })
        else {
          known.total += runMs
          known.count++
        }
      }
      all.total += runMs
      all.count++
    }
  }
}

/** Fixed knowledge given in advance, by class: the class means of a trace, for instance. */
export function known(
  name: string,
  meanMs: (task: TaskView) => number,
  speedOf: NodeSpeed = flat
): Estimator {
  const prediction = new PointPrediction()
  return {
    name,
    // What is known may differ within a name.
    classOf: (task) => `${task.name}\n${meanMs(task)}`,
    predict: (task, node): Prediction =>
      prediction.of(Math.max(SHORTEST_MS, meanMs(task) / (node === undefined ? 1 : speedOf(node.id, task)))),
    observe: () => undefined
  }
}

/** How fast a node runs a task, relative to a typical node. */
export type NodeSpeed = (node: NodeId, task: TaskView) => number

const flat: NodeSpeed = () => 1

/** The truth: no policy can have it outside of a simulation. `truthMs` is the run time on a typical node. */
export function oracle(truthMs: (task: TaskId) => number, speedOf: NodeSpeed = flat): Estimator {
  const prediction = new PointPrediction()
  return {
    name: 'oracle',
    classOf: (task) => truthMs(task.id),
    predict: (task: TaskView, node?: NodeView) =>
      prediction.of(
        Math.max(SHORTEST_MS, truthMs(task.id) / (node === undefined ? 1 : speedOf(node.id, task)))
      ),
    observe: () => undefined
  }
}
