/**
 * A stretch of a cluster's history as an input of the simulator: the same arrivals, needs and demands on the nodes of
 * today, with the run times that were recorded.
 *
 * 1. What a task would have taken on another node is its recorded run time × the speed of the node that ran it ÷ the
 *    speed of that other node. Speeds come from elsewhere (`node-speeds.ts`, on older history), never from predictions
 *    that are on trial.
 * 2. A need that ended before the stretch began is met from the start; its dependent then arrives when it became ready.
 * 3. A task that no node of today could run is left out and counted.
 * 4. Every attempt succeeds: lost attempts, failures and their retries are not replayed.
 * 5. Tasks that have not ended are in it as all others are, with run times that were drawn (`drawn-run-times.ts`): from the
 *    beginning, whether they have waited or run meanwhile. One that waits for something which is neither in the replay nor
 *    over would have no time of arrival, so it is not in it either; nor is one that no node of today could run.
 */
import type { NodeId, TaskId } from '../../base/ids.ts'
import { taskId } from '../../base/ids.ts'
import type { Labels, Resources } from '../../scheduler/types.ts'
import { fixedRunTimes } from '../sim/run-models.ts'
import type { RunModel, SimNode, SimTask, Workload } from '../sim/types.ts'
import { compileWorkload } from '../sim/workload.ts'
import type { ArrivedTask, FinishedTask } from './history.ts'
import type { UnendedTask } from './unended.ts'

/** A node as a replay needs it. Plain data. */
export interface NodeFacts {
  readonly id: NodeId
  readonly labels: Labels
  readonly zone: string
  readonly profile: string
  readonly slots: number
  readonly resources: Resources
  readonly executors: readonly string[]
  readonly handlers: readonly string[]
}

/** A task that has not ended, with the run time that it is given. */
export interface DrawnTask {
  readonly task: UnendedTask
  /** At speed 1, in milliseconds. */
  readonly workMs: number
}

/** What the simulator is given, and how much of the history it stands for. */
export interface Replay {
  readonly workload: Workload
  readonly cluster: readonly SimNode[]
  readonly model: () => RunModel
  /** Arrival of the first task and end of the last, as recorded. */
  readonly fromAt: number
  readonly toAt: number
  /** When each task of the workload really ended, in its order, in milliseconds since `fromAt`; −1 for one that has not. */
  readonly recordedEndsMs: Float64Array
  /** Work ÷ (capacity × span of arrivals), the lab's definition; a span is a millisecond at least. */
  readonly load: number
  /** Ended tasks that no node of today could run. */
  readonly leftOut: number
  /** Recorded run time of those. */
  readonly leftOutMs: number
  /** Tasks of the workload that have not ended. */
  readonly drawn: number
}

/** The only kind of speed that recorded run times tell of. */
const KIND = 'recorded'

/** One task of a replay, whether it has ended or not. */
interface Entry {
  readonly task: ArrivedTask
  readonly workMs: number
  readonly peakMemoryBytes: number
  /** In state time; undefined for one that has not ended. */
  readonly finishedAt: number | undefined
}

/** The replay of these tasks on these nodes; undefined when no ended one is left to replay. */
export function createReplay(
  tasks: readonly FinishedTask[],
  nodes: readonly NodeFacts[],
  speeds: ReadonlyMap<NodeId, number>,
  drawn: readonly DrawnTask[] = []
): Replay | undefined {
  const cluster = nodes.map((node) => simNode(node, speeds))
  const kept = tasks.filter((task) => cluster.some((node) => couldRun(node, task)))
  if (kept.length === 0) return undefined
  const held = heldOf(drawn, kept, cluster)
  const entries = [
    ...kept.map((task) => ofEnded(task, speeds)),
    ...held.map(({ task, workMs }): Entry => ({ task, workMs, peakMemoryBytes: 0, finishedAt: undefined }))
  ]
  const ids = new Set(entries.map(({ task }) => task.id))
  const arrivals = entries
    .map((entry) => ({ ...entry, at: placeableAt(entry.task, ids) }))
    .sort((a, b) => a.at - b.at || a.task.id - b.task.id)
  const fromAt = arrivals[0]?.at ?? 0
  const simTasks = simTasksOf(arrivals, fromAt)
  return {
    workload: compileWorkload('history', simTasks),
    cluster,
    model: fixedRunTimes,
    fromAt,
    toAt: kept.reduce((latest, task) => Math.max(latest, task.finishedAt), 0),
    recordedEndsMs: Float64Array.from(arrivals, ({ finishedAt }) =>
      finishedAt === undefined ? -1 : finishedAt - fromAt
    ),
    load: loadOf(simTasks, cluster),
    leftOut: tasks.length - kept.length,
    leftOutMs: runTimeOf(tasks) - runTimeOf(kept),
    drawn: held.length
  }
}

function simNode(node: NodeFacts, speeds: ReadonlyMap<NodeId, number>): SimNode {
  return {
    id: node.id,
    labels: { ...node.labels, ...abilities(node) },
    zone: node.zone,
    profile: node.profile,
    slots: node.slots,
    resources: node.resources,
    speeds: { [KIND]: speeds.get(node.id) ?? 1 }
  }
}

function ofEnded(task: FinishedTask, speeds: ReadonlyMap<NodeId, number>): Entry {
  const { runMs, node, peakMemoryBytes, finishedAt } = task
  return { task, workMs: runMs * (speeds.get(node) ?? 1), peakMemoryBytes, finishedAt }
}

/** Rule 5. Needs have lower ids than what waits for them. */
function heldOf(
  drawn: readonly DrawnTask[],
  kept: readonly FinishedTask[],
  cluster: readonly SimNode[]
): DrawnTask[] {
  const ids = new Set(kept.map(({ id }) => id))
  return [...drawn]
    .sort((a, b) => a.task.id - b.task.id)
    .filter(({ task }) => {
      const arrives = task.readyAt > 0 || task.needs.every((need) => ids.has(need))
      if (!arrives || !cluster.some((node) => couldRun(node, task))) return false
      ids.add(task.id)
      return true
    })
}

/** When it arrives in a replay of these ids, in state time: rule 2. */
function placeableAt({ needs, arrivedAt, readyAt }: ArrivedTask, ids: ReadonlySet<TaskId>): number {
  return needs.every((need) => ids.has(need)) ? arrivedAt : readyAt
}

function simTasksOf(arrivals: readonly (Entry & { readonly at: number })[], fromAt: number): SimTask[] {
  const newIds = new Map(arrivals.map(({ task }, index) => [task.id, taskId(index + 1)] as const))
  const groups = new Map<TaskId, TaskId>()
  for (const { task } of arrivals) {
    const id = newIds.get(task.id)
    if (id !== undefined && !groups.has(task.group)) groups.set(task.group, id)
  }
  const needs = sharedNeeds(newIds)
  return arrivals.map(({ task, workMs, peakMemoryBytes, at }, index): SimTask => {
    const id = taskId(index + 1)
    return {
      ...publicFacts(task),
      id,
      submittedAt: at - fromAt,
      needs: needs(task),
      transferBytes: [],
      group: groups.get(task.group) ?? id,
      workMs,
      kind: KIND,
      peakMemoryBytes
    }
  })
}

function runTimeOf(tasks: readonly FinishedTask[]): number {
  return tasks.reduce((sum, { runMs }) => sum + runMs, 0)
}

function publicFacts(
  task: ArrivedTask
): Pick<
  SimTask,
  'name' | 'tenant' | 'priority' | 'resources' | 'nodeSelector' | 'inputBytes' | 'limitMs' | 'idempotent'
> {
  return {
    name: task.name,
    tenant: task.tenant,
    priority: task.priority,
    resources: task.resources,
    nodeSelector: { ...task.nodeSelector, ...demands(task) },
    inputBytes: task.inputBytes,
    limitMs: task.limitMs,
    idempotent: task.idempotent
  }
}

/** The simulator knows labels only, so what a node can execute becomes labels, which no user can write: they hold a space. */
function abilities(node: NodeFacts): Labels {
  const names = [
    ...node.executors.map((executor) => `executor ${executor}`),
    ...node.handlers.map((handler) => `handler ${handler}`)
  ]
  return Object.fromEntries(names.map((name) => [name, 'yes']))
}

function demands(task: ArrivedTask): Labels {
  const executor = { [`executor ${task.executor}`]: 'yes' }
  return task.handler === '' ? executor : { ...executor, [`handler ${task.handler}`]: 'yes' }
}

function couldRun(node: SimNode, task: ArrivedTask): boolean {
  const wanted = { ...task.nodeSelector, ...demands(task) }
  return (
    node.slots > 0 &&
    Object.entries(wanted).every(([label, value]) => node.labels[label] === value) &&
    Object.entries(task.resources).every(([name, amount]) => amount <= (node.resources[name] ?? Infinity))
  )
}

/** Tasks that wait for the same tasks get the very same array, which is how the simulator knows a barrier. */
function sharedNeeds(newIds: ReadonlyMap<TaskId, TaskId>): (task: ArrivedTask) => readonly TaskId[] {
  const known = new Map<string, readonly TaskId[]>()
  return (task) => {
    const needs = task.needs.flatMap((need) => newIds.get(need) ?? [])
    const key = needs.join()
    const same = known.get(key)
    if (same !== undefined) return same
    known.set(key, needs)
    return needs
  }
}

function loadOf(tasks: readonly SimTask[], cluster: readonly SimNode[]): number {
  const capacity = cluster.reduce((sum, node) => sum + node.slots * (node.speeds[KIND] ?? 1), 0)
  const workMs = tasks.reduce((sum, task) => sum + task.workMs, 0)
  return workMs / (capacity * Math.max(1, tasks.at(-1)?.submittedAt ?? 0))
}
