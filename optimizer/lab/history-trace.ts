/**
 * A cluster's own history as a trace: what `GET /v1/history/export` says of ended tasks, on the nodes that the cluster
 * has.
 *
 * Arrivals, needs, demands and run times are as recorded; what a task would have taken on another node follows from node
 * speeds that are fitted on the same history (`optimizer/guard/replay.ts` says how). Tasks that did not run to
 * their end are left out, and so are those that no node could run; how many, and how much of the work, is in `Trace.leftOut`. As in a cluster's own
 * comparisons (`optimizer/guard/compare.ts`), a DAG counts once and every other task by itself.
 *
 * Seed 0 is the history itself; further seeds multiply each gap between arrivals by a uniform factor in [0.8, 1.2]. A load
 * is set by the gaps too, since a cluster's nodes are what they are. Without one the recorded load is kept, and a cluster
 * that never had a queue shows no difference between policies.
 */
import { AppError } from '../../base/errors.ts'
import { nodeId, parseTaskId, taskId } from '../../base/ids.ts'
import { createRng } from '../../base/prng.ts'
import { timestampMs } from '../../base/units.ts'
import type { NodeInfo } from '../../base/wire/cluster.ts'
import type { HistoryTask } from '../../base/wire/history.ts'
import type { FinishedTask } from '../guard/history.ts'
import { fitNodeSpeeds } from '../guard/node-speeds.ts'
import { createReplay } from '../guard/replay.ts'
import type { NodeFacts, Replay } from '../guard/replay.ts'
import type { SimTask } from '../sim/types.ts'
import { compileWorkload } from '../sim/workload.ts'
import { classMeans } from './class-means.ts'
import { fastestRuns, idealTimes } from './ideal.ts'
import type { Instance, Trace } from './trace.ts'

const SLOWDOWN_BOUND_MS = 1_000
const SHAKE = 0.2
/** The one kind of speed that replays know. */
const KIND = 'recorded'
const UNIT = 'dag'

/** Throws `INVALID_REQUEST` when no task of the history could run on these nodes. */
export function historyTrace(name: string, tasks: readonly HistoryTask[], nodes: readonly NodeInfo[]): Trace {
  const finished = tasks.flatMap((task) => finishedOf(task) ?? []).sort((a, b) => a.finishedAt - b.finishedAt)
  const replay = createReplay(finished, nodes.map(factsOf), fitNodeSpeeds(finished))
  if (replay === undefined) {
    throw new AppError(
      'INVALID_REQUEST',
      `${name}: got ${tasks.length} tasks of which ${finished.length} ran, expected at least one that a node could run`
    )
  }
  return {
    name,
    family: replay.workload.barriers.length > 0 ? 'dags' : 'independent',
    unit: UNIT,
    slowdownBoundMs: SLOWDOWN_BOUND_MS,
    defaultLoad: undefined,
    loadIsUsed: true,
    defaultSeeds: 1,
    ...leftOutOf(tasks, finished, replay),
    instances: (seed, load) => [instanceOf(name, replay, seed, load)]
  }
}

function leftOutOf(
  tasks: readonly HistoryTask[],
  finished: readonly FinishedTask[],
  replay: Replay
): Pick<Trace, 'leftOut'> {
  const neverRan = tasks.length - finished.length
  const left = replay.leftOut + neverRan
  if (left === 0) return {}
  const runTime = (some: readonly { readonly runMs: number }[]): number =>
    some.reduce((sum, { runMs }) => sum + runMs, 0)
  const totalMs = runTime(tasks)
  const keptMs = runTime(finished) - replay.leftOutMs
  const why = [
    ...(replay.leftOut > 0 ? [`${replay.leftOut} that no node of the history could run`] : []),
    ...(neverRan > 0 ? [`${neverRan} that did not run to their end`] : [])
  ]
  return {
    leftOut: {
      tasks: left,
      of: tasks.length,
      workShare: totalMs === 0 ? 0 : 1 - keptMs / totalMs,
      why: why.join(', ')
    }
  }
}

function finishedOf(task: HistoryTask): FinishedTask | undefined {
  const id = parseTaskId(task.id)
  const group = parseTaskId(task.group)
  const ran = (task.status === 'succeeded' || task.status === 'failed') && task.startedAt !== undefined
  if (id === undefined || group === undefined || !ran || task.node === undefined) return undefined
  return {
    id,
    group,
    name: task.name,
    tenant: task.tenant,
    executor: task.executor,
    handler: task.handler ?? '',
    priority: task.priority,
    resources: task.resources,
    nodeSelector: task.nodeSelector,
    inputBytes: task.inputBytes,
    limitMs: task.limitMs,
    idempotent: task.idempotent,
    needs: task.needs.flatMap((need) => parseTaskId(need) ?? []),
    submittedAt: timestampMs(task.submittedAt),
    arrivedAt: timestampMs(Math.max(task.submittedAt, task.notBefore ?? 0)),
    readyAt: timestampMs(task.readyAt ?? task.submittedAt),
    finishedAt: timestampMs(task.finishedAt),
    node: nodeId(task.node),
    runMs: task.runMs,
    peakMemoryBytes: task.peakMemoryBytes,
    succeeded: task.status === 'succeeded'
  }
}

function factsOf(node: NodeInfo): NodeFacts {
  const { labels, resources, slots } = node
  return {
    id: nodeId(node.id),
    labels,
    zone: node.zone,
    profile: labels['profile'] ?? `${slots}/${resources['cpu'] ?? 0}/${resources['memory'] ?? 0}`,
    slots,
    resources,
    executors: node.executors,
    handlers: node.handlers
  }
}

function instanceOf(name: string, replay: Replay, seed: number, load: number | undefined): Instance {
  const { cluster } = replay
  const stretch = load === undefined || replay.load === 0 ? 1 : replay.load / load
  const tasks = spread(replay.workload.tasks, seed, stretch)
  const workload = compileWorkload(name, tasks)
  const speeds = new Map(cluster.map((node) => [node.id, node.speeds[KIND] ?? 1]))
  const capacity = cluster.reduce((sum, node) => sum + node.slots * (node.speeds[KIND] ?? 1), 0)
  const workMs = tasks.reduce((sum, task) => sum + task.workMs, 0)
  const lastMs = tasks.at(-1)?.submittedAt ?? 0
  const idealMs = idealTimes(workload, UNIT, fastestRuns(workload, cluster))
  const lastEndMs = tasks.reduce(
    (latest, task, index) => Math.max(latest, task.submittedAt + (idealMs[index] ?? 0)),
    0
  )
  return {
    workload,
    cluster,
    outages: [],
    model: replay.model,
    truthMs: (id) => tasks[id - 1]?.workMs ?? 0,
    classMeanMs: classMeans(tasks),
    speedOf: (node) => speeds.get(node) ?? 1,
    idealMs,
    makespanBoundMs: Math.max(1, workMs / capacity, lastEndMs),
    load: workMs / (capacity * Math.max(1, lastMs))
  }
}

/** The same tasks with their gaps stretched, and for seeds above 0 shaken. Tasks that arrive together stay together. */
function spread(tasks: readonly SimTask[], seed: number, stretch: number): SimTask[] {
  const rng = createRng(seed)
  let before = 0
  let at = 0
  return tasks.map((task, index) => {
    const gap = task.submittedAt - before
    before = task.submittedAt
    if (gap > 0) at += gap * stretch * (seed === 0 ? 1 : 1 - SHAKE + 2 * SHAKE * rng.nextFloat())
    return { ...task, id: taskId(index + 1), submittedAt: at }
  })
}
