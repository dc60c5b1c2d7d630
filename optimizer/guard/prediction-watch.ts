/**
 * Whether predictions are worth following, by what they promised for the attempts that end: seen within some tens of ends, where a
 * replay would need a thousand tasks that have waited.
 *
 * An attempt's error is |ln(run time ÷ predicted median)|, at most `WORST_LN`; a prediction that is no number errs as much as one can. Its
 * regret is that error minus the one of plain class means (`optimizer/lab/plain-statistics.ts`), which no model and no weights can spoil.
 *
 * 1. The test is a bet against the predictions that starts anew whenever it has lost all it had won (an e-detector: Shin, Ramdas & Rinaldo 2023;
 *    the bet as in Waudby-Smith & Ramdas 2024). While regrets are `TOLERATED` or less in the mean, its stake is a supermartingale,
 *    and a false alarm comes after `ENOUGH` ends at the soonest, in the mean; the better the predictions, the later by orders.
 * 2. Attempts of a class that run together are one piece of evidence rather than many: each counts in inverse proportion to how many ran as
 *    it began, which it does not influence: n that began together count for ln n. Inverted, constant or huge predictions are wrong for many classes.
 * 3. An alarm is given once; the bet then begins anew, so what stays bad is found again and again.
 */
import type { NodeId, TaskId } from '../../base/ids.ts'
import { dropOldest } from '../../base/oldest.ts'
import type { AttemptFeedback, NodeView, TaskView } from '../../scheduler/policy.ts'
import type { ClassKey, Estimator, Prediction } from '../estimate.ts'
import { hasRun } from '../estimator/failures.ts'
import { plainStatistics } from '../lab/plain-statistics.ts'

/** Sixteen times too much or too little is as wrong as can be. */
const WORST_LN = Math.log(16)
/** Share of `WORST_LN` by which errors may exceed those of plain means: about a tenth of a run time. */
const TOLERATED = 0.04
/** Share of the stake that is put on one end: less than 1 ÷ (1 + `TOLERATED`), so that it stays above 0. */
const BET = 0.5
/** The stake, from 1, at which predictions are found out. */
const ENOUGH = 10_000
/** Attempts that are followed at once; the oldest go first. */
const MOST = 4096

/** Ends of attempts on a node that count for the mean of all nodes. */
const NODE_PRIOR = 5
const NODE_DECAY = 0.98
const MOST_NODES = 1024

interface Followed {
  readonly classKey: ClassKey
  /** As ln t. */
  readonly predicted: number
  readonly plain: number
  readonly weight: number
}

export class PredictionWatch {
  /** What predictions are held against; it hears of every end. */
  readonly plain: Estimator = plainStatistics()
  readonly #estimator: Estimator
  /** By task and node: a copy takes what it takes on its own node. */
  readonly #followed = new Map<string, Followed>()
  /** Followed attempts by class. */
  readonly #running = new Map<ClassKey, number>()
  #stake = 1
  #ends = 0
  #regret = 0
  #evidence = 0
  /** By how much attempts on a node took longer than plain means say, as sums of ln. */
  readonly #nodes = new Map<NodeId, { sum: number; weight: number }>()

  /** `estimator` is asked for what it predicts, and told nothing. */
  constructor(estimator: Estimator) {
    this.#estimator = estimator
  }

  /** How much has been judged, in ends that tell something of their own (rule 2). */
  get evidence(): number {
    return this.#evidence
  }

  /** What the node multiplies plain means by, as far as attempts on it have shown. */
  nodeFactor(node: NodeId): number {
    const { sum = 0, weight = 0 } = this.#nodes.get(node) ?? {}
    return Math.exp(sum / (weight + NODE_PRIOR))
  }

  /** An attempt begins on the node; the estimator has not heard of it yet, or has: only its prediction counts. */
  began(task: TaskView, node: NodeView): void {
    const key = keyOf(task.id, node.id)
    if (this.#followed.has(key)) return
    const classKey = this.#estimator.classOf(task)
    const running = this.#running.get(classKey) ?? 0
    this.#followed.set(key, {
      classKey,
      predicted: lnOf(this.#estimator.predict(task, node)),
      plain: lnOf(this.plain.predict(task)),
      weight: 1 / (1 + running)
    })
    this.#running.set(classKey, running + 1)
    if (this.#followed.size <= MOST) return
    for (const oldest of this.#followed.keys()) {
      this.#forget(oldest)
      break
    }
  }

  /** An attempt is over. Returns what is wrong with the predictions, when it has become certain. */
  ended(feedback: AttemptFeedback): string | undefined {
    const followed = this.#forget(keyOf(feedback.task.id, feedback.node))
    this.plain.observe(feedback)
    if (followed === undefined || !hasRun(feedback.end)) return undefined
    const ln = Math.log(Math.max(1, feedback.runMs))
    this.#learnNode(feedback.node, ln - followed.plain)
    const regret = (errorOf(followed.predicted, ln) - errorOf(followed.plain, ln)) / WORST_LN
    this.#ends++
    this.#evidence += followed.weight
    this.#regret += regret * WORST_LN
    this.#stake *= 1 + BET * followed.weight * (regret - TOLERATED)
    if (this.#stake <= 1) this.#restart()
    if (this.#stake < ENOUGH) return undefined
    const mean = this.#regret / this.#ends
    const found = `the last ${this.#ends} run times were predicted worse than by plain class means, by ${mean.toFixed(2)} of ln t`
    this.#restart()
    return found
  }

  #restart(): void {
    this.#stake = 1
    this.#ends = 0
    this.#regret = 0
  }

  #learnNode(node: NodeId, overLn: number): void {
    const known = this.#nodes.get(node) ?? { sum: 0, weight: 0 }
    known.sum = known.sum * NODE_DECAY + Math.max(-WORST_LN, Math.min(WORST_LN, overLn))
    known.weight = known.weight * NODE_DECAY + 1
    this.#nodes.set(node, known)
    if (this.#nodes.size > MOST_NODES) dropOldest(this.#nodes)
  }

  #forget(key: string): Followed | undefined {
    const followed = this.#followed.get(key)
    if (followed === undefined) return undefined
    this.#followed.delete(key)
    const left = (this.#running.get(followed.classKey) ?? 1) - 1
    if (left > 0) this.#running.set(followed.classKey, left)
    else this.#running.delete(followed.classKey)
    return followed
  }
}

function keyOf(task: TaskId, node: NodeId): string {
  return `${task}/${node}`
}

function lnOf({ medianMs }: Prediction): number {
  return Math.log(medianMs)
}

function errorOf(predictedLn: number, ln: number): number {
  const error = Math.abs(predictedLn - ln)
  return error < WORST_LN ? error : WORST_LN
}
