/**
 * Why a task is not running: what it waits for, or what each node lacks. Read-only; for users, never for planning.
 */
import type { NodeId, TaskId } from '../base/ids.ts'
import type { TimestampMs } from '../base/units.ts'
import { hasResources, obstacle } from './eligibility.ts'
import type { Obstacle } from './eligibility.ts'
import type { SchedulerState } from './state.ts'
import type { ClusterNode, Placement, StopReason, Task } from './types.ts'

/** What keeps a task off one node now. `excluded`: the leader leaves the node out (it lags, or its lease is in doubt). */
type NodeVerdict = 'fits' | 'closed' | 'leaving' | 'excluded' | 'slots' | 'resources' | Obstacle

interface NodeReason {
  readonly node: NodeId
  readonly verdict: NodeVerdict
}

export type Explanation =
  /** `tasks` are the first of `count` needs that have not succeeded. */
  | { readonly type: 'waiting-on'; readonly tasks: readonly TaskId[]; readonly count: number }
  | { readonly type: 'delayed'; readonly until: TimestampMs }
  /** No node could run it even if it were idle. */
  | { readonly type: 'no-eligible-node'; readonly nodes: readonly NodeReason[] }
  | { readonly type: 'no-capacity'; readonly nodes: readonly NodeReason[] }
  /** Some node has room: the next plan may take it. */
  | { readonly type: 'in-line'; readonly nodes: readonly NodeReason[]; readonly readyTasks: number }
  | { readonly type: 'placed'; readonly placement: Placement; readonly copy: Placement | undefined }
  | { readonly type: 'stopping'; readonly placement: Placement; readonly reason: StopReason | undefined }

const SHOWN_NEEDS = 20
/** What passes without anybody's doing. */
const NOT_NOW: readonly NodeVerdict[] = ['slots', 'resources', 'excluded', 'closed']

/** Undefined for a task that has ended or never was. */
export function explain(
  state: SchedulerState,
  id: TaskId,
  excluded: (node: ClusterNode) => boolean = () => false
): Explanation | undefined {
  const task = state.tasks.get(id)
  if (task === undefined) return undefined
  const { placement, copy } = task
  if (placement !== undefined) {
    if (task.status !== 'stopping') return { type: 'placed', placement, copy }
    return { type: 'stopping', placement, reason: placement.stopReason }
  }
  if (task.status === 'ready') return explainReady(state, task, excluded)
  if (task.waitingOn === 0) return { type: 'delayed', until: task.notBefore }
  const open = task.spec.needs
    .map((need) => need.id)
    .filter((need) => state.tombstones.get(need)?.status !== 'succeeded')
  return { type: 'waiting-on', tasks: open.slice(0, SHOWN_NEEDS), count: open.length }
}

function explainReady(
  state: SchedulerState,
  task: Task,
  excluded: (node: ClusterNode) => boolean
): Explanation {
  const nodes = [...state.nodes.values()]
    .sort((a, b) => a.id - b.id)
    .map((node) => ({ node: node.id, verdict: verdictOn(node, task, excluded) }))
  if (nodes.some(({ verdict }) => verdict === 'fits')) {
    return { type: 'in-line', nodes, readyTasks: state.ready.size }
  }
  const mayLater = nodes.some(({ verdict }) => NOT_NOW.includes(verdict))
  return mayLater ? { type: 'no-capacity', nodes } : { type: 'no-eligible-node', nodes }
}

function verdictOn(node: ClusterNode, task: Task, excluded: (node: ClusterNode) => boolean): NodeVerdict {
  if (node.status === 'leaving') return 'leaving'
  // What it offers is not known before it opens for the first time.
  if (node.status === 'joining') return 'closed'
  const lacking = obstacle(task.spec, node.offer)
  if (lacking !== undefined) return lacking
  // One that is down may take it once it is back.
  if (!node.open) return 'closed'
  if (excluded(node)) return 'excluded'
  if (node.placements.size >= node.offer.slots) return 'slots'
  return hasResources(task.spec.resources, node.offer.resources, node.used) ? 'fits' : 'resources'
}
