/**
 * Answers what the node asks of its optimizer thread: replays of recent history under policies and models, and judgements.
 */
import { AppError } from '../../base/errors.ts'
import type { Estimator } from '../../optimizer/estimate.ts'
import { hourOfUtc } from '../../optimizer/estimator/features.ts'
import { createLearnedEstimator } from '../../optimizer/estimator/learned.ts'
import { decodeModel } from '../../optimizer/estimator/weights.ts'
import type { History } from '../../optimizer/guard/history.ts'
import { judge, type ReplayEvidence, type Verdict } from '../../optimizer/guard/promotion.ts'
import { compareOnRecent, FEWEST_REPLAYED, isMostlyKnown, type Player } from '../../optimizer/guard/recent.ts'
import { TrustedEstimator } from '../../optimizer/guard/trusted-estimator.ts'
import { OFFERED_POLICIES } from './policies.ts'
import type { ContenderSpec, JudgeRequest, ReplayAnswer, ReplayRequest } from './protocol.ts'

/** Who paces the work. */
interface Pacing {
  /** Called between pieces of it. */
  readonly pace: () => void
  /** A contender's turn begins. */
  readonly part: () => void
}

const NOBODY: Pacing = { pace: () => undefined, part: () => undefined }

/** Replays, with estimators that are trusted as in a cluster (`trusted`); throws INVALID_REQUEST when there is too little history. */
export function answerReplay(
  history: History,
  request: ReplayRequest,
  pacing = NOBODY,
  trusted: (estimator: Estimator) => Estimator = (estimator) => new TrustedEstimator(estimator)
): ReplayAnswer {
  const { count, nodes, unended, contenders } = request
  const [base, ...others] = contenders.map((contender) => player(contender, pacing, trusted))
  if (base === undefined) throw new AppError('INVALID_REQUEST', 'got no policies, expected at least one')
  const known = history.newest(history.size)
  return compareOnRecent(known, count, nodes, unended, base, others, pacing.pace)
}

/** Judges a shadow. Without enough history, its losses decide alone. */
export function answerJudge(history: History, request: JudgeRequest, pacing = NOBODY): Verdict {
  const { incumbent, challenger, last } = request
  return judge({ incumbent, challenger, replay: evidenceOf(history, request.replay, pacing) }, last)
}

function evidenceOf(history: History, request: ReplayRequest | undefined, pacing: Pacing): ReplayEvidence {
  if (request === undefined || history.size < FEWEST_REPLAYED) return undefined
  let comparison: ReplayAnswer
  try {
    // Each model's own word, since that is what is judged.
    comparison = answerReplay(history, request, pacing, (estimator) => estimator)
  } catch {
    // The base failed, or nothing could be replayed: that says nothing about the challenger.
    return undefined
  }
  const [failure] = comparison.failures
  if (failure !== undefined) return { failed: failure.message }
  const result = comparison.results[1]
  return result === undefined ? undefined : { ...result, isMostlyKnown: isMostlyKnown(comparison) }
}

function player(
  { name, policy, weights }: ContenderSpec,
  { part }: Pacing,
  trusted: (estimator: Estimator) => Estimator
): Player {
  const offered = OFFERED_POLICIES.find((other) => other.name === policy)
  if (offered === undefined) {
    const expected = OFFERED_POLICIES.map((other) => other.name).join(', ')
    throw new AppError('INVALID_REQUEST', `policy: got "${policy}", expected one of ${expected}`)
  }
  return {
    name,
    make: (tell, fromAt) => {
      part()
      const learned = createLearnedEstimator({ rows: false, hourOf: (now) => hourOfUtc(fromAt + now) })
      const estimator = trusted(learned)
      tell(estimator)
      if (weights !== undefined) learned.useModel(decodeModel(weights))
      return offered.factory(estimator, true)
    }
  }
}
