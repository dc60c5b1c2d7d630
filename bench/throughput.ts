/**
 * End-to-end throughput: tasks that do nothing, submitted over HTTP to three processes with fsync on, until the log says
 * that they are completed. Two loads: batches of 500, and single submits with 64 in flight whose latency is measured.
 */
import { Command } from 'commander'
import { LocalCluster } from '../node/dev/local-cluster.ts'
import { LeanClient } from './lean-client.ts'
import { BENCH_HANDLERS, clusterReady, delay, figures, machine, quantile, round } from './bench-tools.ts'

interface Options {
  readonly nodes: string
  readonly slots: string
  readonly pool: string
  readonly tasks: string
  readonly singles: string
  readonly batch: string
  readonly batches: string
  readonly inFlight: string
  readonly profile?: string
  readonly json?: boolean
}

const TASK = '{"executor":"js","handler":"noop"}'

export async function run(argv: string[]): Promise<number> {
  const options = new Command('throughput')
    .option('--nodes <n>', 'processes', '3')
    .option('--slots <n>', 'attempts at once on each node', '192')
    .option('--pool <n>', 'js processes kept ready on each node', '1')
    .option('--tasks <n>', 'tasks of the batch load', '100000')
    .option('--singles <n>', 'tasks of the single load', '8000')
    .option('--batch <n>', 'tasks of one submission', '500')
    .option('--batches <n>', 'submissions in flight', '4')
    .option('--in-flight <n>', 'single submissions in flight', '64')
    .option('--profile <folder>', 'write a CPU profile of each node there')
    .option('--json', 'print one JSON object last')
    .parse(argv, { from: 'user' })
    .opts<Options>()
  const nodes = Number(options.nodes)
  const cluster = await LocalCluster.start({
    nodes,
    timing: 'default',
    handlersFolder: BENCH_HANDLERS,
    slots: Number(options.slots),
    poolProcesses: Number(options.pool),
    logLevel: 'error',
    ...(options.profile === undefined
      ? {}
      : { execArgs: ['--cpu-prof', `--cpu-prof-dir=${options.profile}`] }),
    onLog: (node, line) => {
      console.error(`node ${node}: ${line}`)
    }
  })
  try {
    const urls = cluster.nodes.map(({ url }) => url)
    await clusterReady(urls)
    const clients = urls.map((url) => new LeanClient(url))
    await batchLoad(clients, urls, 5_000, options) // warms up every process
    const batch = await batchLoad(clients, urls, Number(options.tasks), options)
    const single = await singleLoad(clients, Number(options.singles), Number(options.inFlight))
    for (const client of clients) client.close()
    const acknowledged = batch.acknowledged + single.acknowledged
    const completed = batch.completed + single.completed
    const result = {
      name: 'throughput',
      nodes,
      batch: { tasksPerSecond: batch.tasksPerSecond },
      single: { tasksPerSecond: single.tasksPerSecond, p50Ms: single.p50Ms, p99Ms: single.p99Ms },
      acknowledged,
      completed,
      machine: machine()
    }
    if (options.json === true) console.log(JSON.stringify(result))
    else console.log(result)
    return acknowledged === completed ? 0 : 1
  } finally {
    await cluster.stop()
  }
}

interface Load {
  readonly acknowledged: number
  readonly completed: number
  readonly tasksPerSecond: number
}

/** Keeps some batches in flight, over all nodes in turn; the clock stops when the last task is completed. */
async function batchLoad(
  clients: readonly LeanClient[],
  urls: readonly string[],
  tasks: number,
  options: Options
): Promise<Load> {
  const size = Number(options.batch)
  const body = `[${Array.from({ length: size }, () => TASK).join()}]`
  const before = await ended(urls)
  const startedAt = performance.now()
  let left = Math.ceil(tasks / size)
  let acknowledged = 0
  const submitters = Array.from({ length: Number(options.batches) }, async (_, index) => {
    const client = clients[index % clients.length]
    while (left > 0 && client !== undefined) {
      left -= 1
      const { ids } = await client.json<{ ids: string[] }>('POST', '/v1/tasks', body)
      acknowledged += ids.length
    }
  })
  await Promise.all(submitters)
  let completed = 0
  while (completed < acknowledged && performance.now() - startedAt < 300_000) {
    completed = (await ended(urls)) - before
    if (completed < acknowledged) await delay(50)
  }
  const seconds = (performance.now() - startedAt) / 1000
  return { acknowledged, completed, tasksPerSecond: Math.round(completed / seconds) }
}

/** Tasks that the first node knows to have ended. */
async function ended(urls: readonly string[]): Promise<number> {
  return (await figures(urls[0] ?? ''))['dtss_tasks_kept'] ?? 0
}

/** One task a request; each request is followed to the task's end. */
async function singleLoad(
  clients: readonly LeanClient[],
  tasks: number,
  inFlight: number
): Promise<Load & { p50Ms: number; p99Ms: number }> {
  const latencies: number[] = []
  let left = tasks
  let acknowledged = 0
  const startedAt = performance.now()
  const submitters = Array.from({ length: inFlight }, async (_, index) => {
    const client = clients[index % clients.length]
    while (left > 0 && client !== undefined) {
      left -= 1
      const at = performance.now()
      const { id } = await client.json<{ id: string }>('POST', '/v1/tasks', TASK)
      acknowledged += 1
      // Read locally, on the node that acknowledged it and therefore knows the task.
      const path = `/v1/tasks/${id}/status?consistency=stale&wait=30000`
      const { status } = await client.json<{ status: string }>('GET', path)
      if (status === 'succeeded') latencies.push(performance.now() - at)
    }
  })
  await Promise.all(submitters)
  const seconds = (performance.now() - startedAt) / 1000
  return {
    acknowledged,
    completed: latencies.length,
    tasksPerSecond: Math.round(latencies.length / seconds),
    p50Ms: round(quantile(latencies, 0.5)),
    p99Ms: round(quantile(latencies, 0.99))
  }
}
