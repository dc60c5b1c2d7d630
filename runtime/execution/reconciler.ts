/**
 * Makes what this node runs agree with what the state grants it.
 *
 * After every applied entry, snapshot and lease grant: what is placed on (this node, its incarnation) and neither runs
 * nor has finished is started; what the state no longer grants, or wants stopped, is stopped. Reports of finished
 * attempts stay in the outbox and are repeated until the log has judged them.
 *
 * X1. A token is begun at most once. What runs or has an unjudged report is in `#attempts`; nothing else may start it.
 * X2. Nothing begins without a valid lease of the placement's incarnation; the host checks the deadline again.
 * X3. A report leaves the outbox only when this node has applied the end of its attempt, however that came about.
 */
import type { FencingToken, Incarnation, NodeId, TaskId } from '../../base/ids.ts'
import { placementOn, placementWith, taskOfAttempts } from '../../scheduler/attempts.ts'
import type { AttemptReport } from '../../scheduler/commands.ts'
import type { SchedulerEvent } from '../../scheduler/events.ts'
import type { Proposal } from '../../scheduler/proposals.ts'
import type { SchedulerState } from '../../scheduler/state.ts'
import type { Placement, Task } from '../../scheduler/types.ts'
import type { AttemptExit, AttemptHost, AttemptStart } from '../ports/attempt-host.ts'
import type { Clock } from '../ports/clock.ts'
import type { Logger } from '../ports/log.ts'

export interface ReconcilerInput {
  readonly nodeId: NodeId
  readonly clock: Clock
  readonly logger: Logger
  readonly host: AttemptHost
  readonly lazyStartMs: number
  readonly resendMs: number
  readonly leaseValid: () => boolean
  /** Gathers an attempt's input and the results of its needs from the store. */
  readonly prepare: (task: Task, placement: Placement) => Promise<AttemptStart>
  readonly notify: (proposal: Proposal) => void
}

interface Attempt {
  readonly taskId: TaskId
  readonly number: number
  readonly placement: Placement
  /** `waiting` for a lease, `preparing` its input, `begun` at the host, `over` with its report in the outbox. */
  phase: 'waiting' | 'preparing' | 'begun' | 'over'
  stopAsked: boolean
  /** When the host says it started, by the wall clock; 0 before. */
  startedAt: AttemptReport['startedAt'] | undefined
  /** Monotonic time of the last report, or of the start; repeats are measured from it. */
  lastSentAt: number
  begunAt: number
  startRecorded: boolean
  report: AttemptReport | undefined
}

export class Reconciler {
  readonly #input: ReconcilerInput
  readonly #attempts = new Map<FencingToken, Attempt>()
  /** Tokens that wait for a lease, in the order of their placement. */
  #waiting: FencingToken[] = []
  #incarnation: Incarnation | undefined
  #state: SchedulerState

  constructor(input: ReconcilerInput, state: SchedulerState) {
    this.#input = input
    this.#state = state
  }

  /** Attempts that the host was given and has not ended. */
  get running(): number {
    let count = 0
    for (const attempt of this.#attempts.values()) if (attempt.phase === 'begun') count += 1
    return count
  }

  /** Which task and attempt a token stands for, while this node knows it. */
  attemptOf(token: FencingToken): { readonly taskId: TaskId; readonly attempt: number } | undefined {
    const attempt = this.#attempts.get(token)
    return attempt && { taskId: attempt.taskId, attempt: attempt.number }
  }

  /** Reports that the log has not judged yet. */
  outbox(): AttemptReport[] {
    const reports: AttemptReport[] = []
    for (const { report } of this.#attempts.values()) if (report !== undefined) reports.push(report)
    return reports
  }

  /** This incarnation was opened by the log: its placements count from here on. */
  open(incarnation: Incarnation): void {
    this.#incarnation = incarnation
    this.reconcile()
  }

  /** The incarnation is over: nothing starts any more; what runs is the host's to end. */
  close(): void {
    this.#incarnation = undefined
    this.#waiting = []
    for (const [token, attempt] of this.#attempts) {
      if (attempt.phase === 'waiting' || attempt.phase === 'preparing') this.#attempts.delete(token)
    }
  }

  /** The state was replaced by a snapshot's. */
  replaceState(state: SchedulerState): void {
    this.#state = state
    this.reconcile()
  }

  /** Compares all of this node's placements with what it runs. */
  reconcile(): void {
    const node = this.#state.nodes.get(this.#input.nodeId)
    const granted = new Set<FencingToken>()
    for (const taskId of node?.placements ?? []) {
      const task = taskOfAttempts(this.#state, taskId)
      const placement = placementOn(task, this.#input.nodeId)
      if (task === undefined || placement === undefined) continue
      granted.add(placement.token)
      this.#placed(task, placement)
      if (placement.stopReason !== undefined) this.#stop(placement.token, placement.stopReason)
    }
    for (const [token, attempt] of this.#attempts) {
      if (granted.has(token)) continue
      if (attempt.phase === 'begun') this.#stop(token, 'replace')
      else this.#attempts.delete(token)
    }
  }

  /** Follows the events of an applied entry. */
  observe(events: readonly SchedulerEvent[]): void {
    for (const event of events) {
      if (event.type === 'task-placed') {
        if (event.placement.node === this.#input.nodeId) this.#placed(event.task, event.placement)
      } else if (event.type === 'task-stopping') {
        this.#stop(event.placement.token, event.reason)
      } else if (event.type === 'task-started') {
        const attempt = this.#attempts.get(event.placement.token)
        if (attempt !== undefined) attempt.startRecorded = true
      } else if (event.type === 'attempt-ended') {
        this.#ended(event.placement.token)
      } else if (event.type === 'report-refused') {
        this.#ended(event.token)
      }
    }
  }

  /** The lease was granted or extended: begins what waited for it. */
  leaseGranted(): void {
    const waiting = this.#waiting
    if (waiting.length === 0) return
    this.#waiting = []
    for (const token of waiting) {
      const attempt = this.#attempts.get(token)
      const task = attempt && this.#state.tasks.get(attempt.taskId)
      if (attempt?.phase !== 'waiting') continue
      if (task !== undefined && placementWith(task, token) !== undefined) this.#prepare(task, attempt)
      else this.#attempts.delete(token)
    }
  }

  started(token: FencingToken, startedAt: AttemptReport['startedAt']): void {
    const attempt = this.#attempts.get(token)
    if (attempt === undefined) return
    attempt.startedAt = startedAt
    attempt.begunAt = this.#input.clock.monotonicNow()
  }

  /** The host ended an attempt, for whatever reason. */
  exited(exit: AttemptExit): void {
    const attempt = this.#attempts.get(exit.token)
    if (attempt === undefined) return
    attempt.phase = 'over'
    attempt.report = toReport(attempt.taskId, exit)
    this.#send(attempt, attempt.report)
  }

  /** There is a new leader, who may not have heard: everything unjudged is repeated with the next tick. */
  hurry(): void {
    for (const attempt of this.#attempts.values()) attempt.lastSentAt = -Infinity
  }

  /** Once per tick: repeats what the log has not judged, and records starts of attempts that run long. */
  tick(): void {
    const now = this.#input.clock.monotonicNow()
    const { lazyStartMs, resendMs } = this.#input
    for (const [token, attempt] of this.#attempts) {
      if (now - attempt.lastSentAt < resendMs) continue
      if (attempt.report !== undefined) {
        this.#send(attempt, attempt.report)
      } else if (
        attempt.startedAt !== undefined &&
        !attempt.startRecorded &&
        now - attempt.begunAt >= lazyStartMs
      ) {
        attempt.lastSentAt = now
        this.#input.notify({ type: 'start', taskId: attempt.taskId, token, startedAt: attempt.startedAt })
      }
    }
  }

  #placed(task: Task, placement: Placement): void {
    if (placement.incarnation !== this.#incarnation || this.#attempts.has(placement.token)) return
    const attempt: Attempt = {
      taskId: task.id,
      number: placement.attempt,
      placement,
      phase: 'waiting',
      stopAsked: false,
      startedAt: undefined,
      lastSentAt: -Infinity,
      begunAt: 0,
      startRecorded: placement.startedAt > 0,
      report: undefined
    }
    this.#attempts.set(placement.token, attempt)
    if (this.#input.leaseValid()) this.#prepare(task, attempt)
    else this.#waiting.push(placement.token)
  }

  #prepare(task: Task, attempt: Attempt): void {
    attempt.phase = 'preparing'
    const { token } = attempt.placement
    this.#input.prepare(task, attempt.placement).then(
      (start) => {
        if (this.#attempts.get(token) !== attempt || attempt.phase !== 'preparing') return
        if (attempt.stopAsked) {
          this.#notStarted(attempt)
        } else {
          attempt.phase = 'begun'
          this.#input.host.begin(start)
        }
      },
      (error: unknown) => {
        this.#input.logger.error(
          { taskId: task.id, error: String(error) },
          'an attempt could not be prepared'
        )
        if (this.#attempts.get(token) === attempt) this.#notStarted(attempt)
      }
    )
  }

  #stop(token: FencingToken, reason: Parameters<AttemptHost['stop']>[1]): void {
    const attempt = this.#attempts.get(token)
    if (attempt === undefined || attempt.stopAsked) return
    attempt.stopAsked = true
    if (attempt.phase === 'begun') this.#input.host.stop(token, reason)
    else if (attempt.phase === 'waiting') this.#notStarted(attempt)
  }

  #notStarted(attempt: Attempt): void {
    attempt.phase = 'over'
    attempt.report = {
      taskId: attempt.taskId,
      token: attempt.placement.token,
      outcome: 'not-started',
      result: NO_BYTES,
      error: undefined,
      startedAt: attempt.placement.startedAt,
      finishedAt: this.#input.clock.wallNow(),
      runMs: NO_TIME,
      peakMemoryBytes: 0
    }
    this.#send(attempt, attempt.report)
  }

  #send(attempt: Attempt, report: AttemptReport): void {
    attempt.lastSentAt = this.#input.clock.monotonicNow()
    this.#input.notify({ type: 'report', report })
  }

  /** The log ended the attempt: a report of it was judged, or its node's incarnation ended. */
  #ended(token: FencingToken): void {
    const attempt = this.#attempts.get(token)
    if (attempt === undefined) return
    if (attempt.phase === 'begun') this.#stop(token, 'replace')
    else this.#attempts.delete(token)
  }
}

const NO_BYTES = new Uint8Array(0)
const NO_TIME = 0 as AttemptReport['runMs']

/**
 * What the log hears of an exit. Stops that the state asked for are `stopped`; what the host ended by itself (a timeout, a
 * lease that came too close to its end, though it may have been extended since) failed, and may be tried again.
 */
function toReport(taskId: TaskId, exit: AttemptExit): AttemptReport {
  const { token, result, startedAt, finishedAt, runMs, peakMemoryBytes } = exit
  const facts = { taskId, token, result, startedAt, finishedAt, runMs, peakMemoryBytes }
  if (exit.outcome === 'stopped' && (exit.reason === 'timeout' || exit.reason === 'lease')) {
    return { ...facts, outcome: 'failed', error: exit.error ?? OWN_STOPS[exit.reason] }
  }
  return { ...facts, outcome: exit.outcome, error: exit.error }
}

const OWN_STOPS = {
  timeout: { code: 'TIMEOUT', message: 'the attempt ran longer than startToClose', retryable: true },
  lease: { code: 'LEASE_LOST', message: 'the lease of its node came to its end', retryable: true }
} as const
