/**
 * Watches the serving model: takes it back when it stops earning its place, and says what looks wrong before that.
 *
 * Owns a window of the last `WINDOW` scored attempts since the model began to serve, and decides; it changes nothing.
 *
 * 1. Regret: when the model's losses exceed those of plain statistics by more than `TOLERATED_REGRET` nats, by the lower end
 *    of the interval, it is rolled back.
 * 2. Calibration: fewer run times at or below the predicted p90 and p99 than `ALARM` are an alarm, than `LIMIT` a
 *    roll-back. Too many are neither: classes that always take as long have them, and losses see what is too wide.
 * 3. Hysteresis: a roll-back needs findings in `CONFIRMATIONS` assessments in a row; an alarm ends only above `CLEAR`.
 * 4. After a roll-back no model is promoted for `REST` scored attempts: what went wrong is likely to be in the data.
 */
import { meanInterval, blockLength } from '../lab/statistics.ts'
import { boundedLoss } from './score.ts'

export const WINDOW = 512
const FEWEST = 128
/** Attempts between two assessments. */
export const ASSESS_EVERY = WINDOW / 4
const CONFIRMATIONS = 2
const TOLERATED_REGRET = 0.02
/** Scored attempts after a roll-back, or after a promotion, before the next promotion. */
export const REST = 512

/** Least coverage for the alarm to end, to begin, and for the model to stay. */
const CLEAR: Coverage = [0.86, 0.975]
const ALARM: Coverage = [0.82, 0.96]
const LIMIT: Coverage = [0.7, 0.92]

/** One attempt, scored before anything learned from it. */
export interface ScoredAttempt {
  /** Losses in nats; see `score.ts`. */
  readonly model: number
  readonly statistics: number
}

/** Shares of recent run times at or below the p90 and p99 that were predicted for them. */
export type Coverage = readonly [p90: number, p99: number]

export interface Assessment {
  readonly alarms: readonly string[]
  /** Why the model must go; undefined while it may stay. */
  readonly rollBack: string | undefined
}

const CALM: Assessment = { alarms: [], rollBack: undefined }

export class ModelWatch {
  readonly #coverage: () => Coverage | undefined
  readonly #window: ScoredAttempt[] = []
  #scored = 0
  #unassessed = 0
  #bad = 0
  #miscalibrated = false
  #last: Assessment = CALM

  /** `coverage` is of what predicts now; undefined while there is too little to say. */
  constructor(coverage: () => Coverage | undefined) {
    this.#coverage = coverage
  }

  /** Attempts scored since the model began to serve. */
  get scored(): number {
    return this.#scored
  }

  get assessment(): Assessment {
    return this.#last
  }

  /** Adds an attempt; returns the new assessment when one is due. */
  add(attempt: ScoredAttempt): Assessment | undefined {
    this.#window[this.#scored % WINDOW] = attempt
    this.#scored++
    this.#unassessed++
    if (this.#unassessed < ASSESS_EVERY || this.#window.length < FEWEST) return undefined
    this.#unassessed = 0
    this.#last = this.#assess()
    return this.#last
  }

  #assess(): Assessment {
    const regrets = this.#inOrder().map(
      ({ model, statistics }) => boundedLoss(model) - boundedLoss(statistics)
    )
    const regret = meanInterval(regrets, { block: blockLength(regrets.length), rounds: 200 })
    const coverage = this.#coverage()
    const findings: string[] = []
    if (!(regret.low <= TOLERATED_REGRET))
      findings.push(`regret of at least ${regret.low.toFixed(3)} nats an attempt against plain statistics`)
    if (isBelow(coverage, LIMIT)) findings.push(`calibration lost: ${described(coverage)}`)
    this.#bad = findings.length === 0 ? 0 : this.#bad + 1
    this.#miscalibrated = this.#miscalibrated ? isBelow(coverage, CLEAR) : isBelow(coverage, ALARM)
    const alarms = this.#miscalibrated ? [...findings, `calibration: ${described(coverage)}`] : findings
    return { alarms, rollBack: this.#bad >= CONFIRMATIONS ? findings.join('; ') : undefined }
  }

  /** Oldest first: blocks are of neighbours. */
  #inOrder(): ScoredAttempt[] {
    if (this.#scored <= WINDOW) return this.#window
    const next = this.#scored % WINDOW
    return [...this.#window.slice(next), ...this.#window.slice(0, next)]
  }
}

function isBelow(coverage: Coverage | undefined, floor: Coverage): boolean {
  return coverage !== undefined && floor.some((least, index) => (coverage[index] ?? 0) < least)
}

function described(coverage: Coverage | undefined): string {
  const [p90, p99] = coverage ?? [NaN, NaN]
  return `${(p90 * 100).toFixed(1)} % at or below p90, ${(p99 * 100).toFixed(1)} % at or below p99`
}
