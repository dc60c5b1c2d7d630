/** How good the predictions have been lately: error, log scores, and how often promised quantiles held. */
import { Reliability } from './reliability.ts'
import type { Told } from './reliability.ts'

/** Outcomes that the rolling means look back on, roughly. */
const MEMORY = 2000
const MOST_TENANTS = 256

/** The figures, each over about the last 2,000 outcomes and undefined before the first. */
export interface Scores {
  /** Outcomes since the start. */
  readonly outcomes: number
  /** Mean |ln(run time ÷ promised median)|. */
  readonly maeLn: number | undefined
  /** Mean log score of the mixture and of the class statistics; higher is better. */
  readonly logScore: number | undefined
  readonly statisticsLogScore: number | undefined
  /** How often promised quantiles held, over all tenants and by tenant. */
  readonly reliability: {
    readonly all: Reliability
    readonly tenants: ReadonlyMap<string, Reliability>
  }
}

export class Scorekeeper {
  readonly #reliability = { all: new Reliability(), tenants: new Map<string, Reliability>() }
  readonly #maeLn = new RollingMean()
  readonly #logScore = new RollingMean()
  readonly #statisticsLogScore = new RollingMean()

  /** `told` is undefined when it is not known what was promised. */
  observe(outcome: {
    readonly tenant: string
    readonly told: Told | undefined
    readonly logScore: number
    readonly statisticsLogScore: number
  }): void {
    this.#logScore.add(outcome.logScore)
    this.#statisticsLogScore.add(outcome.statisticsLogScore)
    const { told } = outcome
    if (told === undefined) return
    this.#maeLn.add(Math.abs(told.errorLn))
    this.#reliability.all.observe(told)
    this.#of(outcome.tenant)?.observe(told)
  }

  scores(): Scores {
    return {
      outcomes: this.#logScore.count,
      maeLn: this.#maeLn.value,
      logScore: this.#logScore.value,
      statisticsLogScore: this.#statisticsLogScore.value,
      reliability: this.#reliability
    }
  }

  /** Undefined for tenants beyond the bound. */
  #of(tenant: string): Reliability | undefined {
    const { tenants } = this.#reliability
    const known = tenants.get(tenant)
    if (known !== undefined || tenants.size >= MOST_TENANTS) return known
    const fresh = new Reliability()
    tenants.set(tenant, fresh)
    return fresh
  }
}

class RollingMean {
  count = 0
  #mean = 0

  add(value: number): void {
    this.count++
    this.#mean += (value - this.#mean) / Math.min(this.count, MEMORY)
  }

  get value(): number | undefined {
    return this.count === 0 ? undefined : this.#mean
  }
}
