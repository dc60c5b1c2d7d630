/**
 * Replays a slice on a cluster of real processes: each job is a shell command that sleeps for its run time, submitted
 * when its time has come. Durations are the cluster's own account of each task.
 */
import { createClient, type Client } from '../../client/index.ts'
import { LocalCluster } from '../../node/dev/local-cluster.ts'
import type { SimTask } from '../../optimizer/sim/types.ts'
import { clusterReady, delay } from '../bench-tools.ts'
import type { Slice } from './slice.ts'

export interface ReplayOptions {
  readonly policy: string
  /** Kills the leader with SIGKILL half-way and starts it again. */
  readonly killLeader: boolean
  readonly logLevel: string
  readonly say: (line: string) => void
}

export interface Replayed {
  /** Finish − submit by the cluster's clock, by job; NaN for one that did not succeed. */
  readonly jctMs: Float64Array
  /** What an attempt took beyond its sleep; median over jobs. */
  readonly overheadMs: number
  /** The model that served before and after the leader was killed; undefined when none was. */
  readonly models: { readonly before: number | undefined; readonly after: number | undefined } | undefined
  /** The model that served at the end. */
  readonly model: number | undefined
}

const END_TIMEOUT_MS = 180_000
const POLL_MS = 500
const PAGE = 500

export async function replay(slice: Slice, options: ReplayOptions): Promise<Replayed> {
  const cluster = await LocalCluster.start({
    nodes: slice.cluster.length,
    timing: 'lan',
    slots: slice.slots,
    logLevel: options.logLevel,
    args: ['--resource', `cpu=${slice.slots * 1000}`],
    onLog: (node, line) => {
      options.say(`node ${node}: ${line}`)
    }
  })
  try {
    const urls = (): string[] => cluster.nodes.map(({ url }) => url)
    await clusterReady(urls())
    const client = createClient({ urls: urls(), retries: 20 })
    await client.setPolicy(options.policy)
    const ids = new Map<string, number>()
    const failover = options.killLeader ? killHalfway(cluster, client, slice) : undefined
    await submitAll(slice.workload.tasks, client, ids)
    const models = await failover
    const ended = await outcome(client, ids, slice.workload.tasks)
    return { ...ended, models, model: await servingModel(client) }
  } finally {
    await cluster.stop()
  }
}

/** Submits each job at its time, none waiting for another's acknowledgement. */
async function submitAll(tasks: readonly SimTask[], client: Client, ids: Map<string, number>): Promise<void> {
  const startedAt = performance.now()
  const pending: Promise<void>[] = []
  for (const [index, task] of tasks.entries()) {
    const wait = task.submittedAt - (performance.now() - startedAt)
    if (wait > 0) await delay(wait)
    pending.push(
      client
        .submit({
          name: task.name,
          tenant: task.tenant,
          command: `exec sleep ${task.workMs / 1000}`,
          resources: task.resources,
          ...(task.limitMs > 0 && { timeouts: { startToCloseMs: task.limitMs } })
        })
        .then(({ id }) => {
          ids.set(id, index)
        })
    )
  }
  await Promise.all(pending)
}

async function killHalfway(
  cluster: LocalCluster,
  client: Client,
  slice: Slice
): Promise<{ before: number | undefined; after: number | undefined }> {
  await delay((slice.workload.tasks.at(-1)?.submittedAt ?? 0) / 2)
  const before = await servingModel(client)
  const { leader } = await client.cluster()
  const index = cluster.nodes.findIndex(({ id }) => id === leader?.id)
  await cluster.signal(Math.max(0, index), 'SIGKILL')
  await clusterReady(cluster.nodes.filter((_, other) => other !== index).map(({ url }) => url))
  const after = await servingModel(client)
  await cluster.restart(Math.max(0, index))
  return { before, after }
}

async function servingModel(client: Client): Promise<number | undefined> {
  return (await client.modelStatus()).serving?.version
}

async function outcome(
  client: Client,
  ids: ReadonlyMap<string, number>,
  tasks: readonly SimTask[]
): Promise<{ jctMs: Float64Array; overheadMs: number }> {
  const deadline = performance.now() + END_TIMEOUT_MS
  while (await anyLive(client)) {
    if (performance.now() > deadline) throw new Error(`tasks were still live after ${END_TIMEOUT_MS} ms`)
    await delay(POLL_MS)
  }
  const jctMs = new Float64Array(tasks.length).fill(NaN)
  const overheads: number[] = []
  for await (const task of client.list({ pageSize: PAGE })) {
    const index = ids.get(task.id)
    if (index === undefined || task.status !== 'succeeded') continue
    jctMs[index] = (task.finishedAt ?? NaN) - task.submittedAt
    overheads.push((task.runMs ?? 0) - (tasks[index]?.workMs ?? 0))
  }
  overheads.sort((a, b) => a - b)
  return { jctMs, overheadMs: overheads[overheads.length >> 1] ?? 0 }
}

async function anyLive(client: Client): Promise<boolean> {
  const live = client.list({ status: ['pending', 'ready', 'placed', 'running', 'stopping'], pageSize: 1 })
  const { done } = await live.next()
  return done !== true
}
