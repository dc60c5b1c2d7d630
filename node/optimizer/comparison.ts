/** Replays a node's recent history under several policies, in a thread of its own that ends with the answer. */
import { setImmediate } from 'node:timers/promises'
import { AppError } from '../../base/errors.ts'
import type { FinishedTask } from '../../optimizer/guard/history.ts'
import type { NodeFacts } from '../../optimizer/guard/replay.ts'
import type { Unended } from '../../optimizer/guard/unended.ts'
import { OptimizerThread } from './optimizer-thread.ts'
import type { ReplayAnswer } from './protocol.ts'

export interface HistoryComparison {
  /** In the order of ends; what had ended when the first of the last `tasks` arrived fits speeds and begins estimators. */
  readonly history: readonly FinishedTask[]
  readonly tasks: number
  readonly nodes: readonly NodeFacts[]
  readonly unended: Unended
  /** The policy that the others are compared with. */
  readonly base: string
  readonly policies: readonly string[]
  /** Weights of the model that serves; undefined for none. */
  readonly weights: Uint8Array | undefined
  readonly signal: AbortSignal
}

/** Tasks in one message, so that handing over a long history is many short turns. */
const BATCH = 200

/** Who is compared, the base first, each once. */
export function contendersOf(base: string, policies: readonly string[]): string[] {
  return [...new Set([base, ...policies])]
}

/** Errors: INVALID_REQUEST (too little history), OVERLOADED (the thread failed, or the caller is gone). */
export async function compareOnHistory(comparison: HistoryComparison): Promise<ReplayAnswer> {
  const { history, tasks, nodes, unended, base, policies, weights, signal } = comparison
  const thread = new OptimizerThread()
  const stop = (): void => {
    void thread.end()
  }
  signal.addEventListener('abort', stop)
  try {
    for (let at = 0; at < history.length && !signal.aborted; at += BATCH) {
      thread.post({ type: 'history', tasks: history.slice(at, at + BATCH) })
      await setImmediate()
    }
    if (signal.aborted) throw new AppError('OVERLOADED', 'the comparison was given up')
    const contenders = contendersOf(base, policies).map((name) => ({ name, policy: name, weights }))
    return await thread.ask({ type: 'replay', count: tasks, nodes, unended, contenders })
  } finally {
    signal.removeEventListener('abort', stop)
    await thread.end()
  }
}
