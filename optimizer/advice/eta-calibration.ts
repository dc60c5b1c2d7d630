/**
 * Corrects forecasts by how earlier ones turned out: later submissions, start-up times and misjudged classes delay tasks
 * in ways that no single future knows.
 *
 * The p50's distance from the time of the forecast and the p90's distance from the p50 are each stretched by a factor that rises when a
 * task finished later and falls when it did not, in the proportion that makes the stated share come true in the long run (Robbins & Monro,
 * 1951, on the factor's logarithm; for the adaptive form see Gibbs & Candès, 2021).
 *
 * 1. p50 < p90 whatever is learned, by `LEAST_GAP`, and a task whose p50 was forecast before another's is still shown before it: stretched
 *    from the same point, the two would cross where forecasts that were wide at first have become narrow. But nothing is shown beyond what
 *    timeouts allow, where the two may meet.
 * 2. What is remembered is bounded; a forecast counts once, when its task has finished, and for less the more others were open when it was
 *    made: what is wrong of a class is wrong of all that wait with it. So a burst of n tasks that all come late moves the factors by the
 *    logarithm of n, as it does corrections of run times (`conformal.ts`).
 * 3. `record` judges the first forecast of a task, as it was shown. The factors forget one that was later cut to less than
 *    half: what was forecast before anything was known of a class says nothing of later forecasts. One that was put off stands:
 *    tasks that come late are what is to be learned.
 */
import type { TaskId } from '../../base/ids.ts'
import type { Moment } from './moment.ts'

const RATE = 0.05
const LEAST = 0.25
const MOST = 16
/** The p90's least distance from the p50, as a share of the p50's from the time of the forecast: no forecast is surer than that. */
const LEAST_GAP = 0.05
const REMEMBERED = 500
const REVISION = 2
/**
 * So many open forecasts halve what one counts for. Of 4, 8, 16, 30 and any number the best that p90 bears, over simulated clusters whose
 * classes come and change, with start-up times that nobody predicts and without.
 */
const HALVED_BY = 16

interface Remembered {
  /** As it was shown first. */
  readonly shown: Moment
  readonly weight: number
  madeAt: number
  moment: Moment
}

export interface EtaRecord {
  readonly count: number
  /** The shares of finishes by the p50 and p90 that were shown first; absent before the first. */
  readonly by50?: number
  readonly by90?: number
}

export class EtaCalibration {
  readonly #remembered = new Map<TaskId, Remembered>()
  #stretch50 = 1
  #stretchGap = 1
  #judged = 0
  #by50 = 0
  #by90 = 0

  /** What has been judged. */
  get record(): EtaRecord {
    const count = this.#judged
    return count === 0 ? { count } : { count, by50: this.#by50 / count, by90: this.#by90 / count }
  }

  /** The moment as it is to be shown. */
  correct(madeAt: number, moment: Moment): Moment {
    const { p50At, p90At } = this.#stretched(madeAt, moment)
    const { latestAt = Infinity } = moment
    return { p50At: Math.min(p50At, latestAt), p90At: Math.min(p90At, latestAt) }
  }

  #stretched(madeAt: number, moment: Moment): Moment {
    const left = moment.p50At - madeAt
    const p50At = madeAt + left * this.#stretch50
    const gap = Math.max(moment.p90At - moment.p50At, LEAST_GAP * left) * this.#stretchGap
    return { p50At, p90At: p50At + Math.max(gap, LEAST_GAP * (p50At - madeAt)) }
  }

  /** Keeps the uncorrected forecast of a task's finish, to be judged later. */
  remember(id: TaskId, madeAt: number, moment: Moment): void {
    const open = this.#remembered.size
    if (this.#remembered.has(id) || open >= REMEMBERED) return
    const weight = 1 / (1 + open / HALVED_BY)
    this.#remembered.set(id, { shown: this.correct(madeAt, moment), weight, madeAt, moment })
  }

  /** There is a new forecast, made at `madeAt`. */
  revise(madeAt: number, finishOf: (id: TaskId) => Moment | undefined): void {
    for (const [id, kept] of this.#remembered) {
      const moment = finishOf(id)
      if (moment === undefined) continue
      const before = Math.max(1, kept.moment.p50At - madeAt)
      const after = Math.max(1, moment.p50At - madeAt)
      if (before < REVISION * after) continue
      kept.madeAt = madeAt
      kept.moment = moment
    }
  }

  /** The task succeeded at `at`. */
  finished(id: TaskId, at: number): void {
    const kept = this.#remembered.get(id)
    if (kept === undefined) return
    this.#remembered.delete(id)
    this.#judged++
    if (at <= kept.shown.p50At) this.#by50++
    if (at <= kept.shown.p90At) this.#by90++
    // As if there were no timeouts: beyond what they allow a factor would change nothing.
    const now = this.#stretched(kept.madeAt, kept.moment)
    const { weight } = kept
    this.#stretch50 = moved(this.#stretch50, at <= now.p50At, 0.5, weight)
    this.#stretchGap = moved(this.#stretchGap, at <= now.p90At, 0.9, weight)
  }

  /** The task ended in another way: its forecast says nothing. */
  forget(id: TaskId): void {
    this.#remembered.delete(id)
  }

  /** Forgets all others. */
  keepOnly(lives: (id: TaskId) => boolean): void {
    for (const id of this.#remembered.keys()) if (!lives(id)) this.#remembered.delete(id)
  }
}

function moved(stretch: number, kept: boolean, level: number, weight: number): number {
  const step = weight * (kept ? -(1 - level) : level)
  return Math.min(MOST, Math.max(LEAST, stretch * Math.exp(RATE * step)))
}
