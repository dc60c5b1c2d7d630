/** What is replayed for whom: two policies for the watch over the policy, two models for the guard of models. */
import type { History } from '../../optimizer/guard/history.ts'
import { NOTHING_UNENDED } from '../../optimizer/guard/unended.ts'
import type { SchedulerState } from '../../scheduler/state.ts'
import { HISTORY_TASKS, REPLAYED_TASKS } from './bounds.ts'
import { compareOnHistory } from './comparison.ts'
import type { ModelBook } from './model-book.ts'
import type { ReplayAnswer, ReplayRequest } from './protocol.ts'
import type { Trainer } from './trainer.ts'
import { unendedTasks } from './unended-tasks.ts'
import { nodeFacts } from './watching.ts'

/** What a replay is made of. */
export interface ReplayGround {
  readonly state: SchedulerState
  readonly book: ModelBook
  readonly history: History
}

/** Two policies to be compared. */
export interface PolicyReplay {
  readonly policies: readonly [base: string, other: string]
  /** Whether it is also of what has not ended. */
  readonly holdsUnended: boolean
}

/**
 * Replays recent history under the policies, the first being the base, with the model that serves: in the trainer's thread,
 * which has the history, or in one of its own where nothing is trained.
 */
export async function replayPolicies(
  { state, book, history }: ReplayGround,
  { policies, holdsUnended }: PolicyReplay,
  trainer: Trainer,
  signal: AbortSignal
): Promise<ReplayAnswer | undefined> {
  const tasks = tasksOf(history)
  const unended = holdsUnended ? await unendedTasks(state, history, tasks) : NOTHING_UNENDED
  const weights = weightsOf(state, book.serving?.version)
  const nodes = nodeFacts(state)
  if (trainer.running) {
    const contenders = policies.map((name) => ({ name, policy: name, weights }))
    const request = { type: 'replay', count: tasks, nodes, unended, contenders } as const
    return await trainer.ask<ReplayRequest>(request)
  }
  const newest = history.newest(HISTORY_TASKS)
  return await compareOnHistory({
    history: newest,
    tasks,
    nodes,
    unended,
    policies,
    weights,
    base: policies[0],
    signal
  })
}

/** The policy in use, with what serves and with the shadow; undefined without a shadow. */
export async function replayOfModels({
  state,
  book,
  history
}: ReplayGround): Promise<ReplayRequest | undefined> {
  const { shadow, serving } = book
  if (shadow === undefined) return undefined
  const { policy } = state.settings
  const inUse = serving?.model === undefined ? undefined : serving.version
  const count = tasksOf(history)
  return {
    type: 'replay',
    count,
    nodes: nodeFacts(state),
    unended: await unendedTasks(state, history, count),
    contenders: [
      { name: 'serving', policy, weights: weightsOf(state, inUse) },
      { name: 'shadow', policy, weights: weightsOf(state, shadow.version) }
    ]
  }
}

/** The other half is what node speeds are fitted on. */
function tasksOf(history: History): number {
  return Math.min(REPLAYED_TASKS, Math.ceil(history.size / 2))
}

function weightsOf(state: SchedulerState, version: number | undefined): Uint8Array | undefined {
  return version === undefined ? undefined : state.models.get(version)?.weights
}
