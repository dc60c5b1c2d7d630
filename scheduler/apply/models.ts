/**
 * `publish-model` and `judge-model`: versions of the model and which of them serves. Whether a model is any good was worked
 * out by the proposer; here stands only which changes of state there are.
 *
 * 1. At most one model serves and at most one is a shadow.
 * 2. A version is never used again. Of more than LIMITS.keptModels the one goes that left its last state first; the serving
 *    one, the shadow and the one that a roll-back would return to stay.
 * 3. A model that never served is never returned to by a roll-back.
 */
import { LIMITS } from '../../base/limits.ts'
import { timestampMs } from '../../base/units.ts'
import { remove, touch } from '../changes.ts'
import type { JudgeModelCommand, PublishModelCommand } from '../commands.ts'
import { modelIn } from '../state.ts'
import type { SchedulerState } from '../state.ts'
import type { ModelRecord, ModelState, Outcome } from '../types.ts'
import type { ApplyContext } from './context.ts'
import { accepted, rejected } from './context.ts'

export function applyPublish(ctx: ApplyContext, command: PublishModelCommand): Outcome {
  const { state } = ctx
  const { weights, trainedOn, evaluation } = command
  const refusal =
    sizeRefusal('weights', weights.length, 1, LIMITS.modelBytes) ??
    sizeRefusal('evaluation', evaluation.length, 0, LIMITS.modelEvaluationBytes)
  if (refusal !== undefined) return refusal
  const version = state.nextModelVersion++
  const shadow = modelIn(state, 'shadow')
  if (shadow !== undefined) change(ctx, shadow, 'retired', `version ${version} was published`)
  const model: ModelRecord = {
    rowFlags: 0,
    hashA: 0,
    hashB: 0,
    version,
    state: 'shadow',
    trainedOn,
    publishedAt: state.time,
    servedAt: timestampMs(0),
    changedAt: state.time,
    reason: 'published',
    evaluation,
    weights
  }
  state.models.set(version, model)
  touch(state.changes.models, model)
  ctx.events.push({ type: 'model-changed', version })
  dropOldest(ctx)
  return accepted({ type: 'model', version })
}

export function applyJudge(ctx: ApplyContext, command: JudgeModelCommand): Outcome {
  const { state } = ctx
  const { version, verdict, expected, reason, evaluation } = command
  const model = state.models.get(version)
  if (model === undefined) return rejected('MODEL_NOT_FOUND', `there is no model ${version}`)
  const refusal =
    sizeRefusal('reason', reason.length, 0, LIMITS.modelReasonLength) ??
    sizeRefusal('evaluation', evaluation?.length ?? 0, 0, LIMITS.modelEvaluationBytes)
  if (refusal !== undefined) return refusal
  if (expected !== undefined && model.state !== expected) return wrongState(model, expected)
  switch (verdict) {
    case 'promote':
      if (model.state === 'serving') return wrongState(model, 'any other')
      promote(ctx, model, reason)
      break
    case 'reject':
      if (model.state !== 'shadow') return wrongState(model, 'shadow')
      change(ctx, model, 'rejected', reason)
      break
    case 'roll-back':
      if (model.state !== 'serving') return wrongState(model, 'serving')
      rollBack(ctx, model, command)
      break
  }
  if (evaluation !== undefined) model.evaluation = evaluation
  return accepted({ type: 'model', version })
}

function sizeRefusal(field: string, got: number, least: number, most: number): Outcome | undefined {
  if (got >= least && got <= most) return undefined
  return rejected('LIMIT_EXCEEDED', `${field}: got a length of ${got}, expected ${least} to ${most}`)
}

function wrongState(model: ModelRecord, expected: string): Outcome {
  return rejected(
    'MODEL_STATE_INVALID',
    `model ${model.version}: got state ${model.state}, expected ${expected}`
  )
}

function promote(ctx: ApplyContext, model: ModelRecord, reason: string): void {
  const serving = modelIn(ctx.state, 'serving')
  if (serving !== undefined) change(ctx, serving, 'retired', `version ${model.version} took its place`)
  change(ctx, model, 'serving', reason)
}

function rollBack(ctx: ApplyContext, model: ModelRecord, { toPrevious, reason }: JudgeModelCommand): void {
  const previous = toPrevious ? previousOf(ctx.state) : undefined
  change(ctx, model, 'rolled-back', reason)
  if (previous !== undefined) change(ctx, previous, 'serving', `version ${model.version} was rolled back`)
}

function change(ctx: ApplyContext, model: ModelRecord, to: ModelState, reason: string): void {
  const { state } = ctx
  model.state = to
  model.changedAt = state.time
  if (to === 'serving') model.servedAt = state.time
  model.reason = reason
  touch(state.changes.models, model)
  ctx.events.push({ type: 'model-changed', version: model.version })
}

/** The retired model that served last. */
function previousOf(state: SchedulerState): ModelRecord | undefined {
  let last: ModelRecord | undefined
  for (const model of state.models.values()) {
    if (model.state !== 'retired' || model.servedAt === 0) continue
    if (last === undefined || isAfter(model.servedAt, model, last.servedAt, last)) last = model
  }
  return last
}

function dropOldest(ctx: ApplyContext): void {
  const { state } = ctx
  if (state.models.size <= LIMITS.keptModels) return
  const previous = previousOf(state)
  let oldest: ModelRecord | undefined
  for (const model of state.models.values()) {
    if (model.state === 'serving' || model.state === 'shadow' || model === previous) continue
    if (oldest === undefined || isAfter(oldest.changedAt, oldest, model.changedAt, model)) oldest = model
  }
  if (oldest === undefined) return
  state.models.delete(oldest.version)
  remove(state.changes.models, oldest)
  ctx.events.push({ type: 'model-changed', version: oldest.version })
}

/** By time, then by version. */
function isAfter(at: number, model: ModelRecord, otherAt: number, other: ModelRecord): boolean {
  return at > otherAt || (at === otherAt && model.version > other.version)
}
