/**
 * Who is trusted how much: exponential weights (Hedge, Freund & Schapire 1997) over predictors, on their clipped scores, so that the mixture
 * is never much worse than the best of them: regret O(√(T ln n)). Used on log scores of the components of a class, and on the errors of
 * medians (`medians.ts`).
 *
 * Losses fade, so that a predictor that became good is trusted in time; a key (a class, a tenant) starts from what all keys taught.
 */
import { dropOldest } from '../../base/oldest.ts'

export const COMPONENTS = ['limit', 'last-two', 'statistics', 'network'] as const
type Component = (typeof COMPONENTS)[number]
const NETWORK = COMPONENTS.indexOf('network')

export interface HedgeOptions {
  /** Weights before anything is learned; they sum to 1. */
  readonly priors: readonly number[]
  /** Learning rate on scores: 1 is Bayes' rule for log scores, less is calmer when outcomes come in like batches. */
  readonly rate: number
  /** What is kept of a key's losses at its next outcome. */
  readonly fade: number
  /** The same of what all keys taught. */
  readonly fadeAll: number
  /** Outcomes of a key for which what all keys taught counts. */
  readonly priorOutcomes: number
  /** A single outcome counts for at most this much. */
  readonly clip: number
}

/** Of `COMPONENTS`: the network starts with little and has to earn its weight. */
export const OF_COMPONENTS: HedgeOptions = {
  priors: [0.02, 0.02, 0.66, 0.3],
  rate: 0.5,
  fade: 0.95,
  fadeAll: 0.999,
  priorOutcomes: 40,
  clip: 4
}
const MOST_KEYS = 8192

interface Track {
  readonly losses: Float64Array
  weight: number
}

export class Hedge<K> {
  readonly #options: HedgeOptions
  readonly #priorLn: Float64Array
  readonly #all: Track
  readonly #keys = new Map<K, Track>()

  constructor(options: HedgeOptions) {
    this.#options = options
    this.#priorLn = Float64Array.from(options.priors, Math.log)
    this.#all = fresh(options.priors.length)
  }

  /**
   * Writes the weights of the key (undefined: of one that is not known) into `into`; a predictor that `isOpen` refuses gets none. They
   * sum to 1.
   */
  weigh(key: K | undefined, into: Float64Array, isOpen: (predictor: number) => boolean): void {
    const own = key === undefined ? undefined : this.#keys.get(key)
    let largest = -Infinity
    for (let index = 0; index < into.length; index++) {
      const logit = (this.#priorLn[index] ?? 0) - this.#options.rate * this.#loss(own, index)
      into[index] = isOpen(index) ? logit : -Infinity
      largest = Math.max(largest, into[index] ?? 0)
    }
    let sum = 0
    for (let index = 0; index < into.length; index++) {
      into[index] = Math.exp((into[index] ?? 0) - largest)
      sum += into[index] ?? 0
    }
    for (let index = 0; index < into.length; index++) into[index] = (into[index] ?? 0) / sum
  }

  /** An outcome of the key gave the predictors these scores; more is better. */
  observe(key: K, scores: Float64Array): void {
    let own = this.#keys.get(key)
    if (own === undefined) {
      own = fresh(scores.length)
      if (this.#keys.size >= MOST_KEYS) dropOldest(this.#keys)
      this.#keys.set(key, own)
    }
    let best = -Infinity
    for (const score of scores) best = Math.max(best, score)
    const { fade, fadeAll, clip } = this.#options
    learn(this.#all, scores, best, fadeAll, clip)
    learn(own, scores, best, fade, clip)
  }

  forget(key: K): void {
    this.#keys.delete(key)
  }

  /** Faded total loss: the key's own, filled up with what is usual. */
  #loss(own: Track | undefined, index: number): number {
    const usual = this.#all.weight === 0 ? 0 : (this.#all.losses[index] ?? 0) / this.#all.weight
    return (own?.losses[index] ?? 0) + usual * this.#options.priorOutcomes
  }
}

/** The weights of components of a class about which nothing is known; the network has none where there is no model. */
export function usualWeights(hedge: Hedge<unknown>, model: boolean): Readonly<Record<Component, number>> {
  const weights = new Float64Array(COMPONENTS.length)
  hedge.weigh(undefined, weights, (component) => model || component !== NETWORK)
  const [limit = 0, lastTwo = 0, statistics = 0, network = 0] = weights
  return { limit, 'last-two': lastTwo, statistics, network }
}

function learn(track: Track, scores: Float64Array, best: number, fade: number, clip: number): void {
  track.weight = track.weight * fade + 1
  for (let index = 0; index < scores.length; index++) {
    const loss = Math.min(clip, best - (scores[index] ?? best))
    track.losses[index] = (track.losses[index] ?? 0) * fade + loss
  }
}

function fresh(predictors: number): Track {
  return { losses: new Float64Array(predictors), weight: 0 }
}
