/**
 * An estimator whose word is taken while it is worth more than plain class means; while it is not, they answer in its place.
 *
 * Why the answer is replaced and not the policy: a policy that lets short work go first leaves long work behind, and one that goes by
 * arrival begins with all of that. On METACENTRUM such a change of policies cost up to 65 % of the mean completion time with
 * nothing wrong with predictions at all (docs/SCHEDULING.md).
 *
 * 1. It hears what the estimator hears, and passes it on; beginnings and ends are watched (`prediction-watch.ts`).
 * 2. Its word is taken again after `PROBATION` of evidence in which nothing was found, twice as much after each relapse. What stays bad is
 *    found again on less: evidence counts attempts as the watch does. What was good for `RELAPSE` times as long begins anew.
 * 3. Plain means know how nodes differ, by what attempts on them took beyond the means. Memory, failures and which
 *    nodes stand out among their like stay the estimator's own word: no model has a part in the latter.
 * 4. Either turn moves every prediction: `advance` then names all classes that were asked for, and `epoch` grows.
 */
import type { AttemptFeedback, NodeView, TaskView } from '../../scheduler/policy.ts'
import { PointPrediction } from '../estimate.ts'
import type { ClassKey, Estimator, Prediction } from '../estimate.ts'
import { PredictionWatch } from './prediction-watch.ts'

/** In ends that tell something of their own. */
export const PROBATION = 256
const LONGEST_PROBATION = 64 * PROBATION
/** In probations of the last one's length. */
const RELAPSE = 4

const NONE: readonly ClassKey[] = []

export class TrustedEstimator implements Estimator {
  readonly #estimator: Estimator
  readonly #watch: PredictionWatch
  readonly #onTurn: (distrust: string | undefined) => void
  readonly #plain = new PlainPrediction()
  #distrust: string | undefined
  /** The evidence after which the estimator is trusted again, and since which it is. */
  #until = 0
  #probation = PROBATION
  #turns = 0

  /** `onTurn` is told why the estimator is not trusted from now on; undefined when it is again. */
  constructor(estimator: Estimator, onTurn: (distrust: string | undefined) => void = () => undefined) {
    this.#estimator = estimator
    this.#watch = new PredictionWatch(estimator)
    this.#onTurn = onTurn
  }

  get name(): string {
    return this.#estimator.name
  }

  get epoch(): number {
    return this.#turns + (this.#estimator.epoch ?? 0)
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
    return this.#distrust === undefined ? own : this.#plainly(task, node, own)
  }

  predictByClass(task: TaskView, node?: NodeView): Prediction {
    const own = this.#estimator.predictByClass?.(task, node) ?? this.#estimator.predict(task, node)
    return this.#distrust === undefined ? own : this.#plainly(task, node, own)
  }

  predictFresh(task: TaskView, node?: NodeView): Prediction {
    const own = this.#estimator.predictFresh?.(task, node) ?? this.#estimator.predict(task, node)
    return this.#distrust === undefined ? own : this.#plainly(task, node, own)
  }

  lnNodeFactor(node: NodeView, deviations: number): number {
    return this.#estimator.lnNodeFactor?.(node, deviations) ?? 0
  }

  placed(task: TaskView, node: NodeView, now: number): void {
    this.#watch.began(task, node)
    this.#estimator.placed?.(task, node, now)
  }

  observe(feedback: AttemptFeedback): void {
    const found = this.#watch.ended(feedback)
    this.#estimator.observe(feedback)
    if (found !== undefined) this.#found(found)
    else if (this.#distrust !== undefined && this.#watch.evidence >= this.#until) this.#turn(undefined)
  }

  advance(now: number): Iterable<ClassKey> {
    return this.#estimator.advance?.(now) ?? NONE
  }

  stir(): void {
    this.#estimator.stir?.()
  }

  #plainly(task: TaskView, node: NodeView | undefined, own: Prediction): Prediction {
    const { meanMs } = this.#watch.plain.predict(task)
    return this.#plain.instead(own, meanMs * (node === undefined ? 1 : this.#watch.nodeFactor(node.id)))
  }

  #found(reason: string): void {
    if (this.#distrust === undefined) {
      const isRelapse = this.#turns > 0 && this.#watch.evidence - this.#until < RELAPSE * this.#probation
      this.#probation = isRelapse ? Math.min(LONGEST_PROBATION, 2 * this.#probation) : PROBATION
      this.#turn(reason)
    }
    this.#until = this.#watch.evidence + this.#probation
  }

  #turn(distrust: string | undefined): void {
    this.#distrust = distrust
    this.#turns++
    this.stir()
    this.#onTurn(distrust)
  }
}

/** A run time without spread, and of everything else what the estimator says. */
class PlainPrediction extends PointPrediction {
  #own: Prediction | undefined

  instead(own: Prediction, ms: number): this {
    this.#own = own
    this.failureProbability = own.failureProbability
    return this.of(Math.max(1, ms))
  }

  override memoryBytes(q = 0.5): number {
    return this.#own?.memoryBytes(q) ?? 0
  }
}
