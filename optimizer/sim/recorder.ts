/** Collects what a simulation's result holds. Write-only for the engine, except for where a task last ran. */
import type { NodeId, TaskId } from '../../base/ids.ts'
import { nodeId } from '../../base/ids.ts'
import type { AttemptEnd } from '../../scheduler/events.ts'
import type { AttemptRecord, SimOptions, SimResult, Workload } from './types.ts'
import type { LiveAttempt, LiveTask } from './view.ts'

export class Recorder {
  readonly #workload: Workload
  readonly #policy: string
  readonly #record: boolean
  readonly #readyAt: Float64Array
  readonly #startedAt: Float64Array
  readonly #finishedAt: Float64Array
  readonly #node: Int32Array
  readonly #succeeded: Uint8Array
  readonly #attempts: AttemptRecord[] = []
  readonly #decisionUs: number[] = []
  readonly #attemptsOf: Int32Array
  #policyUs = 0
  #attemptCount = 0
  #busyMs = 0
  #busyCoreMs = 0
  #wastedMs = 0

  constructor(workload: Workload, policy: string, options: SimOptions) {
    const count = workload.tasks.length
    this.#workload = workload
    this.#policy = policy
    this.#record = options.record ?? false
    this.#readyAt = new Float64Array(count).fill(-1)
    this.#startedAt = new Float64Array(count).fill(-1)
    this.#finishedAt = new Float64Array(count).fill(-1)
    this.#node = new Int32Array(count)
    this.#attemptsOf = new Int32Array(count)
    this.#succeeded = new Uint8Array(count)
  }

  nodeOf(task: TaskId): NodeId | undefined {
    const node = this.#node[task - 1] ?? 0
    return node === 0 ? undefined : nodeId(node)
  }

  ready(task: LiveTask, now: number): void {
    this.#readyAt[task.id - 1] = now
  }

  /** A call of `next` is over. */
  decided(durationUs: number): void {
    this.#decisionUs.push(durationUs)
    this.#policyUs += durationUs
  }

  /** The policy spent so long in its hooks. */
  policyTook(durationUs: number): void {
    this.#policyUs += durationUs
  }

  attemptEnded(attempt: LiveAttempt, end: AttemptEnd, now: number): void {
    this.#attemptCount++
    this.#attemptsOf[attempt.taskId - 1] = (this.#attemptsOf[attempt.taskId - 1] ?? 0) + 1
    const heldMs = now - attempt.placedAt
    this.#busyMs += heldMs
    this.#busyCoreMs += (heldMs * (attempt.task.resources['cpu'] ?? 1000)) / 1000
    if (end !== 'succeeded') this.#wastedMs += heldMs
    if (!this.#record) return
    this.#attempts.push({
      task: attempt.taskId,
      node: attempt.node,
      attempt: attempt.attempt,
      placedAt: attempt.placedAt,
      startedAt: Math.min(attempt.startedAt, now),
      endedAt: now,
      end
    })
  }

  succeeded(attempt: LiveAttempt, now: number): void {
    const index = attempt.taskId - 1
    this.#startedAt[index] = attempt.startedAt
    this.#finishedAt[index] = now
    this.#node[index] = attempt.node
    this.#succeeded[index] = 1
  }

  finish(endedAt: number): SimResult {
    return {
      workload: this.#workload,
      policy: this.#policy,
      readyAt: this.#readyAt,
      startedAt: this.#startedAt,
      finishedAt: this.#finishedAt,
      node: this.#node,
      succeeded: this.#succeeded,
      attemptCount: this.#attemptCount,
      attemptsOf: this.#attemptsOf,
      wastedMs: this.#wastedMs,
      busyMs: this.#busyMs,
      busyCoreMs: this.#busyCoreMs,
      endedAt,
      policyUs: this.#policyUs,
      decisionUs: Float64Array.from(this.#decisionUs),
      attempts: this.#attempts
    }
  }
}
