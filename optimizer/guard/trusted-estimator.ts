/**
 * An estimator whose word is taken while it is worth more than plain class means; while it is not, they answer in its place.
 *
 * Why the answer is replaced and not the policy: a policy that lets short work go first leaves long work behind, and one that goes by
 * arrival begins with all of that. On METACENTRUM such a change of policies cost up to 65 % of the mean completion time with
 * nothing wrong with predictions at all (docs/SCHEDULING.md).
 *
 * 1. It hears what the estimator hears, and passes it on; beginnings and ends are watched (`prediction-watch.ts`).
 * 2. Its word is taken again after `PROBATION` ends in which nothing was found; what stays bad is found again long before that.
 * 3. Either turn moves every prediction: `advance` then names all classes that were asked for.
 */
import type { AttemptFeedback, NodeView, TaskView } from '../../scheduler/policy.ts'
import type { ClassKey, Estimator, Prediction } from '../estimate.ts'
import { PredictionWatch } from './prediction-watch.ts'

/** Ends of attempts. */
export const PROBATION = 1024

const NONE: readonly ClassKey[] = []

export class TrustedEstimator implements Estimator {
  readonly #estimator: Estimator
  readonly #watch: PredictionWatch
  readonly #onTurn: (distrust: string | undefined) => void
  #distrust: string | undefined
  #left = 0

  /** `onTurn` is told why the estimator is not trusted from now on; undefined when it is again. */
  constructor(estimator: Estimator, onTurn: (distrust: string | undefined) => void = () => undefined) {
    this.#estimator = estimator
    this.#watch = new PredictionWatch(estimator)
    this.#onTurn = onTurn
  }

  get name(): string {
    return this.#estimator.name
  }

  /** Why plain class means answer now; undefined while the estimator does. */
  get distrust(): string | undefined {
    return this.#distrust
  }

  classOf(task: TaskView): ClassKey {
    return this.#estimator.classOf(task)
  }

  predict(task: TaskView, node?: NodeView): Prediction {
    // It is asked in either case: what it is asked for it names when it moves.
    const own = this.#estimator.predict(task, node)
    return this.#distrust === undefined ? own : this.#watch.plain.predict(task)
  }

  predictByClass(task: TaskView, node?: NodeView): Prediction {
    const own = this.#estimator.predictByClass?.(task, node) ?? this.#estimator.predict(task, node)
    return this.#distrust === undefined ? own : this.#watch.plain.predict(task)
  }

  placed(task: TaskView, node: NodeView, now: number): void {
    this.#watch.began(task, node)
    this.#estimator.placed?.(task, node, now)
  }

  observe(feedback: AttemptFeedback): void {
    const found = this.#watch.ended(feedback)
    this.#estimator.observe(feedback)
    if (found !== undefined) this.#found(found)
    else if (this.#distrust !== undefined && --this.#left === 0) this.#turn(undefined)
  }

  advance(now: number): Iterable<ClassKey> {
    return this.#estimator.advance?.(now) ?? NONE
  }

  stir(): void {
    this.#estimator.stir?.()
  }

  #found(reason: string): void {
    this.#left = PROBATION
    if (this.#distrust === undefined) this.#turn(reason)
  }

  #turn(distrust: string | undefined): void {
    this.#distrust = distrust
    this.stir()
    this.#onTurn(distrust)
  }
}
