/** The reply to `POST /v1/policy/compare`: a replay of recent history, beside what really became of the same tasks. */
import type { ComparisonRequest } from '../../api/ports.ts'
import { AppError } from '../../base/errors.ts'
import { FEWEST_COMPARED, type PolicyComparison } from '../../base/wire/optimizer.ts'
import type { Recorded } from '../../optimizer/guard/compare.ts'
import type { Interval } from '../../optimizer/lab/statistics.ts'
import type { SchedulerState } from '../../scheduler/state.ts'
import type { Settings } from '../../scheduler/types.ts'
import { HISTORY_TASKS } from '../optimizer/bounds.ts'
import { compareOnHistory } from '../optimizer/comparison.ts'
import type { Learning } from '../optimizer/learning.ts'
import type { ReplayAnswer } from '../optimizer/protocol.ts'
import { unendedTasks } from '../optimizer/unended-tasks.ts'
import { nodeFacts } from '../optimizer/watching.ts'

/** Of the history, at most so much is replayed; the rest is what estimators and speeds begin with. */
const MOST_REPLAYED = 0.75
/** A replay that is further than this factor from what was recorded is explained. */
const TOLERATED_FACTOR = 1.5

type Gain = PolicyComparison['policies'][number]['gain']

/** What the cluster was like when the comparison was asked for. */
export interface ComparedCluster {
  readonly nodes: number
  readonly settings: Pick<Settings, 'policy' | 'policyChange'>
}

/** Errors: INVALID_REQUEST when too few tasks have ended; those of `compareOnHistory`; INTERNAL when a policy failed in the replay. */
export async function comparePolicies(
  state: SchedulerState,
  learning: Learning,
  { policies, tasks, signal }: ComparisonRequest
): Promise<PolicyComparison> {
  const most = mostReplayed(learning.history.size)
  const { settings } = state
  const count = Math.min(tasks, most)
  const unended = await unendedTasks(state, learning.history, count)
  const nodes = nodeFacts(state)
  const cluster = { nodes: nodes.length, settings }
  const serving = learning.book.serving?.version
  const answer = await compareOnHistory({
    history: learning.history.newest(HISTORY_TASKS),
    tasks: count,
    nodes,
    unended,
    base: settings.policy,
    policies,
    weights: serving === undefined ? undefined : state.models.get(serving)?.weights,
    signal
  })
  return comparisonView(answer, cluster)
}

/** How many of so many ended tasks are replayed: older ones are needed for the speeds of nodes. Throws INVALID_REQUEST for too few. */
export function mostReplayed(ended: number): number {
  const most = Math.ceil(ended * MOST_REPLAYED)
  if (most >= FEWEST_COMPARED) return most
  const needed = Math.floor((FEWEST_COMPARED - 1) / MOST_REPLAYED) + 1
  const share = `three quarters of them are replayed, ${FEWEST_COMPARED} at the least`
  throw new AppError('INVALID_REQUEST', `got ${ended} ended tasks, expected at least ${needed}: ${share}`, {
    details: { field: 'history', got: ended, expected: `at least ${needed} ended tasks` }
  })
}

/** Throws INTERNAL when a policy failed in the replay. */
export function comparisonView(answer: ReplayAnswer, cluster: ComparedCluster): PolicyComparison {
  const [failure] = answer.failures
  if (failure !== undefined)
    throw new AppError('INTERNAL', `policy ${failure.name} failed in the replay: ${failure.message}`)
  const { base, tasks, units, drawn, unended, fromAt, toAt, load, recorded } = answer
  const { policy, policyChange } = cluster.settings
  const wasInCharge = policyChange === undefined || policyChange.at <= fromAt
  return {
    ...{ base, tasks, units, drawn, unended, nodes: cluster.nodes, fromAt, toAt, load },
    ...(recorded === undefined ? {} : { actual: { ...recorded, ...(wasInCharge ? { policy } : {}) } }),
    policies: answer.results.map(({ name, meanJctMs, p95JctMs, boundedSlowdown, jct }) => ({
      policy: name,
      meanJctMs,
      p95JctMs,
      boundedSlowdown,
      // A difference is of completion times; a gain is what is saved of them.
      gain: { mean: 0 - jct.relative, ci95: savedInterval(jct.relativeInterval) }
    })),
    notes: notesOn(answer, cluster)
  }
}

/** JSON has no infinity: an end that is not known is null. */
function savedInterval({ low, high }: Interval): Gain['ci95'] {
  return { low: finite(0 - high), high: finite(0 - low) }
}

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null
}

function notesOn(answer: ReplayAnswer, { settings }: ComparedCluster): string[] {
  const { base, fromAt, leftOut, recorded } = answer
  const { policyChange } = settings
  const notes: string[] = []
  if (recorded !== undefined && areFarApart(recorded.replayedMeanJctMs, recorded.meanJctMs))
    notes.push(whyApart(recorded, base))
  if (policyChange !== undefined && policyChange.at > fromAt)
    notes.push(
      `the policy went from ${policyChange.from} to ${policyChange.to} after the first of them arrived`
    )
  if (answer.unended > 0) notes.push(unendedNote(answer))
  if (leftOut > 0) notes.push(`tasks that no node of today could run: ${leftOut}; they are not replayed`)
  return notes
}

function whyApart({ meanJctMs, replayedMeanJctMs }: Recorded, base: string): string {
  const why =
    replayedMeanJctMs < meanJctMs
      ? 'tasks outside the window were waiting too, or start-up costs and retries dominate'
      : 'they ran on other nodes, or in another order'
  return (
    `in the mean the tasks that have ended really took ${inSeconds(meanJctMs)}, and in the replay under ${base} ` +
    `${inSeconds(replayedMeanJctMs)}: ${why}. The figures say how policies compare on these tasks, not what they would have taken`
  )
}

function unendedNote({ unended, drawn }: ReplayAnswer): string {
  const counted = `tasks that arrived within the same time and have not ended: ${unended}`
  if (drawn === 0) return `${counted}; they are not replayed`
  return `${counted}; ${drawn} of them are replayed, with run times drawn from those of tasks like them`
}

/** Clocks have a grain of a millisecond. */
function areFarApart(oneMs: number, otherMs: number): boolean {
  const less = Math.max(1, Math.min(oneMs, otherMs))
  return Math.max(oneMs, otherMs) > TOLERATED_FACTOR * less
}

/** Cut off like the command line's durations, which stand beside it. */
function inSeconds(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(Math.floor(ms / 100) / 10).toFixed(1)} s`
}
