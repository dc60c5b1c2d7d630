/** `dtss dev`: a whole cluster on this machine, with an example that runs on it. */
import type { Command } from 'commander'
import { AppError } from '../../../base/errors.ts'
import { LIMITS } from '../../../base/limits.ts'
import { createClient, type Client, type TaskView } from '../../../client/index.ts'
import type { Example } from '../../dev/examples.ts'
import type { LocalCluster, NodeAddress } from '../../dev/local-cluster.ts'
import { checkHandlersFolder } from '../../wiring/handlers-folder.ts'
import { EXIT, print, printJson, UsageError, type CliContext } from '../context.ts'
import { formatDuration } from '../format.ts'
import { progressOf, type Progress } from '../progress.ts'
import { parseCount, parseLogLevel, parseNodes, parseTiming } from '../start-options.ts'

interface Options {
  readonly nodes: number
  readonly data?: string
  readonly handlers?: string
  readonly slots?: number
  readonly example?: string
  readonly timing: 'default' | 'lan'
  readonly logLevel: string
  readonly once?: boolean
  readonly json?: boolean
}

interface NodeReport {
  readonly id: number
  readonly url: string
  readonly role: string
}

/** Between two looks at how far the example is. */
const POLL_MS = 150
/** A cluster that has no leader and no quorum after that will not get them by waiting. */
const ELECTION_TIMEOUT_MS = 60_000

export function define(command: Command, context: CliContext): void {
  command
    .option('--nodes <n>', `nodes of the cluster, 1 to ${LIMITS.nodes}`, parseNodes, 3)
    .option('--data <folder>', 'keep the data there (default: a temporary folder)')
    .option('--handlers <folder>', 'folder of js handlers')
    .option('--slots <n>', 'attempts that run at once on each node', parseCount)
    .option('--example <name>', 'run an example of examples/ and show its result')
    .option('--timing <profile>', 'default | lan', parseTiming, 'lan')
    .option(
      '--log-level <level>',
      'of the nodes: debug | info | warn | error | silent',
      parseLogLevel,
      'error'
    )
    .option('--once', 'stop after the example; exit 1 if it failed')
    .option('--json', 'print one JSON object, as the last line of standard output')
    .action((options: Options) => run(options, context))
}

async function run(options: Options, context: CliContext): Promise<void> {
  if (options.once === true && options.example === undefined) throw new UsageError('--once needs --example')
  if (options.example !== undefined && options.handlers !== undefined) {
    throw new UsageError('--handlers: got it together with --example, which brings its own')
  }
  if (options.handlers !== undefined) checkHandlersFolder(options.handlers)
  const { LocalCluster } = await import('../../dev/local-cluster.ts')
  const { loadExample } = await import('../../dev/examples.ts')
  const example = options.example === undefined ? undefined : await loadExample(options.example)
  const say = (line: string): void => {
    if (options.json !== true) print(context, line)
  }
  const startedAt = performance.now()
  say(`starting ${options.nodes} nodes …`)
  const handlersFolder = example?.handlersFolder ?? options.handlers
  const cluster = await LocalCluster.start({
    nodes: options.nodes,
    timing: options.timing,
    signal: context.signal,
    logLevel: options.logLevel,
    onLog: (node, line) => context.stderr.write(`node ${node}: ${line}\n`),
    ...(options.data === undefined ? {} : { dataFolder: options.data }),
    ...(handlersFolder === undefined ? {} : { handlersFolder }),
    ...(options.slots === undefined ? {} : { slots: options.slots })
  })
  try {
    const nodes = await waitForLeader(cluster, context.signal)
    for (const { id, url, role } of nodes) say(`  node ${id}  ${url}  ${role}`)
    // Nodes that share a folder of handlers say the same of it.
    for (const warning of new Set(cluster.nodes.flatMap(({ warnings }) => warnings)))
      say(`  warning: ${warning}`)
    const outcome =
      example === undefined ? undefined : await runExample(example, nodes, context, options, say)
    const durationMs = Math.round(performance.now() - startedAt)
    if (outcome?.ok === false) context.exitCode = EXIT.failed
    if (options.json === true) {
      const { ok = true, tasks = 0, report = null } = outcome ?? {}
      printJson(context, { ok, durationMs, tasks, nodes, report })
    }
    if (options.once === true) return
    say(`\nThe cluster is up; Ctrl-C stops it. Try: curl ${nodes[0]?.url ?? ''}/v1/cluster`)
    await new Promise<void>((resolve) => {
      if (context.signal.aborted) resolve()
      context.signal.addEventListener('abort', () => {
        resolve()
      })
    })
    say('stopping …')
  } finally {
    await cluster.stop()
  }
}

/** Until every node is a member that may run attempts, and one of them leads. */
async function waitForLeader(cluster: LocalCluster, interrupted: AbortSignal): Promise<NodeReport[]> {
  const urls = cluster.nodes.map(({ url }) => url)
  const client = createClient({ urls, retries: 20 })
  const tooLate = new AbortController()
  const error = new AppError('NO_LEADER', `no leader and quorum within ${ELECTION_TIMEOUT_MS} ms`)
  setTimeout(() => {
    tooLate.abort(error)
  }, ELECTION_TIMEOUT_MS).unref()
  const signal = AbortSignal.any([interrupted, tooLate.signal])
  for (;;) {
    signal.throwIfAborted()
    const { nodes, leader } = await client.cluster({ signal })
    const ready = nodes.filter(({ open, role }) => open && (role === 'voter' || role === 'leader'))
    if (leader !== undefined && ready.length >= Math.min(cluster.nodes.length, 3)) {
      return cluster.nodes.map(({ id, url }) => ({ id, url, role: roleOf(nodes, id) }))
    }
    await delay(POLL_MS)
  }
}

function roleOf(
  nodes: readonly { readonly id: number; readonly role: string }[],
  id: NodeAddress['id']
): string {
  const role = nodes.find((node) => node.id === id)?.role
  return role === 'leader' ? 'leader' : role === 'learner' ? 'learner' : 'follower'
}

async function runExample(
  example: Example,
  nodes: readonly NodeReport[],
  context: CliContext,
  options: Options,
  say: (line: string) => void
): Promise<{ ok: boolean; tasks: number; report: unknown }> {
  const { workflow } = example
  const requests = workflow.tasks(process.cwd())
  // Any node takes any request: this one goes to a node that does not lead.
  const follower = nodes.find(({ role }) => role !== 'leader') ?? nodes[0]
  const urls = [follower, ...nodes].flatMap((node) => (node === undefined ? [] : [node.url]))
  const client = createClient({ urls, retries: 20 })
  const { ids } = await client.submitMany(requests, { signal: context.signal })
  say(
    `\nsubmitted ${ids.length} tasks of ${options.example ?? ''} to node ${follower?.id ?? 0} (${follower?.role ?? ''})`
  )
  const progress = progressOf(context, options.json === true, ids.length)
  const failed = await watch(client, ids, progress, context.signal)
  progress.stop()
  if (failed !== undefined) {
    const { id, name, status, error } = failed
    const why = error === undefined ? '' : `: ${error.code}: ${error.message}`
    context.stderr.write(`dtss: ${name} (${id}) ${status}${why}\n`)
    return { ok: false, tasks: ids.length, report: null }
  }
  const resultId = ids[requests.findIndex(({ name }) => name === workflow.resultOf)] ?? ''
  const { result: report, runMs } = await resultOf(client, resultId)
  say('')
  for (const line of workflow.describe(report)) say(line)
  say(`\n(${workflow.resultOf} took ${formatDuration(runMs)})`)
  return { ok: true, tasks: ids.length, report }
}

async function resultOf(client: Client, id: string): Promise<{ result: unknown; runMs: number }> {
  const [{ result }, { runMs }] = await Promise.all([client.result(id), client.get(id)])
  return { result, runMs: runMs ?? 0 }
}

/** Follows the tasks to their ends; answers with one that did not succeed, if there is any. */
async function watch(
  client: Client,
  ids: readonly string[],
  progress: Progress,
  signal: AbortSignal
): Promise<TaskView | undefined> {
  let ended = 0
  const ends = ids.map(async (id) => {
    const task = await client.wait(id, { signal })
    ended += 1
    progress.update(ended, `${task.name} ${task.status} on node ${task.node ?? '-'}`)
    return task
  })
  const tasks = await Promise.all(ends)
  return tasks.find(({ status }) => status === 'failed') ?? tasks.find(({ status }) => status !== 'succeeded')
}

function delay(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds)
  })
}
