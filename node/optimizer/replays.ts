/**
 * Answers replay requests over a history: what would have become of its newest tasks under other policies or models.
 *
 * Speeds of nodes are fitted on what is older than the stretch that is replayed, and estimators begin with it; within the
 * stretch they learn as they would have, at completion.
 */
import { AppError } from '../../base/errors.ts'
import type { NodeId } from '../../base/ids.ts'
import { compare, type Comparison, type Contender } from '../../optimizer/guard/compare.ts'
import { feedbackOf, momentsOf, viewOf, type History, type Moment } from '../../optimizer/guard/history.ts'
import { fitNodeSpeeds } from '../../optimizer/guard/node-speeds.ts'
import { judge, type ReplayEvidence, type Verdict } from '../../optimizer/guard/promotion.ts'
import { createReplay } from '../../optimizer/guard/replay.ts'
import { LiveNode } from '../../optimizer/sim/view.ts'
import type { NodeView } from '../../scheduler/policy.ts'
import { createLearnedEstimator } from '../../optimizer/estimator/learned.ts'
import { decodeModel } from '../../optimizer/estimator/weights.ts'
import { OFFERED_POLICIES } from './policies.ts'
import type { ContenderSpec, JudgeRequest, ReplayAnswer, ReplayRequest } from './protocol.ts'

/** Fewer tasks than these say nothing about a policy. */
const FEWEST_REPLAYED = 20

/** Replays; throws INVALID_REQUEST when there is too little history. */
export function answerReplay(history: History, request: ReplayRequest): ReplayAnswer {
  const all = history.newest(history.size)
  const replayed = all.slice(Math.max(0, all.length - request.count))
  const older = all.slice(0, all.length - replayed.length)
  const speeds: ReadonlyMap<NodeId, number> = fitNodeSpeeds(older)
  const replay = createReplay(replayed, request.nodes, speeds)
  if (replay === undefined || replay.workload.tasks.length < FEWEST_REPLAYED) {
    const got = replay?.workload.tasks.length ?? 0
    throw new AppError(
      'INVALID_REQUEST',
      `got ${got} ended tasks to replay, expected at least ${FEWEST_REPLAYED}`
    )
  }
  // What runs in the simulator has no executor of its own name; classes must be the same before and after.
  const moments = momentsOf(older.map((task) => ({ ...task, executor: 'sim', handler: '' })))
  const hosts = new Map(replay.cluster.map((node) => [node.id, new LiveNode(node)] as const))
  const [base, ...others] = request.contenders.map((spec) => contender(spec, moments, hosts))
  if (base === undefined) throw new AppError('INVALID_REQUEST', 'got no policies, expected at least one')
  return {
    ...compare(replay, base, others),
    tasks: replay.workload.tasks.length,
    fromAt: replay.fromAt,
    toAt: replay.toAt,
    load: replay.load,
    leftOut: replay.leftOut
  }
}

/** Judges a shadow. Without enough history, its losses decide alone. */
export function answerJudge(history: History, request: JudgeRequest): Verdict {
  const { incumbent, challenger, last } = request
  return judge({ incumbent, challenger, replay: evidenceOf(history, request.replay) }, last)
}

function evidenceOf(history: History, request: ReplayRequest | undefined): ReplayEvidence {
  if (request === undefined || history.size < FEWEST_REPLAYED) return undefined
  let comparison: Comparison
  try {
    comparison = answerReplay(history, request)
  } catch {
    // The base failed, or nothing could be replayed: that says nothing about the challenger.
    return undefined
  }
  const [failure] = comparison.failures
  return failure === undefined ? comparison.results[1] : { failed: failure.message }
}

function contender(
  spec: ContenderSpec,
  moments: readonly Moment[],
  hosts: ReadonlyMap<NodeId, NodeView>
): Contender {
  const policy = OFFERED_POLICIES.find(({ name }) => name === spec.policy)
  if (policy === undefined) {
    const expected = OFFERED_POLICIES.map(({ name }) => name).join(', ')
    throw new AppError('INVALID_REQUEST', `policy: got "${spec.policy}", expected one of ${expected}`)
  }
  return {
    name: spec.name,
    make: (rng) => {
      const estimator = createLearnedEstimator()
      for (const { task, at, ended } of moments) {
        const host = hosts.get(task.node)
        if (ended) estimator.observe(feedbackOf(task))
        else if (host !== undefined) estimator.placed(viewOf(task), host, at)
      }
      if (spec.weights !== undefined) estimator.useModel(decodeModel(spec.weights))
      return policy.factory(estimator, true)(rng)
    }
  }
}
