/**
 * One seeded run: load and faults for a while (safety), then everything is healed and must come to rest (liveness).
 *
 * Faults of this first set: crash with or without loss of power, restart, partition (whole or one-way), lossy and slow
 * links, leadership transfer. Each is drawn from the seed; equal seeds give equal traces.
 */
import { durationMs, timestampMs } from '../base/units.ts'
import { createRng, type Rng } from '../base/prng.ts'
import type { AttemptStart } from '../runtime/ports/attempt-host.ts'
import type { Submission, SubmissionTask } from '../scheduler/submission.ts'
import type { SimBehaviour } from './attempt-host.ts'
import { SimCluster } from './cluster.ts'
import type { SimNode } from './sim-node.ts'

export interface ScenarioOptions {
  readonly seed: number
  readonly nodes?: number
  /** Virtual time under faults. */
  readonly faultMs?: number
  /** Tasks to submit in all. */
  readonly tasks?: number
  readonly onLog?: (line: string) => void
}

export interface ScenarioReport {
  readonly ok: boolean
  readonly seed: number
  readonly traceHash: string
  readonly simulatedSeconds: number
  readonly acknowledged: number
  readonly ended: number
  readonly faults: number
  readonly terms: number
  readonly checksumsEqual: boolean
  readonly violations: readonly string[]
}

const NO_BYTES = new Uint8Array(0)
const OK_RESULT = new TextEncoder().encode('{"done":true}')
/** Time that a healed cluster gets to end everything that was acknowledged. */
const REST_LIMIT_MS = 300_000

export async function runScenario(options: ScenarioOptions): Promise<ScenarioReport> {
  const { seed } = options
  const cluster = new SimCluster({
    seed,
    nodes: options.nodes ?? 3,
    slots: 4,
    behaviour,
    ...(options.onLog === undefined ? {} : { onLog: options.onLog })
  })
  const rng = createRng(seed ^ 0x5eed)
  await cluster.start()
  const load = new Load(cluster, rng.fork(), options.tasks ?? 60)
  const faults = new Faults(cluster, rng.fork())
  const endAt = cluster.time.now + (options.faultMs ?? 20_000)
  await cluster.run(() => cluster.time.now >= endAt, options.faultMs ?? 20_000)
  faults.stop()
  await heal(cluster)
  const atRest = (): boolean => load.done && cluster.tasks.unfinished().length === 0
  const rested = await cluster.run(atRest, REST_LIMIT_MS)
  const checksumsEqual = await compareStates(cluster)
  const violations = cluster.violations()
  if (!rested)
    violations.push(`not at rest: tasks ${cluster.tasks.unfinished().slice(0, 5).join(', ')} have not ended`)
  if (!checksumsEqual) violations.push('the states of the nodes differ')
  for (const fatal of cluster.fatal) violations.push(`a node stopped: ${fatal}`)
  return {
    ok: violations.length === 0,
    seed,
    traceHash: cluster.trace.hash,
    simulatedSeconds: Math.round(cluster.time.now) / 1000,
    acknowledged: cluster.tasks.acknowledgedTasks,
    ended: cluster.tasks.endedTasks,
    faults: faults.count,
    terms: cluster.leaders.terms,
    checksumsEqual,
    violations
  }
}

/** Everything works again and every node is up. */
async function heal(cluster: SimCluster): Promise<void> {
  cluster.network.heal()
  cluster.network.setLink({ loss: 0, duplicate: 0, reorder: 0, meanExtraDelayMs: 0.2 })
  for (const node of cluster.nodes) if (!node.up) await cluster.finish(node.start())
}

/** All nodes at one index with one checksum, within a bound. */
async function compareStates(cluster: SimCluster): Promise<boolean> {
  const equalIndexes = (): boolean => {
    const indexes = cluster.nodes.map((node) => node.runtime?.appliedIndex)
    return indexes[0] !== undefined && indexes.every((index) => index === indexes[0])
  }
  for (let attempt = 0; attempt < 20; attempt++) {
    await cluster.run(equalIndexes, 5_000)
    const sums = []
    for (const node of cluster.nodes) {
      if (node.runtime !== undefined) sums.push(await cluster.finish(node.runtime.checksum()))
    }
    const [first] = sums
    if (first === undefined || sums.length < cluster.nodes.length) return false
    if (sums.every(({ index }) => index === first.index))
      return sums.every((sum) => sum.checksum === first.checksum)
  }
  return false
}

function behaviour(_attempt: AttemptStart, rng: Rng): SimBehaviour {
  const runMs = rng.nextInt(4) === 0 ? 500 + rng.nextInt(2_500) : rng.nextInt(100)
  const fails = rng.nextInt(10) === 0
  const end = fails
    ? ({ outcome: 'failed', error: { code: 'FLAKY', message: 'drawn to fail', retryable: true } } as const)
    : ({ outcome: 'succeeded', result: OK_RESULT } as const)
  return { runMs, end, obeyMs: rng.nextInt(200) }
}

/** Submits small groups (some of them chains) to any node that is up, until all were acknowledged or given up. */
class Load {
  readonly #cluster: SimCluster
  readonly #rng: Rng
  #left: number
  #open = 0

  constructor(cluster: SimCluster, rng: Rng, tasks: number) {
    this.#cluster = cluster
    this.#rng = rng
    this.#left = tasks
    this.#next()
  }

  get done(): boolean {
    return this.#left === 0 && this.#open === 0
  }

  #next(): void {
    if (this.#left === 0) return
    this.#cluster.time.schedule(this.#rng.nextInt(600), () => {
      const up = this.#cluster.nodes.filter((node) => node.runtime?.open === true)
      const node = up[this.#rng.nextInt(Math.max(1, up.length))]
      if (node !== undefined) this.#submit(node)
      this.#next()
    })
  }

  #submit(node: SimNode): void {
    const count = Math.min(this.#left, 1 + this.#rng.nextInt(5))
    this.#left -= count
    this.#open += 1
    const submission: Submission = { tasks: Array.from({ length: count }, (_, i) => this.#task(i)) }
    node.runtime
      ?.propose({ type: 'submit', submission }, 30_000)
      .then((value) => {
        if (value.type === 'submitted') this.#cluster.tasks.acknowledged(value.firstId, value.count)
      })
      // Refused or unknown: then nothing was promised.
      .catch(() => undefined)
      .finally(() => {
        this.#open -= 1
      })
    // A crash of the node leaves the promise unsettled for ever: the caller's connection is gone.
    const runtime = node.runtime
    this.#cluster.time.schedule(31_000, () => {
      if (node.runtime !== runtime) this.#open = Math.max(0, this.#open - 1)
    })
  }

  #task(position: number): SubmissionTask {
    const chained = position > 0 && this.#rng.nextInt(3) === 0
    return {
      name: 'work',
      tenant: 'default',
      executor: 'js',
      handler: 'work',
      params: NO_BYTES,
      input: NO_BYTES,
      needs: chained ? [{ position: position - 1, as: 'before' }] : [],
      priority: 0,
      resources: {},
      nodeSelector: {},
      retry: { maxAttempts: 50, baseDelayMs: durationMs(50), maxDelayMs: durationMs(500) },
      scheduleToStartMs: durationMs(0),
      startToCloseMs: durationMs(0),
      killGraceMs: durationMs(500),
      delivery: 'at-least-once',
      idempotent: false,
      onLeaseLoss: 'kill',
      isolation: 'process',
      notBefore: timestampMs(0)
    }
  }
}

/** Draws faults one after the other; at most a minority is down at once, so that progress stays possible. */
class Faults {
  count = 0
  readonly #cluster: SimCluster
  readonly #rng: Rng
  #stopped = false

  constructor(cluster: SimCluster, rng: Rng) {
    this.#cluster = cluster
    this.#rng = rng
    this.#next()
  }

  stop(): void {
    this.#stopped = true
  }

  #next(): void {
    this.#cluster.time.schedule(500 + this.#rng.nextInt(2_500), () => {
      if (this.#stopped) return
      this.count += 1
      this.#strike()
      this.#next()
    })
  }

  #strike(): void {
    const { network, trace } = this.#cluster
    const kind = this.#rng.nextInt(6)
    trace.note(`fault ${kind}`)
    if (kind <= 1) this.#crash(kind === 0)
    else if (kind === 2) this.#partition()
    else if (kind === 3) this.#oneWay()
    else if (kind === 4) {
      network.setLink({
        loss: this.#rng.nextInt(20) / 100,
        duplicate: 0.05,
        reorder: 0.1,
        meanExtraDelayMs: this.#rng.nextInt(30)
      })
    } else this.#transfer()
  }

  #crash(power: boolean): void {
    const down = this.#cluster.nodes.filter((node) => !node.up).length
    const node = this.#pick()
    if (node === undefined || down + 1 > (this.#cluster.nodes.length - 1) / 2) return
    node.crash(power)
    this.#cluster.time.schedule(200 + this.#rng.nextInt(6_000), () => {
      if (!node.up && !this.#stopped) void node.start()
    })
  }

  #partition(): void {
    const { network, nodes, time } = this.#cluster
    const alone = this.#pick()
    if (alone === undefined) return
    network.partition([[alone.peer], nodes.filter((node) => node !== alone).map((node) => node.peer)])
    time.schedule(500 + this.#rng.nextInt(6_000), () => {
      network.heal()
    })
  }

  #oneWay(): void {
    const from = this.#pick()
    const to = this.#pick()
    if (from === undefined || to === undefined || from === to) return
    this.#cluster.network.cut(from.peer, to.peer)
    this.#cluster.time.schedule(500 + this.#rng.nextInt(4_000), () => {
      this.#cluster.network.heal()
    })
  }

  #transfer(): void {
    const leader = this.#cluster.leader()
    const to = this.#pick()
    if (leader !== undefined && to !== undefined && to !== leader) leader.runtime?.transferLeader(to.id)
  }

  #pick(): SimNode | undefined {
    const up = this.#cluster.nodes.filter((node) => node.up)
    return up[this.#rng.nextInt(Math.max(1, up.length))]
  }
}
