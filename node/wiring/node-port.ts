/**
 * The node as the HTTP server sees it: `NodePort` over the runtime.
 *
 * Owns the translation between requests and proposals, and between state and what a reply shows. Freshness is the
 * server's to settle before it reads.
 */
import type {
  KnownTaskRecord,
  LogChunk,
  LogQuery,
  NodePort,
  OptimizerPort,
  SubmitReceipt,
  SubmitRequest,
  TaskContents,
  TaskQuery,
  TaskRecord,
  TaskRecordPage
} from '../../api/ports.ts'
import { AppError } from '../../base/errors.ts'
import { nodeId, taskId, type NodeId, type TaskId } from '../../base/ids.ts'
import { LIMITS } from '../../base/limits.ts'
import { timestampMs, type TimestampMs } from '../../base/units.ts'
import type { ClusterInfo, Health, NodeInfo } from '../../base/wire/cluster.ts'
import { DEADLINES } from '../../base/wire/deadlines.ts'
import { orderSubmission } from '../../scheduler/dag.ts'
import { explain } from '../../scheduler/explain.ts'
import type { TaskStatus } from '../../scheduler/types.ts'
import type { NodeRuntime } from '../../runtime/node-runtime.ts'
import { clusterInfo, nodeInfos } from './cluster-info.ts'
import { followLogs } from './follow-logs.ts'
import type { NodeMetricsPage } from './metrics.ts'
import { listTasks } from './task-listing.ts'

const NO_BYTES = new Uint8Array(0)

export interface NodePortInput {
  readonly runtime: NodeRuntime
  readonly clusterId: string
  readonly metrics: NodeMetricsPage
  readonly optimizer: OptimizerPort
}

export function createNodePort({ runtime, clusterId, metrics, optimizer }: NodePortInput): NodePort {
  const task = (id: TaskId): TaskRecord | Promise<TaskRecord> => findTask(runtime, id)
  return {
    nodeId: runtime.nodeId,
    now: (): TimestampMs => timestampMs(Date.now()),
    appliedIndex: () => runtime.appliedIndex,
    leader: (): NodeId | undefined => runtime.leader,
    submit: (request) => submit(runtime, request),
    cancel: (id) => cancel(runtime, id),
    readIndex: () => runtime.readBarrier(DEADLINES.readMs),
    waitApplied: (index, timeoutMs) => runtime.waitApplied(index, timeoutMs),
    task,
    contents: (record) => contents(runtime, record),
    waitTask: async (id, timeoutMs, signal) => {
      await runtime.waitTask(id, timeoutMs, signal)
      return await task(id)
    },
    tasks: (query: TaskQuery): Promise<TaskRecordPage> => listTasks(runtime, query),
    logs: (id, query: LogQuery): AsyncIterable<LogChunk> => followLogs(runtime, id, query),
    explain: (id) => explain(runtime.state, id),
    optimizer,
    cluster: (): Promise<ClusterInfo> => clusterInfo(runtime, clusterId),
    nodes: (): readonly NodeInfo[] => nodeInfos(runtime),
    leave: (id) => leave(runtime, id),
    live: (): Health => live(runtime),
    ready: (): Health => ready(runtime),
    metrics: () => metrics.render()
  }
}

async function submit(runtime: NodeRuntime, request: SubmitRequest): Promise<SubmitReceipt> {
  const { submission, positions } = orderSubmission(request.tasks, request.idempotency)
  await checkOffered(runtime, request)
  const value = await runtime.propose({ type: 'submit', submission }, DEADLINES.proposalMs)
  if (value.type !== 'submitted') throw unexpected(value.type)
  return { ids: positions.map((position) => taskId(value.firstId + position)), replayed: value.replayed }
}

/**
 * A task that no node could ever run is refused now, rather than left waiting for a node that may never come. This node may know less
 * than the cluster does, as one that has just joined: it refuses only what the cluster's state refuses.
 */
async function checkOffered(runtime: NodeRuntime, request: SubmitRequest): Promise<void> {
  if (notOffered(runtime, request) === undefined) return
  await runtime.readBarrier(DEADLINES.appliedMs)
  const error = notOffered(runtime, request)
  if (error !== undefined) throw error
}

function notOffered(runtime: NodeRuntime, request: SubmitRequest): AppError | undefined {
  const nodes = [...runtime.state.nodes.values()]
  // In a cluster that begins nobody has announced yet what it runs.
  if (nodes.every(({ offer }) => offer.executors.length === 0)) return undefined
  for (const [index, { executor, handler }] of request.tasks.entries()) {
    const offering = nodes.filter((node) => node.offer.executors.includes(executor))
    if (offering.length === 0) {
      return refused(
        'UNKNOWN_EXECUTOR',
        `tasks[${index}].executor`,
        executor,
        'an executor that a node offers'
      )
    }
    if (handler !== '' && !offering.some((node) => Object.hasOwn(node.offer.handlers, handler))) {
      return refused('UNKNOWN_HANDLER', `tasks[${index}].handler`, handler, 'a handler that a node has')
    }
  }
  return undefined
}

function refused(
  code: 'UNKNOWN_EXECUTOR' | 'UNKNOWN_HANDLER',
  field: string,
  got: string,
  expected: string
): AppError {
  return new AppError(code, `${field}: got "${got}", expected ${expected}`, {
    details: { field, got, expected }
  })
}

async function cancel(runtime: NodeRuntime, id: TaskId): Promise<TaskStatus> {
  const value = await runtime.propose({ type: 'cancel', taskId: id }, DEADLINES.proposalMs)
  if (value.type !== 'cancelled') throw unexpected(value.type)
  return value.status
}

async function leave(runtime: NodeRuntime, id: NodeId): Promise<void> {
  checkQuorum(runtime, id)
  await runtime.propose({ type: 'leave', node: id }, DEADLINES.changeMs)
}

/** Without the node, a majority of the voters that remain must be alive, or the cluster could never decide again. */
function checkQuorum(runtime: NodeRuntime, id: NodeId): void {
  const remaining = runtime.raftStatus().confState.voters.filter((voter) => voter !== id)
  const alive = remaining.filter((voter) => runtime.state.nodes.get(nodeId(voter))?.open === true)
  if (alive.length > remaining.length / 2) return
  const message = `node ${id}: without it ${alive.length} of ${remaining.length} voters are alive, expected a majority`
  throw new AppError('QUORUM_AT_RISK', message, { details: { field: 'id', got: id } })
}

function findTask(runtime: NodeRuntime, id: TaskId): TaskRecord | Promise<TaskRecord> {
  const { state } = runtime
  const live = state.tasks.get(id)
  if (live !== undefined) return { kind: 'live', task: live }
  if (state.tombstones.has(id)) return endedTask(runtime, id)
  return { kind: id <= state.highestRetired ? 'retired' : 'unknown' }
}

async function endedTask(runtime: NodeRuntime, id: TaskId): Promise<TaskRecord> {
  const row = await runtime.history(id)
  return row === undefined ? { kind: 'retired' } : { kind: 'ended', row }
}

async function contents(runtime: NodeRuntime, record: KnownTaskRecord): Promise<TaskContents> {
  if (record.kind === 'live') return { input: await runtime.input(record.task), result: NO_BYTES }
  return { input: await runtime.input(record.row), result: await runtime.result(record.row) }
}

function live(runtime: NodeRuntime): Health {
  return health([
    {
      name: 'running',
      ok: runtime.phase === 'running' || runtime.phase === 'stopping',
      detail: runtime.phase
    },
    { name: 'applying', ok: !runtime.applyFailed }
  ])
}

function ready(runtime: NodeRuntime): Health {
  const { leader } = runtime
  const lag = runtime.committed - runtime.appliedIndex
  return health([
    { name: 'running', ok: runtime.phase === 'running', detail: runtime.phase },
    {
      name: 'leader',
      ok: leader !== undefined,
      detail: leader === undefined ? 'none known' : `node ${leader}`
    },
    { name: 'incarnation', ok: runtime.open, detail: runtime.open ? 'open' : 'not announced yet' },
    { name: 'applied', ok: lag <= LIMITS.batchTasks && !runtime.applyFailed, detail: `${lag} entries behind` }
  ])
}

function health(checks: Health['checks']): Health {
  return { ok: checks.every((check) => check.ok), checks }
}

function unexpected(type: string): AppError {
  return new AppError('INTERNAL', `the log answered a proposal with "${type}"`)
}
