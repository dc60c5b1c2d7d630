/** What a promise keeps of the distribution that it was made from: ln of the run times that stand at a row of levels. */
import { LARGEST_LOGIT, logistic } from './levels.ts'

/** Logits at which a promise keeps what was promised from. */
const FIRST_RUNG = -2.25
const RUNGS_A_LOGIT = 4
const RUNGS = Float64Array.from(
  { length: 1 + (LARGEST_LOGIT - FIRST_RUNG) * RUNGS_A_LOGIT },
  (_, rung) => FIRST_RUNG + rung / RUNGS_A_LOGIT
)

export const NO_LADDER = new Float32Array(0)

/** The ladder of a distribution: `msAt` is the run time below which lies this share of it. */
export function ladderOf(msAt: (level: number) => number): Float32Array {
  return Float32Array.from(RUNGS, (rung) => Math.log(msAt(logistic(rung))))
}

/** The run time that stands at this logit. */
export function msOn(ladder: Float32Array, at: number): number {
  const place = Math.max(0, Math.min(ladder.length - 1, (at - FIRST_RUNG) * RUNGS_A_LOGIT))
  const below = Math.floor(place)
  const ln = ladder[below] ?? 0
  return Math.exp(ln + (place - below) * ((ladder[below + 1] ?? ln) - ln))
}
