/**
 * How often promised quantiles held: where each outcome stood in what its attempt was promised as it began, corrections and all.
 *
 * 1. All shares are of the same outcomes, the last `WINDOW` and no others, so that a higher quantile never held less often than a lower one.
 * 2. Judged are runs that came to an end of their own. How often those that were cut short were above is not known.
 */
import { shareBelowLn, quantileLn } from './bins.ts'
import { levelOf, promisedAt } from './levels.ts'
import type { Levels } from './levels.ts'

/** The quantiles that are judged; the last three are those of `coverage…`. */
const JUDGED_LEVELS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99] as const
const TENTHS = 10
const WINDOW = 2000

/** An outcome, beside what had been promised of it. */
export interface Told {
  /** ln(run time ÷ promised median). */
  readonly errorLn: number
  /** The least promised quantile that it kept: it was at or below the quantile of this level, and above lower ones. */
  readonly kept: number
  /** ln(promised p99 ÷ promised median). */
  readonly spread99Ln: number
}

/** What was promised of a run that took ln t, from these masses; nothing exceeds `mostLn`. All on a typical node. */
export function toldOf(masses: Float64Array, levels: Levels, mostLn: number, ln: number): Told {
  const medianLn = Math.min(mostLn, quantileLn(masses, levels.centre))
  return {
    errorLn: ln - medianLn,
    kept: promisedAt(levels, shareBelowLn(masses, ln)),
    spread99Ln: Math.min(mostLn, quantileLn(masses, levelOf(levels, 0.99))) - medianLn
  }
}

export interface Judged {
  /** Outcomes that are judged. */
  readonly count: number
  /** The share of outcomes at or below each promised quantile. */
  readonly levels: readonly { readonly level: number; readonly observed: number }[]
  readonly coverage90: number
  readonly coverage95: number
  readonly coverage99: number
  /** Geometric mean of promised p99 ÷ median. */
  readonly spread99: number
  /** Outcomes by tenth of what was promised: even is perfect. */
  readonly pit: readonly number[]
}

export class Reliability {
  /** Of each of the last outcomes, how many of `JUDGED_LEVELS` it was above; the oldest is overwritten. */
  readonly #window = new Uint8Array(WINDOW)
  readonly #counts = new Array<number>(JUDGED_LEVELS.length + 1).fill(0)
  #heard = 0
  #spread99Ln = 0

  observe({ kept, spread99Ln }: Told): void {
    const at = this.#heard % WINDOW
    if (this.#heard >= WINDOW) this.#count(this.#window[at] ?? 0, -1)
    let above = 0
    while (above < JUDGED_LEVELS.length && kept > (JUDGED_LEVELS[above] ?? 1)) above++
    this.#window[at] = above
    this.#count(above, 1)
    this.#heard++
    this.#spread99Ln += (spread99Ln - this.#spread99Ln) / this.count
  }

  /** Undefined before the first outcome. */
  get judged(): Judged | undefined {
    const { count } = this
    if (count === 0) return undefined
    let below = 0
    const held = JUDGED_LEVELS.map((_, at) => {
      below += this.#counts[at] ?? 0
      return below / count
    })
    const tenths = this.#counts.slice(0, TENTHS - 1)
    const [coverage90 = 0, coverage95 = 0, coverage99 = 0] = held.slice(-3)
    return {
      count,
      levels: JUDGED_LEVELS.map((level, at) => ({ level, observed: held[at] ?? 0 })),
      coverage90,
      coverage95,
      coverage99,
      spread99: Math.exp(this.#spread99Ln),
      pit: [...tenths, count - tenths.reduce((sum, each) => sum + each, 0)]
    }
  }

  /** Outcomes that are judged. */
  get count(): number {
    return Math.min(this.#heard, WINDOW)
  }

  #count(above: number, by: number): void {
    this.#counts[above] = (this.#counts[above] ?? 0) + by
  }
}
