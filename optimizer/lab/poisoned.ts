/** Estimators that mislead, each in its own way: what a guard has to hold against. For the lab and for tests. */
import type { Estimator, Prediction } from '../estimate.ts'

export type Poison = 'inverted' | 'constant' | 'nan' | 'huge'

/** Long is said to be short by mirroring run times at this, in milliseconds. */
const MIRROR_MS = 60_000
const HUGE_MS = 1e15

/**
 * The estimator, with what it predicts turned into what misleads while `isOn`: the opposite, always the same, no number,
 * or far too much. It learns and knows classes as before.
 */
export function poisoned(estimator: Estimator, poison: Poison, isOn: () => boolean = () => true): Estimator {
  const turn = TURNS[poison]
  return {
    name: `${estimator.name}-${poison}`,
    classOf: (task) => estimator.classOf(task),
    predict: (task, node) => {
      const prediction = estimator.predict(task, node)
      return isOn() ? turned(prediction, turn) : prediction
    },
    observe: (feedback) => {
      estimator.observe(feedback)
    },
    placed: (task, node, now) => estimator.placed?.(task, node, now),
    advance: (now) => estimator.advance?.(now) ?? [],
    stir: () => estimator.stir?.(),
    get epoch() {
      return estimator.epoch ?? 0
    }
  }
}

const TURNS: Readonly<Record<Poison, (ms: number) => number>> = {
  inverted: (ms) => (MIRROR_MS * MIRROR_MS) / Math.max(1, ms),
  constant: () => MIRROR_MS,
  nan: () => NaN,
  huge: () => HUGE_MS
}

function turned(prediction: Prediction, turn: (ms: number) => number): Prediction {
  return {
    meanMs: turn(prediction.meanMs),
    medianMs: turn(prediction.medianMs),
    quantileMs: (q) => turn(prediction.quantileMs(1 - q)),
    remainingMs: (elapsedMs) => turn(prediction.remainingMs(elapsedMs)),
    failureProbability: prediction.failureProbability,
    memoryBytes: () => 0
  }
}
