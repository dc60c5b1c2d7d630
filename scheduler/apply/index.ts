/**
 * `apply`: one log entry into the state. The rules of each family of commands stand in their own files.
 *
 * 1. Total and deterministic: it reads the state and the entry only, and a command that does not hold changes nothing; the
 *    refusal is an outcome or an event. A throw is a bug, which stops this node's apply and names the command.
 * 2. A command touches the tasks that it names (at most LIMITS.batchTasks) and passes their ends on to at most
 *    LIMITS.batchTasks more. What is left over is in state, and `planner/duties.ts` has any leader drive it on.
 * 3. State time never falls.
 */
import { InvariantError } from '../../base/invariant.ts'
import { unreachable } from '../../base/invariant.ts'
import { taskId } from '../../base/ids.ts'
import { LIMITS } from '../../base/limits.ts'
import type { Command, CommandBatch, Origin } from '../commands.ts'
import type { SchedulerEvent } from '../events.ts'
import type { SchedulerState } from '../state.ts'
import type { Outcome } from '../types.ts'
import { applyReport } from './completion.ts'
import type { ApplyContext } from './context.ts'
import { refuse } from './context.ts'
import { applyJudge, applyPublish } from './models.ts'
import { applyAnnounce, applyEndIncarnation, applyLeave, applyRegister, applyRemove } from './nodes.ts'
import { once } from './outcomes.ts'
import { applyPlace, applyPlaceCopy, applyStart } from './placement.ts'
import { applyExpireKeys, applyRetire } from './retention.ts'
import { applySettings } from './settings.ts'
import { applyCancel, applyExpire, applyStop } from './stopping.ts'
import { applySubmit } from './submit.ts'
import { makeReady, spread } from './transitions.ts'

/** Applies one log entry; appends what happened to `events`. Never throws on a batch that `decodeBatch` returned. */
export function applyBatch(state: SchedulerState, batch: CommandBatch, events: SchedulerEvent[]): void {
  if (batch.stampedAt > state.time) state.time = batch.stampedAt
  state.changes.counters = true
  const ctx: ApplyContext = { state, events, budget: 0 }
  for (const [index, command] of batch.commands.entries()) {
    ctx.budget = LIMITS.batchTasks
    try {
      applyCommand(ctx, command)
      if (state.spreading.size > 0) spread(ctx)
    } catch (error) {
      const cause = error instanceof Error ? error.message : String(error)
      throw new InvariantError(`apply threw at command ${index} (${command.type}) of an entry: ${cause}`)
    }
  }
}

function applyCommand(ctx: ApplyContext, command: Command): void {
  switch (command.type) {
    case 'submit':
      once(ctx, command.origin, () => applySubmit(ctx, command))
      return
    case 'cancel':
      once(ctx, command.origin, () => applyCancel(ctx, command))
      return
    case 'place':
      applyPlace(ctx, command)
      return
    case 'place-copy':
      applyPlaceCopy(ctx, command)
      return
    case 'start':
      applyStart(ctx, command)
      return
    case 'complete':
      applyReport(ctx, command.report, command.retryDelayMs)
      return
    case 'stop':
      applyStop(ctx, command)
      return
    case 'wake':
      wake(ctx)
      return
    case 'expire':
      applyExpire(ctx, command)
      return
    case 'register-node':
      applyRegister(ctx, command)
      return
    case 'announce':
      applyAnnounce(ctx, command)
      return
    case 'end-incarnation':
      applyEndIncarnation(ctx, command)
      return
    case 'leave':
      whetherAsked(ctx, command, () => applyLeave(ctx, command))
      return
    case 'remove-node':
      whetherAsked(ctx, command, () => applyRemove(ctx, command))
      return
    case 'set-settings':
      whetherAsked(ctx, command, () => applySettings(ctx, command))
      return
    case 'publish-model':
      whetherAsked(ctx, command, () => applyPublish(ctx, command))
      return
    case 'judge-model':
      whetherAsked(ctx, command, () => applyJudge(ctx, command))
      return
    case 'retire':
      applyRetire(ctx, command)
      return
    case 'expire-keys':
      applyExpireKeys(ctx)
      return
    default:
      unreachable(command)
  }
}

/** Runs a command that may have an origin: with one its outcome is kept, without one a refusal is an event. */
function whetherAsked(
  ctx: ApplyContext,
  command: Command & { readonly origin?: Origin },
  run: () => Outcome
): void {
  if (command.origin !== undefined) {
    once(ctx, command.origin, run)
    return
  }
  const outcome = run()
  if (outcome.ok) return
  const node = 'node' in command ? command.node : undefined
  refuse(ctx, command.type, node, outcome.code, outcome.message)
}

function wake(ctx: ApplyContext): void {
  const { state } = ctx
  for (let woken = 0; woken < LIMITS.batchTasks; woken++) {
    const id = state.delayed.popDue(state.time)
    const task = id === undefined ? undefined : state.tasks.get(taskId(id))
    if (task === undefined) return
    makeReady(ctx, task)
  }
}
