/**
 * One fault at a time: waits until enough attempts run, notes which run where, strikes, heals, and judges what the file
 * of the attempts, the resource and the cluster's own account say.
 */
import { createClient, type TaskView } from '../../client/index.ts'
import type { LocalCluster } from '../../node/dev/local-cluster.ts'
import { delay } from '../bench-tools.ts'
import type { AttemptLog, Span } from './attempt-log.ts'
import type { EffectStore } from './effect-store.ts'
import type { LeaderWatch } from './leader-watch.ts'
import type { Load } from './load.ts'
import { monotonicNow } from './work.ts'

export type FaultKind = 'kill-leader' | 'kill-follower' | 'pause-leader'

export interface FaultResult {
  readonly kind: FaultKind
  readonly acknowledged: number
  /** Acknowledged tasks that did not end, or not as they were meant to. */
  readonly lost: number
  readonly overlaps: number
  readonly staleEffectsAccepted: number
  readonly survivorsAttemptsKilled: number
  readonly leaderlessMs: number
  /** From the fault until the last of the victim's tasks ran elsewhere. */
  readonly reassignedMs: number
}

export interface Scene {
  readonly cluster: LocalCluster
  readonly watch: LeaderWatch
  readonly log: AttemptLog
  readonly store: EffectStore
  readonly load: Load
  readonly say: (line: string) => void
}

/** Attempts that must run when a fault strikes. */
const RUNNING_AT_FAULT = 20
const PAUSE_MS = 15_000
const REFILL_MS = 6_000
const FILL_TIMEOUT_MS = 60_000
const REASSIGN_TIMEOUT_MS = 30_000
const END_TIMEOUT_MS = 90_000
const POLL_MS = 50

/** An attempt that ran when the fault struck, and where. */
interface Witness {
  readonly span: Span
  readonly node: number
}

export async function strike(kind: FaultKind, scene: Scene, tasks: number): Promise<FaultResult> {
  const { load, log, watch, store, say } = scene
  const known = load.acknowledged.length
  await fill(scene, tasks)
  const witnesses = await whereTheyRun(scene)
  const victim = victimOf(kind, scene, witnesses)
  const mine = witnesses.filter(({ node }) => node === victim)
  const others = witnesses.filter(({ node }) => node !== victim)
  say(`${kind}: node ${victim}; ${mine.length} attempts run there, ${others.length} elsewhere`)
  load.trickle()
  const struckAt = monotonicNow()
  const again = mine.filter(({ span }) => !load.isMeantToFail(span.task))
  let reassigned: Span[]
  try {
    reassigned = await strikeAndHeal(kind, scene, victim, () => successorOf(again, log))
  } finally {
    await load.stopTrickle()
  }
  const account = await load.account(performance.now() + END_TIMEOUT_MS)
  const acknowledged = load.acknowledged.slice(known)
  const gaps = watch.gaps()
  say(`  without a leader: ${gaps.length === 0 ? 'never' : gaps.map((ms) => `${ms} ms`).join(', ')}`)
  const overlaps = log.overlaps(new Set(acknowledged.map(({ id }) => id)))
  for (const [a, b] of overlaps)
    say(`  overlap: ${a.task} with tokens ${a.token} and ${b.token} from ${b.from} to ${a.to}`)
  for (const line of account.lost) say(`  not as it should be: ${line}`)
  const killed = others.filter(({ span }) => !survived(span, log, account.ends.get(span.task)))
  for (const { span, node } of killed)
    say(`  ${span.task} with token ${span.token} did not finish on surviving node ${node}`)
  const stale = store.auditStale() + staleCompletions(account.ends, log)
  say(`  writes with an old token: ${store.refused} refused, ${stale} accepted`)
  return {
    kind,
    acknowledged: acknowledged.length,
    lost: account.lost.length,
    overlaps: overlaps.length,
    staleEffectsAccepted: stale,
    survivorsAttemptsKilled: killed.length,
    leaderlessMs: gaps.reduce((sum, ms) => sum + ms, 0),
    reassignedMs: Math.round(Math.max(0, ...reassigned.map(({ from }) => from - struckAt)))
  }
}

/** Submits until enough attempts run at once: on a slow machine the first may end before the last begins. */
async function fill({ load, log }: Scene, tasks: number): Promise<void> {
  let submittedAt = -Infinity
  const enough = async (): Promise<boolean> => {
    if (log.running(monotonicNow()).length >= RUNNING_AT_FAULT) return true
    if (monotonicNow() - submittedAt < REFILL_MS) return false
    submittedAt = monotonicNow()
    await load.batch(tasks)
    return false
  }
  await until(enough, FILL_TIMEOUT_MS, `${RUNNING_AT_FAULT} attempts to run at once`)
}

/** Strikes, waits until the victim's tasks run elsewhere, and brings the victim back. */
async function strikeAndHeal(
  kind: FaultKind,
  { cluster, watch }: Scene,
  victim: number,
  successors: () => (Span | undefined)[]
): Promise<Span[]> {
  const index = cluster.nodes.findIndex(({ id }) => id === victim)
  const reassigned = (): boolean => successors().every((span) => span !== undefined)
  const resumeAt = monotonicNow() + PAUSE_MS
  watch.fault(victim)
  await cluster.signal(index, kind === 'pause-leader' ? 'SIGSTOP' : 'SIGKILL')
  try {
    await until(reassigned, REASSIGN_TIMEOUT_MS, "the victim's tasks to run elsewhere")
    if (kind === 'pause-leader') await delay(Math.max(0, resumeAt - monotonicNow()))
  } finally {
    if (kind === 'pause-leader') await cluster.signal(index, 'SIGCONT')
  }
  if (kind !== 'pause-leader') await cluster.restart(index)
  watch.healed()
  return successors().filter((span) => span !== undefined)
}

function successorOf(mine: readonly Witness[], log: AttemptLog): (Span | undefined)[] {
  const spans = log.read()
  return mine.flatMap(({ span }) => {
    // One that ended in the moment before the fault has nothing to be reassigned.
    if (spans.get(span.token)?.ended === true) return []
    return [log.successor(span.task, span.token)]
  })
}

async function whereTheyRun({ cluster, log }: Scene): Promise<Witness[]> {
  const client = createClient({ urls: cluster.nodes.map(({ url }) => url), retries: 20 })
  const spans = log.running(monotonicNow())
  const views = await Promise.all(spans.map(({ task }) => client.get(task)))
  return spans.flatMap((span, index) => {
    const placement = views[index]?.placement
    return placement?.fencingToken === span.token ? [{ span, node: placement.node }] : []
  })
}

function victimOf(kind: FaultKind, { watch, cluster }: Scene, witnesses: readonly Witness[]): number {
  const { leader } = watch
  if (leader === undefined) throw new Error('no node leads although no fault struck')
  if (kind !== 'kill-follower') return leader
  const runs = (id: number): number => witnesses.filter(({ node }) => node === id).length
  const followers = cluster.nodes.map(({ id }) => id).filter((id) => id !== leader)
  return followers.sort((a, b) => runs(b) - runs(a))[0] ?? leader
}

/** Whether the attempt came to its own end and that end is the one which the cluster took. */
function survived(span: Span, log: AttemptLog, end: TaskView | undefined): boolean {
  return log.read().get(span.token)?.ended === true && end?.fencingToken === span.token
}

/** Results that the cluster took from an attempt although a later one of the same task had begun. */
function staleCompletions(ends: ReadonlyMap<string, TaskView>, log: AttemptLog): number {
  let stale = 0
  for (const [id, { fencingToken, status, result }] of ends) {
    const told = (result as { token?: number } | undefined)?.token
    const foreign = status === 'succeeded' && told !== fencingToken
    if (foreign || log.successor(id, fencingToken ?? 0) !== undefined) stale += 1
  }
  return stale
}

/** Waits until `condition` holds; throws when that takes longer than `timeoutMs`. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  timeoutMs: number,
  what: string
): Promise<void> {
  const deadline = performance.now() + timeoutMs
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`waited ${timeoutMs} ms in vain for ${what}`)
    await delay(POLL_MS)
  }
}
