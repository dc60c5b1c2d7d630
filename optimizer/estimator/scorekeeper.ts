/** How good the predictions have been lately: error, and where outcomes stood in their predicted distributions. */

/** Outcomes that the rolling figures look back on, roughly. */
const MEMORY = 2000
const PIT_BINS = 10
const MOST_TENANTS = 256

/** The figures, each over about the last 2,000 outcomes. */
export interface Scores {
  readonly outcomes: number
  /** Mean |ln(run time ÷ predicted median)|. */
  readonly maeLn: number
  /** Mean log score of the mixture and of the class statistics; higher is better. */
  readonly logScore: number
  readonly statisticsLogScore: number
}

export class Scorekeeper {
  readonly #pit = new Map<string, number[]>()
  #outcomes = 0
  #maeLn = 0
  #logScore = 0
  #statisticsLogScore = 0

  /** `share` is where the outcome stood in its predicted distribution. */
  observe(outcome: {
    readonly tenant: string
    readonly errorLn: number
    readonly share: number
    readonly logScore: number
    readonly statisticsLogScore: number
  }): void {
    this.#outcomes++
    const step = 1 / Math.min(this.#outcomes, MEMORY)
    this.#maeLn += step * (Math.abs(outcome.errorLn) - this.#maeLn)
    this.#logScore += step * (outcome.logScore - this.#logScore)
    this.#statisticsLogScore += step * (outcome.statisticsLogScore - this.#statisticsLogScore)
    let histogram = this.#pit.get(outcome.tenant)
    if (histogram === undefined) {
      if (this.#pit.size >= MOST_TENANTS) return
      histogram = new Array<number>(PIT_BINS).fill(0)
      this.#pit.set(outcome.tenant, histogram)
    }
    const bin = Math.min(PIT_BINS - 1, Math.floor(outcome.share * PIT_BINS))
    histogram[bin] = (histogram[bin] ?? 0) + 1
  }

  scores(): Scores {
    return {
      outcomes: this.#outcomes,
      maeLn: this.#maeLn,
      logScore: this.#logScore,
      statisticsLogScore: this.#statisticsLogScore
    }
  }

  /** Outcomes by tenth of their predicted distribution, per tenant: flat is perfect. */
  pit(): ReadonlyMap<string, readonly number[]> {
    return this.#pit
  }
}
