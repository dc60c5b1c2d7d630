/** What learns, predicts and chooses on this node, as the HTTP server sees it: `OptimizerPort` over `node/optimizer/`. */
import type { OptimizerPort, PredictionDetail } from '../../api/ports.ts'
import { AppError } from '../../base/errors.ts'
import { DEADLINES } from '../../base/wire/deadlines.ts'
import type { ModelCalibration, ModelStatus, ModelView, PolicyView } from '../../base/wire/optimizer.ts'
import { AUTO_POLICY } from '../../base/wire/optimizer.ts'
import type { EstimatorStatus } from '../../optimizer/estimator/learned.ts'
import type { NodeRuntime } from '../../runtime/node-runtime.ts'
import type { Draft } from '../../runtime/proposals/forwarder.ts'
import { acceptsPlacements, obstacle } from '../../scheduler/eligibility.ts'
import { PlannedNode } from '../../scheduler/planner/node-view.ts'
import { viewOfTask } from '../../scheduler/planner/task-view.ts'
import { modelIn } from '../../scheduler/state.ts'
import type { ModelRecord, Task } from '../../scheduler/types.ts'
import type { Advisor } from '../../optimizer/advice/advisor.ts'
import { createAdvice, type Advice } from '../advice/advice.ts'
import type { Learning } from '../optimizer/learning.ts'
import { OFFERED_POLICIES } from '../optimizer/policies.ts'
import { comparePolicies } from './policy-comparison.ts'

/** Quantiles that `explain` shows. */
const SHOWN_QUANTILES = [0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99] as const

export function createOptimizerPort(runtime: NodeRuntime, learning: Learning): OptimizerPort {
  const advice = currentAdvice(runtime, learning)
  const propose = async (draft: Draft): Promise<void> => {
    await runtime.propose(draft, DEADLINES.changeMs)
  }
  let comparing = false
  return {
    outlook: (task) => advice().outlook(task),
    etas: (tasks) => advice().etas(tasks),
    submissionEta: (first, count) => advice().submissionEta(first, count),
    groupOutlook: (group) => advice().groupOutlook(group),
    expectedMs: (task) => advice().expectedMs(task),
    alarms: () => advice().alarms(),
    suggestions: (name) => advice().suggestions(name),
    get catchingUp() {
      return learning.catchingUp
    },
    policy: () => policyView(runtime),
    setPolicy: (name) =>
      propose({
        type: 'set-settings',
        settings: name === AUTO_POLICY ? { policyMode: 'auto' } : { policy: name, policyMode: 'fixed' },
        reason: 'an operator chose it'
      }),
    compare: async (request) => {
      if (comparing) throw new AppError('OVERLOADED', 'another comparison is under way on this node')
      comparing = true
      try {
        return await comparePolicies(runtime.state, learning, request)
      } finally {
        comparing = false
      }
    },
    models: () => [...runtime.state.models.values()].map(modelView).sort((a, b) => b.version - a.version),
    modelStatus: () => modelStatus(runtime, learning),
    calibration: () => calibration(learning),
    promote: (version, reason) =>
      propose({ type: 'judge-model', version, verdict: 'promote', toPrevious: false, reason }),
    rollBack: (named, reason) => rollBack(runtime, named, reason),
    setModelMode: (mode) => propose({ type: 'set-settings', settings: { modelMode: mode } }),
    explain: (task) => explain(runtime, learning, task)
  }
}

/** A snapshot replaces the state and with it the advisor; what was forecast of the old one is of no use then. */
function currentAdvice(runtime: NodeRuntime, learning: Learning): () => Advice {
  let made: { readonly advisor: Advisor; readonly advice: Advice } | undefined
  return () => {
    const { advisor } = learning
    if (made?.advisor !== advisor) {
      const advice = createAdvice({
        advisor,
        state: runtime.state,
        now: () => Date.now(),
        elapsed: () => performance.now(),
        soon: (callback) => {
          setImmediate(callback)
        },
        ownAlarms: () => learning.alarms()
      })
      made = { advisor, advice }
    }
    return made.advice
  }
}

/** A version that was named and is rolled back already is what was asked for: the first answer may have been lost. */
async function rollBack(runtime: NodeRuntime, named: number | undefined, reason: string): Promise<void> {
  const version = named ?? modelIn(runtime.state, 'serving')?.version
  if (version === undefined) throw new AppError('MODEL_NOT_FOUND', 'no model serves')
  const verdict = {
    type: 'judge-model',
    verdict: 'roll-back',
    expected: 'serving',
    toPrevious: true
  } as const
  try {
    await runtime.propose({ ...verdict, version, reason }, DEADLINES.changeMs)
  } catch (error) {
    const isRepeat = named !== undefined && runtime.state.models.get(named)?.state === 'rolled-back'
    if (!(error instanceof AppError) || error.code !== 'MODEL_STATE_INVALID' || !isRepeat) throw error
  }
}

function policyView(runtime: NodeRuntime): PolicyView {
  const { running, failures, decisions } = runtime.policyStatus
  const { policy, policyMode, policyChange } = runtime.state.settings
  return {
    current: policy,
    mode: policyMode,
    ...(policyChange === undefined ? {} : { since: policyChange.at, lastSwitch: policyChange }),
    ...(running === undefined ? {} : { running }),
    available: OFFERED_POLICIES.map(({ name, about }) => ({ name, about })),
    ...(decisions.count === 0 ? {} : { decisions: { ...decisions } }),
    fallbacks: failures
  }
}

function modelView(model: ModelRecord): ModelView {
  const { version, state, publishedAt, changedAt, trainedOn, weights, reason } = model
  const evaluation = parsed(model.evaluation)
  return {
    version,
    state,
    publishedAt,
    changedAt,
    trainedOn,
    sizeBytes: weights.length,
    ...(evaluation === undefined ? {} : { evaluation }),
    reason
  }
}

/** What a trainer wrote is opaque to the log, so it may be anything. */
function parsed(evaluation: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(evaluation))
  } catch {
    return undefined
  }
}

function modelStatus(runtime: NodeRuntime, learning: Learning): ModelStatus {
  const { trainer } = learning
  const status = learning.estimator.status()
  const serving = modelIn(runtime.state, 'serving')
  const shadow = modelIn(runtime.state, 'shadow')
  const { backend, steps = 0, cpuShare = 0 } = trainer.progress ?? {}
  return {
    mode: learning.mode,
    node: runtime.nodeId,
    leading: runtime.reigning,
    ...(serving === undefined ? {} : { serving: modelView(serving) }),
    predictedBy: learning.predictedBy,
    ...(shadow === undefined ? {} : { shadow: modelView(shadow) }),
    trainer: {
      state: learning.trainerState,
      ...(backend === undefined ? {} : { backend }),
      cpuShare,
      rows: learning.rows,
      trainAfter: learning.trainAfter,
      steps,
      restarts: trainer.restarts
    },
    predictions: accuracyOf(status),
    experts: { ...status.hedge },
    driftingClasses: status.driftingClasses,
    memoryBytes: process.memoryUsage().rss,
    alarms: learning.alarms()
  }
}

function accuracyOf(status: EstimatorStatus): ModelStatus['predictions'] {
  const { outcomes, maeLn, coverage90, coverage99 } = status
  return {
    count: outcomes,
    ...(maeLn === undefined ? {} : { maeLn }),
    ...(coverage90 === undefined ? {} : { coverage90 }),
    ...(coverage99 === undefined ? {} : { coverage99 })
  }
}

function calibration(learning: Learning): ModelCalibration {
  const { maeLn, reliability } = learning.estimator.status()
  const { count, by50, by90 } = learning.advisor.record
  const all = reliability.all.judged
  return {
    count: all?.count ?? 0,
    ...(maeLn === undefined ? {} : { maeLn }),
    // One source for these and for the levels below, or the reply would contradict itself.
    ...(all === undefined
      ? {}
      : { coverage90: all.coverage90, coverage99: all.coverage99, spread99: all.spread99 }),
    reliability: all === undefined ? [] : [...all.levels],
    eta: {
      count,
      ...(by50 === undefined ? {} : { heldP50: by50 }),
      ...(by90 === undefined ? {} : { heldP90: by90 })
    },
    tenants: [...reliability.tenants].flatMap(([tenant, { judged }]) => {
      if (judged === undefined) return []
      const { count, coverage90, coverage95, coverage99, spread99, pit } = judged
      return [{ tenant, count, coverage90, coverage95, coverage99, spread99, pit: [...pit] }]
    })
  }
}

function explain(runtime: NodeRuntime, learning: Learning, task: Task): PredictionDetail {
  const { estimator } = learning
  const view = viewOfTask(task)
  const on = task.placement === undefined ? undefined : runtime.state.nodes.get(task.placement.node)
  const { experts, typicalMs, features } = estimator.explain(
    view,
    on === undefined ? undefined : new PlannedNode(on)
  )
  const nodes = [...runtime.state.nodes.values()].filter(
    (node) => acceptsPlacements(node) && obstacle(task.spec, node.offer) === undefined
  )
  // A prediction is valid until the next one.
  const typical = estimator.predict(view)
  const quantiles = SHOWN_QUANTILES.map((q) => ({ q, ms: typical.quantileMs(q) }))
  return {
    quantiles,
    experts: experts.map((expert) => ({ ...expert })),
    typicalMs,
    contributions: features.map(({ name, factor }) => ({ feature: name, factor })),
    nodes: nodes.map((node) => ({
      node: node.id,
      medianMs: estimator.predict(view, new PlannedNode(node)).medianMs
    }))
  }
}
