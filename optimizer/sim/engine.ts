/**
 * The discrete-event simulator of a cluster: virtual time, one policy, one workload.
 *
 * It drives a production `Policy` exactly as the leader's planner does: every change is told through `on…`, then `next`
 * is called until it has nothing more to place.
 *
 * 1. All events of one instant are applied before the policy is asked, as a leader's turn would.
 * 2. A task finishes once; a node never holds more than its slots and resources (checked, not assumed).
 * 3. Same workload, cluster, model and policy seed → the same result, bit for bit.
 * 4. An attempt's fate is drawn when it is placed and shown to no policy before it ends.
 * 5. With a clock, all of a policy's time is measured: each call of `next`, whether it places something or not, and all hooks. What lies
 *    between hooks that follow each other (an array's element set, a barrier lowered) counts as theirs, and so does the clock's own cost,
 *    about 0.1 µs a measurement.
 *
 * A choice that names a *running* idempotent task is a speculative copy: the first success wins, the others end
 * `stopped`. Attempts lost with a node are retried at once, attempts that fail by themselves after `retryDelayMs`.
 */
import type { NodeId, TaskId } from '../../base/ids.ts'
import { InvariantError, invariant } from '../../base/invariant.ts'
import { timestampMs } from '../../base/units.ts'
import type { AttemptEnd } from '../../scheduler/events.ts'
import type { Policy } from '../../scheduler/policy.ts'
import { EventHeap } from './event-heap.ts'
import { Recorder } from './recorder.ts'
import type { AttemptPlan, SimNode, SimOptions, SimResult, SimTask, Workload } from './types.ts'
import { LiveNode, LiveTask, SimView } from './view.ts'
import type { LiveAttempt } from './view.ts'

type SimEvent =
  | LiveAttempt
  | { readonly kind: 'outage'; readonly node: LiveNode; readonly up: boolean }
  | { readonly kind: 'retry'; readonly task: LiveTask }
  | { readonly kind: 'wake' }

const WAKE: SimEvent = { kind: 'wake' }
const DEFAULT_MAX_ATTEMPTS = 10
const DEFAULT_RETRY_DELAY_MS = 1000
const PROGRESS_EVERY = 1000

/** Runs the workload to its end and returns what happened. Throws `InvariantError` when the policy misbehaves. */
export function simulate(
  workload: Workload,
  cluster: readonly SimNode[],
  policy: Policy,
  options: SimOptions
): SimResult {
  return new Simulation(workload, cluster, policy, options).run()
}

class Simulation {
  readonly #workload: Workload
  readonly #policy: Policy
  readonly #options: SimOptions
  readonly #view: SimView
  readonly #events = new EventHeap<SimEvent>()
  readonly #recorder: Recorder
  readonly #specs: ReadonlyMap<NodeId, SimNode>
  readonly #waiting: Int32Array
  readonly #plan: AttemptPlan = { setupMs: 0, runMs: 0, succeeds: true }
  /** One `StartContext`, filled in anew for each attempt. */
  readonly #context: { now: number; attempt: number; nodeOf: (task: TaskId) => NodeId | undefined }
  #arrived = 0
  #ended = 0
  #wakeAt = Infinity
  /** Whether the policy's time is being measured. */
  #measuring = false

  constructor(workload: Workload, cluster: readonly SimNode[], policy: Policy, options: SimOptions) {
    this.#workload = workload
    this.#policy = policy
    this.#options = options
    const tasks = workload.tasks.map((task, index) => new LiveTask(task, workload.dependents[index] ?? []))
    this.#view = new SimView(
      tasks,
      cluster.map((node) => new LiveNode(node))
    )
    this.#specs = new Map(cluster.map((node) => [node.id, node]))
    this.#waiting = Int32Array.from(workload.barriers, (barrier) => barrier.needs.length)
    this.#recorder = new Recorder(workload, policy.name, options)
    const recorder = this.#recorder
    this.#context = { now: 0, attempt: 0, nodeOf: (task) => recorder.nodeOf(task) }
    for (const outage of options.outages ?? []) this.#scheduleOutage(outage.node, outage.from, outage.to)
  }

  run(): SimResult {
    const tasks = this.#workload.tasks
    const view = this.#view
    const sinceUs = this.#enter()
    this.#policy.reset(view)
    this.#leave(sinceUs)
    while (this.#ended < tasks.length) {
      const arrival = tasks[this.#arrived]?.submittedAt ?? Infinity
      const now = Math.min(arrival, this.#events.nextTime)
      if (now === Infinity) this.#stall()
      view.now = timestampMs(now)
      this.#context.now = now
      while (this.#events.nextTime <= now) this.#handle(this.#events.pop() ?? WAKE)
      if (arrival <= now) this.#arriveAll(now)
      this.#place()
      this.#sleep()
    }
    return this.#recorder.finish(view.now)
  }

  #handle(event: SimEvent): void {
    switch (event.kind) {
      case 'attempt':
        // An attempt that was stopped or lost earlier leaves its end in the heap.
        if (event.slot >= 0) this.#end(event, event.succeeds ? 'succeeded' : 'failed')
        break
      case 'outage':
        this.#changeNode(event.node, event.up)
        break
      case 'retry':
        this.#makeReady(event.task)
        break
      case 'wake':
        this.#wakeAt = Infinity
        break
    }
  }

  /** The clock, when the policy's time begins to be measured here; undefined when it is already, or never is. */
  #enter(): number | undefined {
    const { clockUs } = this.#options
    if (clockUs === undefined || this.#measuring) return undefined
    this.#measuring = true
    return clockUs()
  }

  #leave(sinceUs: number | undefined): void {
    if (sinceUs === undefined) return
    this.#measuring = false
    this.#recorder.policyTook((this.#options.clockUs?.() ?? sinceUs) - sinceUs)
  }

  #arriveAll(now: number): void {
    const { tasks, barrierOf } = this.#workload
    const sinceUs = this.#enter()
    while ((tasks[this.#arrived]?.submittedAt ?? Infinity) <= now) {
      const index = this.#arrived++
      const task = this.#view.tasks[index]
      const barrier = barrierOf[index] ?? -1
      if (task !== undefined && (barrier < 0 || this.#waiting[barrier] === 0)) this.#makeReady(task)
    }
    this.#leave(sinceUs)
  }

  #makeReady(task: LiveTask): void {
    if (task.status !== 'pending') return
    task.status = 'ready'
    task.readyAt = this.#view.now
    this.#recorder.ready(task, this.#view.now)
    const sinceUs = this.#enter()
    this.#policy.onReady(task, this.#view)
    this.#leave(sinceUs)
  }

  #place(): void {
    const { clockUs } = this.#options
    for (;;) {
      const before = clockUs?.() ?? 0
      const choice = this.#policy.next(this.#view)
      if (clockUs !== undefined) this.#recorder.decided(clockUs() - before)
      if (choice === undefined) return
      this.#begin(choice.taskId, choice.node)
    }
  }

  #begin(taskId: TaskId, nodeId: NodeId): void {
    const view = this.#view
    const task = view.task(taskId)
    const node = view.node(nodeId)
    if (task === undefined || node === undefined) {
      throw new InvariantError(
        `${this.#policy.name} placed task ${taskId} on node ${nodeId}: no such task or node`
      )
    }
    const copy = task.status === 'running' && task.idempotent
    invariant(
      (task.status === 'ready' || copy) && view.eligible(task, node) && view.fits(task, node),
      () =>
        `${this.#policy.name} placed ${task.status} task ${taskId} on node ${nodeId}, which cannot take it`
    )
    task.attempts++
    task.status = 'running'
    this.#context.attempt = task.attempts
    const plan = this.#plan
    plan.setupMs = 0
    plan.succeeds = true
    this.#options.model.start(this.#specOf(task), this.#specOfNode(node), this.#context, plan)
    const startedAt = view.now + plan.setupMs
    const attempt: LiveAttempt = {
      kind: 'attempt',
      taskId,
      node: nodeId,
      placedAt: view.now,
      task,
      host: node,
      attempt: task.attempts,
      startedAt,
      endsAt: startedAt + plan.runMs,
      succeeds: plan.succeeds,
      slot: -1
    }
    view.addAttempt(attempt)
    this.#events.push(attempt.endsAt, attempt)
    if (copy) return
    const sinceUs = this.#enter()
    this.#policy.onGone(taskId, view)
    this.#leave(sinceUs)
  }

  #specOf({ id }: LiveTask): SimTask {
    const spec = this.#workload.tasks[id - 1]
    invariant(spec !== undefined, () => `no task ${id}`)
    return spec
  }

  #specOfNode({ id }: LiveNode): SimNode {
    const spec = this.#specs.get(id)
    invariant(spec !== undefined, () => `no node ${id}`)
    return spec
  }

  #end(attempt: LiveAttempt, end: AttemptEnd): void {
    const { task, host } = attempt
    const view = this.#view
    view.removeAttempt(attempt)
    const spec = this.#specOf(task)
    this.#options.model.ended?.(spec, this.#specOfNode(host), view.now)
    this.#recorder.attemptEnded(attempt, end, view.now)
    if (end === 'failed') {
      task.lastFailedOn = attempt.node
      task.failures++
    }
    const sinceUs = this.#enter()
    this.#policy.onEnded?.(
      {
        task,
        node: attempt.node,
        end,
        runMs: end === 'lost' ? 0 : Math.max(0, view.now - attempt.startedAt),
        peakMemoryBytes: end === 'succeeded' ? spec.peakMemoryBytes : 0
      },
      view
    )
    if (task.status === 'running') {
      if (end === 'succeeded') this.#succeed(attempt)
      else if (task.live === 0) this.#retry(task, end)
    }
    this.#leave(sinceUs)
  }

  #succeed(attempt: LiveAttempt): void {
    const { task } = attempt
    const view = this.#view
    task.status = 'succeeded'
    this.#recorder.succeeded(attempt, view.now)
    if (task.live > 0) {
      for (const sibling of view.attempts.filter((other) => other.task === task))
        this.#end(sibling, 'stopped')
    }
    this.#finished(task)
    for (const index of this.#workload.opens[task.id - 1] ?? []) {
      const left = (this.#waiting[index] ?? 0) - 1
      this.#waiting[index] = left
      if (left > 0) continue
      for (const member of this.#workload.barriers[index]?.members ?? []) {
        const dependent = view.task(member)
        // One that is submitted later than its dependencies finish becomes ready on arrival.
        if (dependent !== undefined && member <= this.#arrived) this.#makeReady(dependent)
      }
    }
  }

  #retry(task: LiveTask, end: AttemptEnd): void {
    if (end === 'failed' && task.failures >= (this.#options.maxAttempts ?? DEFAULT_MAX_ATTEMPTS)) {
      this.#abandon(task)
      return
    }
    task.status = 'pending'
    if (end === 'lost') this.#makeReady(task)
    else
      this.#events.push(this.#view.now + (this.#options.retryDelayMs ?? DEFAULT_RETRY_DELAY_MS), {
        kind: 'retry',
        task
      })
  }

  /** Ends a task that failed for good, and with it all that wait for it. */
  #abandon(first: LiveTask): void {
    const queue = [first]
    for (const task of queue) {
      if (task.status === 'failed') continue
      task.status = 'failed'
      this.#finished(task)
      for (const id of task.dependents) {
        const dependent = this.#view.task(id)
        if (dependent !== undefined) queue.push(dependent)
      }
    }
  }

  #finished(task: LiveTask): void {
    this.#ended++
    this.#policy.onFinished?.(task.id, this.#view)
    if (this.#ended % PROGRESS_EVERY === 0)
      this.#options.onProgress?.(this.#ended, this.#workload.tasks.length)
  }

  #scheduleOutage(id: NodeId, from: number, to: number): void {
    const node = this.#view.allNodes.find((other) => other.id === id)
    if (node === undefined) return
    this.#events.push(from, { kind: 'outage', node, up: false })
    if (to < Infinity) this.#events.push(to, { kind: 'outage', node, up: true })
  }

  #changeNode(node: LiveNode, up: boolean): void {
    if (node.up === up) return
    node.up = up
    this.#view.nodesChanged()
    const sinceUs = this.#enter()
    this.#policy.onNodesChanged?.(this.#view)
    this.#leave(sinceUs)
    if (up) return
    for (const attempt of this.#view.attempts.filter((other) => other.host === node))
      this.#end(attempt, 'lost')
  }

  /** Keeps one wake-up in the heap, at the earliest time that the policy asked for. */
  #sleep(): void {
    if (this.#policy.wakeAt === undefined) return
    const sinceUs = this.#enter()
    const wish = this.#policy.wakeAt(this.#view)
    this.#leave(sinceUs)
    if (wish === undefined || wish >= this.#wakeAt) return
    invariant(!Number.isNaN(wish), () => `${this.#policy.name} asked to be woken at NaN`)
    this.#wakeAt = Math.max(wish, this.#view.now)
    this.#events.push(this.#wakeAt, WAKE)
  }

  #stall(): never {
    throw new InvariantError(
      `${this.#policy.name} left ${this.#workload.tasks.length - this.#ended} tasks of ${this.#workload.name} with nothing to wait for`
    )
  }
}
