/**
 * One seeded run: load and faults for a while (safety), then everything is healed and must come to rest (liveness).
 *
 * Everything is drawn from the seed; equal options give equal traces.
 */
import { createRng, type Rng } from '../base/prng.ts'
import { taskId } from '../base/ids.ts'
import { SimCluster } from './cluster.ts'
import { EAGER_COPIES } from './eager-copies.ts'
import { Faults, type FaultKind } from './faults.ts'
import { behaviour, Load } from './load.ts'
import { ModelLoad } from './model-load.ts'
import type { SimNode } from './sim-node.ts'

export interface ScenarioOptions {
  readonly seed: number
  /** Default 3. */
  readonly nodes?: number
  /** Virtual time under faults. Default 20 s. */
  readonly faultMs?: number
  /** Tasks to submit in all. Default 60. */
  readonly tasks?: number
  /** Whether nodes join and leave meanwhile. Default: from 5 nodes on. */
  readonly membership?: boolean
  /** The placement policy. Default: two seeds of three use one that copies whatever it may. */
  readonly policy?: string
  readonly onLog?: (line: string) => void
}

export interface ScenarioReport {
  readonly ok: boolean
  readonly seed: number
  /** Hash over what every node applied and when: equal for equal options. */
  readonly traceHash: string
  readonly simulatedSeconds: number
  readonly acknowledged: number
  readonly ended: number
  /** Linearizable reads that were answered. */
  readonly reads: number
  readonly attempts: number
  /** Attempts that were placed as copies, and those of a pair that succeeded too late. */
  readonly copies: number
  readonly superseded: number
  readonly faults: Readonly<Partial<Record<FaultKind, number>>>
  readonly terms: number
  readonly checksumsEqual: boolean
  readonly violations: readonly string[]
}

/** Time that a healed cluster gets to end everything that was acknowledged. */
const REST_LIMIT_MS = 120_000
const CHECKSUM_EVERY_MS = 1_500
/** Ended tasks whose history is read back. */
const HISTORY_SAMPLE = 20

export async function runScenario(options: ScenarioOptions): Promise<ScenarioReport> {
  const { seed, nodes = 3, faultMs = 20_000, tasks = 60 } = options
  const cluster: SimCluster = new SimCluster({
    seed,
    nodes,
    slots: 4,
    behaviour: (attempt, rng) => behaviour(() => cluster, attempt, rng),
    ...(options.onLog === undefined ? {} : { onLog: options.onLog })
  })
  const rng = createRng(seed ^ 0x5eed)
  await cluster.start()
  await cluster.usePolicy(options.policy ?? (seed % 3 === 0 ? 'least-loaded' : EAGER_COPIES))
  const load = new Load(cluster, rng.fork(), tasks)
  const models = new ModelLoad(cluster, rng.fork())
  const faults = new Faults(cluster, rng.fork(), { membership: options.membership ?? nodes >= 5 })
  const watch = watchChecksums(cluster, rng.fork())
  await cluster.run(() => false, faultMs)
  faults.stop()
  models.stop()
  watch.stop()
  await faults.heal()
  const { checkers } = cluster
  const isAtRest = (): boolean =>
    load.done && checkers.tasks.unfinished().length === 0 && checkers.copies.lingering().length === 0
  const rested = await cluster.run(isAtRest, REST_LIMIT_MS)
  const checksumsEqual = await compareStates(cluster)
  await readHistory(cluster, rng)
  const violations = cluster.checkers.violations()
  if (!rested)
    violations.push(
      `not at rest: tasks ${checkers.tasks.unfinished().slice(0, 5).join(', ')} have not ended, tokens ${checkers.copies.lingering().slice(0, 5).join(', ')} still stop`
    )
  if (!checksumsEqual) violations.push('the states of the nodes are not equal at rest')
  return {
    ok: violations.length === 0,
    seed,
    traceHash: checkers.trace.hash,
    simulatedSeconds: Math.round(cluster.time.now) / 1000,
    acknowledged: checkers.tasks.acknowledgedTasks,
    ended: checkers.tasks.endedTasks,
    reads: checkers.reads.answered,
    attempts: checkers.ledger.entries.length,
    copies: checkers.copies.copies,
    superseded: checkers.copies.superseded,
    faults: faults.counts,
    terms: checkers.leaders.terms,
    checksumsEqual,
    violations
  }
}

/** Asks nodes now and then for the checksum of what they have, which must be one for each index. */
function watchChecksums(cluster: SimCluster, rng: Rng): { stop: () => void } {
  let stopped = false
  const next = (): void => {
    cluster.time.schedule(rng.nextInt(2 * CHECKSUM_EVERY_MS), () => {
      if (stopped) return
      for (const node of cluster.nodes) void observeChecksum(cluster, node)
      next()
    })
  }
  next()
  return {
    stop: () => {
      stopped = true
    }
  }
}

async function observeChecksum(cluster: SimCluster, { id, runtime }: SimNode): Promise<number | undefined> {
  if (runtime === undefined) return undefined
  const seen = await cluster.ask(runtime.checksum(), 5_000)
  if (seen instanceof Error) return undefined
  cluster.checkers.checksums.observe(id, seen.index, seen.checksum)
  return seen.index
}

/** All members at one index, within a bound; the checker compares what they have there. */
async function compareStates(cluster: SimCluster): Promise<boolean> {
  for (let attempt = 0; attempt < 20; attempt++) {
    await cluster.run(() => isEven(members(cluster)), 5_000)
    const seen = new Set<number | undefined>()
    for (const node of members(cluster)) seen.add(await cluster.finish(observeChecksum(cluster, node)))
    if (seen.size === 1 && !seen.has(undefined)) return cluster.checkers.checksums.violations.length === 0
  }
  return false
}

function isEven(nodes: readonly SimNode[]): boolean {
  const indexes = new Set(nodes.map(({ runtime }) => runtime?.appliedIndex))
  return indexes.size === 1 && !indexes.has(undefined)
}

/** Whom the leader counts in; nobody while there is none. One may have been told to leave without its client's knowing. */
function members(cluster: SimCluster): SimNode[] {
  const known = cluster.leader()?.runtime?.state.nodes
  return cluster.nodes.filter(({ id, leaving }) => {
    const status = known?.get(id)?.status
    return !leaving && status !== undefined && status !== 'leaving'
  })
}

/** Reads results back from any node. */
async function readHistory(cluster: SimCluster, rng: Rng): Promise<void> {
  const { tasks, content } = cluster.checkers
  const up = cluster.nodes.flatMap(({ runtime }) => (runtime === undefined ? [] : [runtime]))
  const ended = tasks.succeeded()
  for (let i = 0; i < Math.min(HISTORY_SAMPLE, ended.length); i++) {
    const id = taskId(ended[rng.nextInt(ended.length)] ?? 0)
    const runtime = up[rng.nextInt(Math.max(1, up.length))]
    if (runtime === undefined) return
    const row = await cluster.finish(runtime.history(id))
    if (row === undefined) content.violations.push(`history has no row of task ${id}`)
    else content.kept(id, row.token ?? 0, await cluster.finish(runtime.result(row)))
  }
}
