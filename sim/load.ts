/**
 * What clients do in a scenario: submit small groups (chains, delays, large inputs, keys, at-most-once) to any node, read
 * what they were told, cancel some of it. Each answer goes to the checkers.
 */
import { AppError } from '../base/errors.ts'
import type { NodeId, TaskId } from '../base/ids.ts'
import { taskId } from '../base/ids.ts'
import type { Rng } from '../base/prng.ts'
import { durationMs, minute, timestampMs } from '../base/units.ts'
import type { AttemptStart } from '../runtime/ports/attempt-host.ts'
import type { OutcomeValue } from '../scheduler/types.ts'
import type { Submission, SubmissionTask } from '../scheduler/submission.ts'
import type { SimBehaviour } from './attempt-host.ts'
import { resultOf } from './checkers/content.ts'
import type { SimCluster } from './cluster.ts'
import type { SimNode } from './sim-node.ts'
import { EPOCH_MS } from './virtual-time.ts'

const utf8 = new TextEncoder()
const NO_BYTES = new Uint8Array(0)
const PROPOSE_MS = 10_000
/** A client gives up its connection a little later than the node its proposal. */
const ANSWER_MS = PROPOSE_MS + 2_000
const MAX_TRIES = 6

/** A submission as its client knows it. */
interface Job {
  readonly name: string
  readonly submission: Submission
}

/** What a refusal can be that leaves open what happened. */
const UNKNOWN: ReadonlySet<string> = new Set(['TIMEOUT', 'SHUTTING_DOWN', 'OUTCOME_UNKNOWN'])

export class Load {
  readonly #cluster: SimCluster
  readonly #rng: Rng
  readonly #tasks: number
  #submitted = 0
  #jobs = 0
  #open = 0

  constructor(cluster: SimCluster, rng: Rng, tasks: number) {
    this.#cluster = cluster
    this.#rng = rng
    this.#tasks = tasks
    this.#next()
  }

  /** Whether everything was submitted and every client has its answer. */
  get done(): boolean {
    return this.#submitted >= this.#tasks && this.#open === 0
  }

  #next(): void {
    if (this.#submitted >= this.#tasks) return
    this.#cluster.time.schedule(this.#rng.nextInt(600), () => {
      this.#open += 1
      const job = this.#job()
      const clients = job.submission.idempotency !== undefined && this.#rng.nextInt(4) === 0 ? 2 : 1
      const asked = Array.from({ length: clients }, () => this.#client(job))
      void Promise.all(asked).finally(() => {
        this.#open -= 1
      })
      this.#next()
    })
  }

  /** One client: with a key it asks until it knows, without one it asks once. */
  async #client(job: Job): Promise<void> {
    const keyed = job.submission.idempotency !== undefined
    for (let tried = 0; tried < (keyed ? MAX_TRIES : 1); tried++) {
      const answer = await this.#submit(job)
      if (!(answer instanceof AppError)) {
        if (answer?.type === 'submitted') await this.#acknowledged(job, answer.firstId, answer.count)
        return
      }
      const unknown = UNKNOWN.has(answer.code)
      if (!unknown) this.#cluster.checkers.once.refused(job.name, answer.code, keyed)
      await this.#pause(this.#rng.nextInt(1_000))
    }
  }

  async #submit(job: Job): Promise<OutcomeValue | AppError | undefined> {
    const runtime = this.#anyNode()?.runtime
    if (runtime === undefined) return new AppError('TIMEOUT', 'no node answers')
    const { submission } = job
    return await this.#cluster.ask(runtime.propose({ type: 'submit', submission }, PROPOSE_MS), ANSWER_MS)
  }

  async #acknowledged(job: Job, firstId: TaskId, count: number): Promise<void> {
    const { checkers } = this.#cluster
    checkers.once.acknowledged(job.name, firstId)
    checkers.tasks.acknowledged(firstId, count)
    for (let id = firstId; id < firstId + count; id++) checkers.reads.acknowledged(taskId(id))
    if (this.#rng.nextInt(2) === 0) await this.#read()
    if (this.#rng.nextInt(6) === 0) {
      await this.#pause(this.#rng.nextInt(1_500))
      await this.#cancel(taskId(firstId + this.#rng.nextInt(count)))
    }
  }

  /** A linearizable read of whatever node. */
  async #read(): Promise<void> {
    const node = this.#anyNode()
    if (node?.runtime === undefined) return
    const { runtime } = node
    const { reads } = this.#cluster.checkers
    const expected = reads.begin(node.id)
    const barrier = runtime.readBarrier(5_000).then(() => {
      reads.answeredFrom(runtime.state, expected)
    })
    await this.#cluster.ask(barrier, 7_000)
  }

  async #cancel(id: TaskId): Promise<void> {
    const runtime = this.#anyNode()?.runtime
    if (runtime === undefined) return
    await this.#cluster.ask(runtime.propose({ type: 'cancel', taskId: id }, PROPOSE_MS), ANSWER_MS)
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.#cluster.time.schedule(ms, resolve))
  }

  #anyNode(): SimNode | undefined {
    const open = this.#cluster.nodes.filter((node) => node.runtime?.open === true)
    return open[this.#rng.nextInt(Math.max(1, open.length))]
  }

  #job(): Job {
    this.#jobs += 1
    const name = `job-${this.#jobs}`
    const count = Math.min(Math.max(1, this.#tasks - this.#submitted), 1 + this.#rng.nextInt(5))
    this.#submitted += count
    const tasks = Array.from({ length: count }, (_, position) => this.#task(name, position))
    if (this.#rng.nextInt(2) === 0) return { name, submission: { tasks } }
    const idempotency = { key: `key-of-${name}`, fingerprint: name, ttlMs: durationMs(10 * minute) }
    return { name, submission: { tasks, idempotency } }
  }

  #task(name: string, position: number): SubmissionTask {
    const rng = this.#rng
    const oneIn = (n: number): boolean => rng.nextInt(n) === 0
    const params = JSON.stringify({ position })
    const input = oneIn(4) ? JSON.stringify({ name, position, padding: 'i'.repeat(rng.nextInt(12_000)) }) : ''
    this.#cluster.checkers.content.submitted(name, params, input)
    const needs = position > 0 && oneIn(3) ? [{ position: position - 1, as: 'before' }] : []
    const delayed = oneIn(10)
    const now = EPOCH_MS + this.#cluster.time.now
    return {
      name,
      tenant: 'default',
      executor: 'js',
      handler: 'work',
      params: utf8.encode(params),
      input: input === '' ? NO_BYTES : utf8.encode(input),
      needs,
      priority: 0,
      resources: {},
      nodeSelector: {},
      retry: { maxAttempts: 50, baseDelayMs: durationMs(50), maxDelayMs: durationMs(500) },
      scheduleToStartMs: durationMs(oneIn(10) ? 1_500 : 0),
      startToCloseMs: durationMs(oneIn(5) ? 8_000 : 2_000 + rng.nextInt(2_000)),
      killGraceMs: durationMs(300),
      delivery: oneIn(6) ? 'at-most-once' : 'at-least-once',
      idempotent: oneIn(2),
      onLeaseLoss: 'kill',
      isolation: 'process',
      notBefore: timestampMs(delayed ? Math.floor(now) + rng.nextInt(6_000) : 0),
      deadlineAt: timestampMs(0)
    }
  }
}

/** What an attempt does, drawn anew for each: mostly brief, sometimes long, failing, endless or deaf to requests. */
export function behaviour(cluster: () => SimCluster, attempt: AttemptStart, rng: Rng): SimBehaviour {
  cluster().checkers.content.begun(attempt)
  const draw = rng.nextInt(40)
  const long = draw < 3 ? 3_000 + rng.nextInt(4_000) : 500 + rng.nextInt(2_500)
  const runMs = draw === 0 ? Infinity : draw < 10 ? long : rng.nextInt(100)
  const error = { code: 'FLAKY', message: 'drawn to fail', retryable: true }
  const end =
    rng.nextInt(10) === 0
      ? ({ outcome: 'failed', error } as const)
      : ({ outcome: 'succeeded', result: resultOf(attempt.taskId, attempt.token) } as const)
  const output = [{ stream: 'stdout' as const, bytes: utf8.encode(`attempt ${attempt.attempt}\n`) }]
  return { runMs, end, obeyMs: rng.nextInt(8) === 0 ? Infinity : rng.nextInt(200), output }
}

/** Asks the log to let a node go; resolves to whether it is known to have. */
export async function leave(cluster: SimCluster, by: SimNode, node: NodeId): Promise<boolean> {
  if (by.runtime === undefined) return false
  const answer = await cluster.ask(by.runtime.propose({ type: 'leave', node }, PROPOSE_MS), ANSWER_MS)
  return !(answer instanceof AppError)
}
