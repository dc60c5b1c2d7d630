/**
 * Whether to believe a model's corrections of something that models are not judged by: those have to earn their weight, by Hedge over what the
 * class statistics say and the same as corrected. Each tenant's outcomes speak for its own classes alone.
 */
import { Hedge } from './hedge.ts'

const PLAIN = 0
const CORRECTED = 1

export class CorrectionTrust {
  readonly #hedge: Hedge<string>
  readonly #weights = new Float64Array(2)
  readonly #scores = new Float64Array(2)

  /** `rate`: how much a score counts; `clip`: how far scores may lie apart. A correction begins with a weight of one in fifty. */
  constructor(rate: number, clip: number) {
    this.#hedge = new Hedge({
      ...{ priors: [0.98, 0.02], fade: 0.995, fadeAll: 0.999, priorOutcomes: 0 },
      ...{ rate, clip }
    })
  }

  /** In [0, 1]. */
  weightOf(tenant: string): number {
    this.#hedge.weigh(tenant, this.#weights, all)
    return this.#weights[CORRECTED] ?? 0
  }

  /** How well an outcome was foreseen by either; higher is better. Scores that are no numbers tell nobody apart. */
  observe(tenant: string, plain: number, corrected: number): void {
    if (!Number.isFinite(plain) || !Number.isFinite(corrected)) return
    this.#scores[PLAIN] = plain
    this.#scores[CORRECTED] = corrected
    this.#hedge.observe(tenant, this.#scores)
  }
}

/** A correction within its bounds; what is not a number corrects nothing. */
export function bounded(correction: number, largest: number): number {
  return Number.isNaN(correction) ? 0 : Math.max(-largest, Math.min(largest, correction))
}

function all(): boolean {
  return true
}
