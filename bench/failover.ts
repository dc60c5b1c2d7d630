/**
 * `npm run demo:failover`: three processes under a load of shell commands and js handlers; the leader is killed, a
 * follower is killed, the leader is paused for 15 s. What happened is judged from outside: by a file that every attempt
 * writes to, by a resource that checks fencing tokens, and by asking the cluster for each task that it acknowledged.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Command } from 'commander'
import type { ClusterInfo } from '../base/wire/cluster.ts'
import { LocalCluster } from '../node/dev/local-cluster.ts'
import { clusterReady } from './bench-tools.ts'
import { AttemptLog } from './failover/attempt-log.ts'
import { EffectStore } from './failover/effect-store.ts'
import { strike, until, type FaultKind, type FaultResult, type Scene } from './failover/faults.ts'
import { LeaderWatch } from './failover/leader-watch.ts'
import { Load } from './failover/load.ts'

interface Options {
  readonly tasks: string
  readonly slots: string
  readonly logLevel: string
  readonly json?: boolean
}

const HANDLERS = fileURLToPath(new URL('./failover/handlers/', import.meta.url))
const KINDS: readonly FaultKind[] = ['kill-leader', 'kill-follower', 'pause-leader']
const CHECKSUM_TIMEOUT_MS = 30_000

export async function run(argv: string[]): Promise<number> {
  const options = new Command('failover')
    .option(
      '--tasks <n>',
      'tasks waiting or running when a fault strikes, beside those submitted later',
      '36'
    )
    .option('--slots <n>', 'attempts at once on each node', '14')
    .option('--log-level <level>', 'of the nodes', 'silent')
    .option('--json', 'print one JSON object last')
    .parse(argv, { from: 'user' })
    .opts<Options>()
  const say = (line: string): void => {
    if (options.json === true) console.error(line)
    else console.log(line)
  }
  const folder = await mkdtemp(join(tmpdir(), 'dtss-failover-'))
  const place = { file: join(folder, 'attempts.jsonl'), store: join(folder, 'store.sock') }
  const store = await EffectStore.open(place.store, join(folder, 'effects.jsonl'))
  const log = new AttemptLog(place.file)
  try {
    const cluster = await LocalCluster.start({
      nodes: 3,
      timing: 'lan',
      slots: Number(options.slots),
      handlersFolder: HANDLERS,
      logLevel: options.logLevel,
      onLog: (node, line) => {
        console.error(`node ${node}: ${line}`)
      }
    })
    const urls = (): string[] => cluster.nodes.map(({ url }) => url)
    const watch = new LeaderWatch(() => cluster.nodes)
    try {
      await clusterReady(urls())
      const load = new Load(urls, place)
      const result = await demonstrate({ cluster, watch, log, store, load, say }, Number(options.tasks))
      if (options.json === true) console.log(JSON.stringify(result))
      else console.log(result)
      return result.ok ? 0 : 1
    } finally {
      watch.stop()
      await cluster.stop()
    }
  } finally {
    store.close()
    log.close()
    await rm(folder, { recursive: true, force: true })
  }
}

interface Result {
  readonly ok: boolean
  readonly faults: readonly FaultResult[]
  readonly checksumsEqual: boolean
}

async function demonstrate(scene: Scene, tasks: number): Promise<Result> {
  const faults: FaultResult[] = []
  let checksumsEqual = false
  try {
    for (const kind of KINDS) {
      faults.push(await strike(kind, scene, tasks))
      await clusterReady(scene.cluster.nodes.map(({ url }) => url))
    }
    checksumsEqual = await agree(scene)
  } catch (error) {
    scene.say(`not finished: ${error instanceof Error ? error.message : String(error)}`)
    return { ok: false, faults, checksumsEqual }
  }
  return { ok: checksumsEqual && faults.every(isSafe), faults, checksumsEqual }
}

/** Overlaps are forbidden after a kill; after a pause they are told, and the tokens keep them harmless. */
function isSafe(fault: FaultResult): boolean {
  const { kind, acknowledged, lost, overlaps, staleEffectsAccepted, survivorsAttemptsKilled } = fault
  const apart = overlaps === 0 || kind === 'pause-leader'
  return (
    acknowledged > 0 && lost === 0 && apart && staleEffectsAccepted === 0 && survivorsAttemptsKilled === 0
  )
}

/** Whether all nodes come to stand at one index, with one checksum, and show each task with the same end. */
async function agree({ cluster, load, say }: Scene): Promise<boolean> {
  let views: ClusterInfo[] = []
  const level = async (): Promise<boolean> => {
    views = await Promise.all(cluster.nodes.map(({ url }) => stale<ClusterInfo>(url, '/v1/cluster')))
    return new Set(views.map(({ appliedIndex }) => appliedIndex)).size === 1
  }
  await until(level, CHECKSUM_TIMEOUT_MS, 'all nodes to stand at one index')
  for (const { node, appliedIndex, checksum } of views)
    say(`node ${node.id}: checksum ${checksum} at index ${appliedIndex}`)
  for (const { id } of load.acknowledged) {
    const ends = await Promise.all(
      cluster.nodes.map(async ({ url }) => {
        const { status, fencingToken, finishedAt } = await stale<Record<string, unknown>>(
          url,
          `/v1/tasks/${id}`
        )
        return JSON.stringify([status, fencingToken, finishedAt])
      })
    )
    if (new Set(ends).size === 1) continue
    say(`${id}: the nodes tell different ends: ${ends.join(' ')}`)
    return false
  }
  return new Set(views.map(({ checksum }) => checksum)).size === 1
}

async function stale<T>(url: string, path: string): Promise<T> {
  return (await (await fetch(`${url}${path}?consistency=stale`)).json()) as T
}
