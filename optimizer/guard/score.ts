/**
 * How well predicted distributions met what came, prequentially: every loss was worked out on an attempt that the model
 * had not been trained on.
 *
 * A loss is −ln(probability that was given to what happened), in nats, clipped to [0, `MAX_LOSS`]: a model that answers
 * with NaN, or rules out what happens, loses as much as a model can and no more.
 */
import { blockLength, pairedDifference } from '../lab/statistics.ts'
import type { PairedDifference } from '../lab/statistics.ts'

/** The loss of a probability of about 1 in 22,000. */
export const MAX_LOSS = 10

/** The loss of having given this probability (or density over a bin) to what happened. */
export function lossOf(probability: number): number {
  if (!(probability > 0)) return MAX_LOSS
  return Math.min(MAX_LOSS, Math.max(0, -Math.log(probability)))
}

/** Keeps a loss that was worked out elsewhere within bounds. */
export function boundedLoss(loss: number): number {
  return loss >= 0 ? Math.min(MAX_LOSS, loss) : Number.isNaN(loss) ? MAX_LOSS : 0
}

/**
 * What the challenger changes of the incumbent's loss, with the interval of this confidence: negative is better. Losses of
 * both are in the order in which attempts ended, over the same attempts.
 */
export function compareLosses(
  incumbent: ArrayLike<number>,
  challenger: ArrayLike<number>,
  confidence: number
): PairedDifference {
  const count = Math.min(incumbent.length, challenger.length)
  return pairedDifference(incumbent, challenger, { block: blockLength(count), confidence })
}
