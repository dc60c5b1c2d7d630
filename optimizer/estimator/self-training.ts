/**
 * A learned estimator that trains its own network as it observes: for simulations and benchmarks, where training may take its time. Production
 * trains in a thread of its own and hands over weights.
 *
 * Needs a TensorFlow.js backend to have been set. Equal feedback and equal `rng` give equal predictions.
 */
import type { Rng } from '../../base/prng.ts'
import { createLearnedEstimator } from './learned.ts'
import type { LearnedEstimator, LearnedOptions } from './learned.ts'
import { ROWS_PER_STEP, Trainer } from './trainer.ts'
import type { Evaluation } from './trainer.ts'

/** Steps between two models. */
const STEPS_PER_MODEL = 4
/** Rows before the first model is used. */
const FIRST_MODEL_ROWS = 256

export interface SelfTrainingEstimator extends LearnedEstimator {
  evaluation(): Evaluation
  /** Frees the network. */
  dispose(): void
}

/** An estimator that has seen nothing and trains itself. */
export function createSelfTrainingEstimator(
  options: LearnedOptions & { readonly rng: Rng }
): SelfTrainingEstimator {
  const estimator = createLearnedEstimator(options)
  const trainer = new Trainer({ rng: options.rng })
  let observed = 0
  let steps = 0
  const train = (): void => {
    for (const row of estimator.drainSamples()) trainer.add(row)
    while (trainer.isDue) {
      trainer.step()
      steps++
    }
    if (steps < STEPS_PER_MODEL || trainer.rows < FIRST_MODEL_ROWS) return
    steps = 0
    estimator.useModel({ weights: trainer.weights() })
  }
  return {
    name: 'learned-network',
    classOf: (task) => estimator.classOf(task),
    predict: (task, node) => estimator.predict(task, node),
    predictByClass: (task, node) => estimator.predictByClass(task, node),
    predictFresh: (task, node) => estimator.predictFresh(task, node),
    lnNodeFactor: (node, deviations) => estimator.lnNodeFactor(node, deviations),
    placed: (task, node, now) => {
      estimator.placed(task, node, now)
    },
    advance: (now) => estimator.advance(now),
    stir: () => {
      estimator.stir()
    },
    get epoch() {
      return estimator.epoch
    },
    observe: (feedback) => {
      estimator.observe(feedback)
      if (++observed % ROWS_PER_STEP === 0) train()
    },
    drainSamples: () => [],
    useModel: (model) => {
      estimator.useModel(model)
    },
    explain: (task, node) => estimator.explain(task, node),
    status: () => estimator.status(),
    evaluation: () => trainer.evaluation(),
    dispose: () => {
      trainer.dispose()
    }
  }
}
