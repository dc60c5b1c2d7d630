/**
 * What a learner carries from one run to the next where runs follow each other on one cluster: in a cluster the estimator outlives
 * every workflow, and only a lab begins anew.
 *
 * Each run's clock starts at 0, the estimator's goes on. Numbers of tasks are used again, which does no harm: all that an estimator
 * keeps by task is dropped when the task's attempts are over, and a run ends with that.
 */
import type { Estimator } from '../estimate.ts'

export class Memory {
  /** For the policy of the present run. */
  readonly estimator: Estimator
  #originMs = 0

  /** `inner` has seen nothing. */
  constructor(inner: Estimator) {
    this.estimator = {
      name: inner.name,
      classOf: (task) => inner.classOf(task),
      predict: (task, node) => inner.predict(task, node),
      predictByClass: (task, node) => (inner.predictByClass ?? inner.predict).call(inner, task, node),
      predictFresh: (task, node) => (inner.predictFresh ?? inner.predict).call(inner, task, node),
      lnNodeFactor: (node, deviations) => inner.lnNodeFactor?.(node, deviations) ?? 0,
      observe: (feedback) => {
        inner.observe(feedback)
      },
      placed: (task, node, now) => {
        inner.placed?.(task, node, this.#originMs + now)
      },
      advance: (now) => inner.advance?.(this.#originMs + now) ?? [],
      get epoch() {
        return inner.epoch ?? 0
      }
    }
  }

  /** A run is over that took `elapsedMs`. */
  runEnded(elapsedMs: number): void {
    this.#originMs += elapsedMs
  }
}
