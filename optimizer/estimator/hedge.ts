/**
 * Who is trusted how much: exponential weights (Hedge, Freund & Schapire 1997) over the predictors of a class, on their clipped log
 * scores, so that the mixture is never much worse than the best of them: regret O(√(T ln 4)).
 *
 * The network starts with nearly nothing and has to earn its weight. Losses fade, so that a predictor that became good is trusted in time; a
 * class starts from what all classes taught.
 */

export const COMPONENTS = ['limit', 'last-two', 'statistics', 'network'] as const
type Component = (typeof COMPONENTS)[number]

const PRIOR: Readonly<Record<Component, number>> = {
  limit: 0.02,
  'last-two': 0.02,
  statistics: 0.66,
  network: 0.3
}
/** Learning rate on log scores: 1 is Bayes' rule, less is calmer when outcomes come in like batches. */
const RATE = 0.5
/** A single outcome counts for at most this much. */
const CLIP = 4
const FADE = 0.95
const FADE_ALL = 0.999
/** Outcomes of a class for which what all classes taught counts. */
const PRIOR_OUTCOMES = 40
const PRIOR_LN = COMPONENTS.map((component) => Math.log(PRIOR[component]))

interface Track {
  readonly losses: Float64Array
  weight: number
}

export class Hedge {
  readonly #all = fresh()
  readonly #classes = new Map<number, Track>()

  /** Writes the components' weights for the class into `into`; a component that `isOpen` refuses gets none. They sum to 1. */
  weigh(classKey: number, into: Float64Array, isOpen: (component: number) => boolean): void {
    const own = this.#classes.get(classKey)
    let largest = -Infinity
    for (let index = 0; index < COMPONENTS.length; index++) {
      into[index] = isOpen(index) ? (PRIOR_LN[index] ?? 0) - RATE * this.#loss(own, index) : -Infinity
      largest = Math.max(largest, into[index] ?? 0)
    }
    let sum = 0
    for (let index = 0; index < COMPONENTS.length; index++) {
      into[index] = Math.exp((into[index] ?? 0) - largest)
      sum += into[index] ?? 0
    }
    for (let index = 0; index < COMPONENTS.length; index++) into[index] = (into[index] ?? 0) / sum
  }

  /** An outcome of the class had these log likelihoods under the components. */
  observe(classKey: number, scores: Float64Array): void {
    let own = this.#classes.get(classKey)
    if (own === undefined) {
      own = fresh()
      this.#classes.set(classKey, own)
    }
    const best = scores.reduce((most, score) => Math.max(most, score), -Infinity)
    learn(this.#all, scores, best, FADE_ALL)
    learn(own, scores, best, FADE)
  }

  /** The weights of a class about which nothing is known; the network has none where there is no model. */
  overall(model: boolean): Readonly<Record<Component, number>> {
    const weights = new Float64Array(COMPONENTS.length)
    this.weigh(-1, weights, (component) => model || COMPONENTS[component] !== 'network')
    const [limit = 0, lastTwo = 0, statistics = 0, network = 0] = weights
    return { limit, 'last-two': lastTwo, statistics, network }
  }

  forget(classKey: number): void {
    this.#classes.delete(classKey)
  }

  /** Faded total loss: the class's own, filled up with what is usual. */
  #loss(own: Track | undefined, index: number): number {
    const usual = this.#all.weight === 0 ? 0 : (this.#all.losses[index] ?? 0) / this.#all.weight
    return (own?.losses[index] ?? 0) + usual * PRIOR_OUTCOMES
  }
}

function learn(track: Track, scores: Float64Array, best: number, fade: number): void {
  track.weight = track.weight * fade + 1
  for (let index = 0; index < COMPONENTS.length; index++) {
    const loss = Math.min(CLIP, best - (scores[index] ?? best))
    track.losses[index] = (track.losses[index] ?? 0) * fade + loss
  }
}

function fresh(): Track {
  return { losses: new Float64Array(COMPONENTS.length), weight: 0 }
}
