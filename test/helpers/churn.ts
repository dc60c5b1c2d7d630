/**
 * A small cluster in which everything happens that can happen to a policy: tasks come alone, in bursts and as DAGs, are cancelled while they
 * wait and while their placement is in flight, fail, are retried, lost with their node and copied; placements are refused; nodes come and go;
 * and the policy begins anew in the middle of it. All of it drawn from one seed.
 *
 * 1. Tells the policy what the planner would, in its order, and shows it what the planner's view would.
 * 2. Each placement is held to the rules of `apply`: a ready task, or an idempotent running one without a copy, on a node that fits.
 */
import { nodeId, taskId } from '../../base/ids.ts'
import type { NodeId, TaskId } from '../../base/ids.ts'
import { createRng } from '../../base/prng.ts'
import type { Rng } from '../../base/prng.ts'
import { timestampMs } from '../../base/units.ts'
import { isPlaceable } from '../../optimizer/policies/node-rules.ts'
import { LiveNode, LiveTask } from '../../optimizer/sim/view.ts'
import type { SimNode } from '../../optimizer/sim/types.ts'
import type { AttemptEnd } from '../../scheduler/events.ts'
import type { ClusterView, Policy, RunningView, TaskView } from '../../scheduler/policy.ts'
import { nodesOf, taskOf } from './workloads.ts'
import type { TaskSketch } from './workloads.ts'

export interface ChurnOptions {
  readonly seed: number
  /** Whether nodes are of several hardware classes. */
  readonly mixed?: boolean
  /** Whether DAGs come too. */
  readonly dags?: boolean
  /** Called whenever the policy has placed all that it would. */
  readonly onIdle?: (churn: Churn) => void
}

interface Attempt extends RunningView {
  readonly task: LiveTask
  readonly host: LiveNode
}

const SLOTS = 3
const CPU = 4
const MOST_PLACED = 500
const WAVE = 50
/** What happens, by how often. */
const KINDS = [
  ...Array<string>(6).fill('arrive'),
  ...Array<string>(8).fill('succeed'),
  ...['fail', 'cancelReady', 'cancelPlaced', 'refuse', 'join', 'leave', 'reset', 'wait', 'wait', 'wait']
] as const

export class Churn implements ClusterView {
  now = timestampMs(0)
  /** How often everything happened. */
  readonly counts = new Map<string, number>()
  readonly #policy: Policy
  readonly #options: ChurnOptions
  readonly #rng: Rng
  readonly #tasks = new Map<TaskId, LiveTask>()
  readonly #ready = new Set<TaskId>()
  readonly #attempts: Attempt[] = []
  /** Needs that have not succeeded, by task. */
  readonly #missing = new Map<TaskId, number>()
  #nodes: LiveNode[] = []
  #lastNode = 0
  #lastTask = 0

  constructor(policy: Policy, options: ChurnOptions) {
    this.#policy = policy
    this.#options = options
    this.#rng = createRng(options.seed)
    for (let count = 0; count < 3; count++) this.#addNode()
    policy.reset(this)
  }

  /** So many things happen. */
  run(steps: number): void {
    for (let step = 0; step < steps; step++) {
      this.now = timestampMs(this.now + this.#rng.nextInt(2000))
      const what = KINDS[this.#rng.nextInt(KINDS.length)] ?? 'wait'
      // Work comes in waves, between which nodes are idle.
      this.#happen(what === 'arrive' && step % (2 * WAVE) > WAVE ? 'succeed' : what)
      this.#place()
    }
  }

  /**
   * Nothing comes any more, what no node could run is cancelled, and all else succeeds in turn, until nothing is left. Throws when the policy lets
   * work lie.
   */
  drain(): void {
    while (this.#nodes.length < 3) this.#join()
    this.#place()
    for (const task of this.#tasks.values())
      if (task.live === 0 && !isPlaceable(task, this)) this.#finish(task)
    for (let turns = 0; this.#tasks.size > 0; turns++) {
      if (this.#attempts.length > 0) {
        this.now = timestampMs(this.now + 500)
        this.#end(this.#attempts[0]!, 'succeeded')
      } else {
        const at = this.#policy.wakeAt?.(this)
        if (at === undefined || turns > 100_000)
          throw new Error(`seed ${this.#options.seed}: ${this.#tasks.size} tasks lie, woken at ${String(at)}`)
        this.now = timestampMs(Math.max(this.now, at))
      }
      this.#place()
    }
  }

  ready(): LiveTask[] {
    return [...this.#ready].map((id) => this.#tasks.get(id)!)
  }

  nodes(): readonly LiveNode[] {
    return this.#nodes
  }

  node(id: NodeId): LiveNode | undefined {
    return this.#nodes.find((node) => node.id === id)
  }

  task(id: TaskId): LiveTask | undefined {
    return this.#tasks.get(id)
  }

  running(): Iterable<RunningView> {
    return this.#attempts
  }

  readyIds(): Iterable<TaskId> {
    return this.#ready
  }

  eligible(task: TaskView, node: LiveNode): boolean {
    return Object.entries(task.nodeSelector).every(([label, value]) => node.labels[label] === value)
  }

  fits(task: TaskView, node: LiveNode): boolean {
    return (
      node.freeSlots > 0 &&
      Object.entries(task.resources).every(([name, amount]) => node.free(name) >= amount)
    )
  }

  #happen(what: string): void {
    const acts: Readonly<Record<string, () => boolean>> = {
      arrive: () => this.#arrive(),
      succeed: () => this.#endAny('succeeded'),
      fail: () => this.#endAny('failed'),
      cancelReady: () => this.#cancelAny(),
      cancelPlaced: () => this.#refuseAny(true),
      refuse: () => this.#refuseAny(false),
      join: () => this.#join(),
      leave: () => this.#leave(),
      reset: () => {
        this.#policy.reset(this)
        return true
      }
    }
    if (acts[what]?.() ?? true) this.#count(what)
  }

  #endAny(end: AttemptEnd): boolean {
    const attempt = this.#any(this.#attempts)
    if (attempt !== undefined) this.#end(attempt, end)
    return attempt !== undefined
  }

  #cancelAny(): boolean {
    const task = this.#any(this.ready())
    if (task !== undefined) this.#finish(task)
    return task !== undefined
  }

  /** The placement of an original that has no copy is undone, mostly because its task was cancelled meanwhile: no attempt ends. */
  #refuseAny(isCancelled: boolean): boolean {
    const attempt = this.#any(this.#attempts.filter(({ task }) => task.live === 1))
    if (attempt === undefined) return false
    this.#release(attempt)
    attempt.task.attempts--
    if (isCancelled) this.#finish(attempt.task)
    else this.#makeReady(attempt.task)
    // The planner says so wherever a placement was refused.
    this.#nodesChanged()
    return true
  }

  #join(): boolean {
    if (this.#nodes.length > 5) return false
    this.#addNode()
    this.#nodesChanged()
    return true
  }

  #arrive(): boolean {
    const rng = this.#rng
    const isDag = this.#options.dags === true && rng.nextInt(3) === 0
    const size = isDag ? 4 : 1 + rng.nextInt(4)
    const first = this.#lastTask + 1
    const needs = isDag ? [[], [first], [first], [first + 1, first + 2]] : []
    const sketch: TaskSketch = {
      work: 1,
      tenant: `tenant-${rng.nextInt(3)}`,
      priority: rng.nextInt(5) === 0 ? 1 : 0,
      group: first,
      at: this.now,
      idempotent: rng.nextInt(2) === 0,
      resources: { cpu: 1 + rng.nextInt(CPU) },
      // Now and then one that only some node, or none, could run.
      ...(rng.nextInt(8) === 0 && { selector: { zone: rng.nextInt(2) === 0 ? 'a' : 'nowhere' } })
    }
    if (isDag) this.#count('dag')
    const tasks = Array.from({ length: size }, (_, index) => {
      const own = { ...sketch, name: `name-${isDag ? index : rng.nextInt(2)}`, needs: needs[index] ?? [] }
      const dependents = needs.flatMap((of, at) => (of.includes(first + index) ? [taskId(first + at)] : []))
      return new LiveTask(taskOf(own, this.#lastTask++), dependents)
    })
    for (const task of tasks) {
      this.#tasks.set(task.id, task)
      this.#missing.set(task.id, task.needs.length)
    }
    for (const task of tasks) if (task.needs.length === 0) this.#makeReady(task)
    return true
  }

  #place(): void {
    for (let placed = 0; ; placed++) {
      const choice = this.#policy.next(this)
      if (choice === undefined) break
      if (placed > MOST_PLACED) throw new Error('it places without end')
      const task = this.#tasks.get(choice.taskId)
      const host = this.node(choice.node)
      const isCopy = task !== undefined && !this.#ready.has(task.id)
      const mayRun = task !== undefined && (!isCopy || (task.idempotent && task.live === 1))
      if (host === undefined || !mayRun || !this.eligible(task, host) || !this.fits(task, host))
        throw new Error(
          `seed ${this.#options.seed}: task ${choice.taskId} cannot be placed on node ${choice.node}`
        )
      this.#count(isCopy ? 'copy' : 'place')
      // Every other copy is not made.
      if (isCopy && (this.counts.get('copy') ?? 0) % 2 === 0) {
        this.#count('notCopied')
        this.#policy.onNotCopied?.(task.id, this)
        break
      }
      this.#ready.delete(task.id)
      host.take(task.resources, 1)
      task.attempts++
      task.live++
      this.#attempts.push({ taskId: task.id, node: host.id, placedAt: this.now, task, host })
      if (!isCopy) this.#policy.onGone(task.id, this)
    }
    this.#options.onIdle?.(this)
  }

  #end(attempt: Attempt, end: AttemptEnd): void {
    const { task, node } = attempt
    this.#release(attempt)
    if (end === 'failed') task.lastFailedOn = node
    const runMs = end === 'lost' ? 0 : this.now - attempt.placedAt
    this.#policy.onEnded?.({ task, node, end, runMs, peakMemoryBytes: 0 }, this)
    const sibling = this.#attempts.find((other) => other.task === task)
    if (end === 'succeeded') {
      this.#finish(task)
      // As in a cluster: of the one that lost it is heard after the task is over.
      if (sibling !== undefined) this.#end(sibling, 'stopped')
    } else if (sibling === undefined && this.#tasks.has(task.id)) this.#makeReady(task)
  }

  #release(attempt: Attempt): void {
    this.#attempts.splice(this.#attempts.indexOf(attempt), 1)
    attempt.host.take(attempt.task.resources, -1)
    attempt.task.live--
  }

  /** The task is over; where it did not run, what needs it never will. */
  #finish(task: LiveTask): void {
    const isCancelled = this.#ready.has(task.id) || task.live === 0
    if (!this.#tasks.delete(task.id)) return
    if (this.#ready.delete(task.id)) this.#policy.onGone(task.id, this)
    this.#policy.onFinished?.(task.id, this)
    for (const id of task.dependents) {
      const dependent = this.#tasks.get(id)
      if (dependent === undefined) continue
      const missing = (this.#missing.get(id) ?? 0) - 1
      this.#missing.set(id, missing)
      if (isCancelled && this.#rng.nextInt(2) === 0) this.#finish(dependent)
      else if (missing === 0) this.#makeReady(dependent)
    }
  }

  #makeReady(task: LiveTask): void {
    this.#ready.add(task.id)
    task.readyAt = this.now
    this.#policy.onReady(task, this)
  }

  #leave(): boolean {
    const node = this.#any(this.#nodes)
    if (node === undefined) return false
    this.#nodes = this.#nodes.filter((other) => other !== node)
    this.#nodesChanged()
    for (const attempt of this.#attempts.filter(({ host }) => host === node)) this.#end(attempt, 'lost')
    return true
  }

  #addNode(): void {
    const id = nodeId(++this.#lastNode)
    const [node] = nodesOf([1], SLOTS)
    const profile = this.#options.mixed === true ? `profile-${id % 3}` : ''
    const labels = { zone: id % 2 === 0 ? 'a' : 'b' }
    const spec: SimNode = { ...node!, id, profile, labels, resources: { cpu: CPU } }
    this.#nodes = [...this.#nodes, new LiveNode(spec)]
  }

  #nodesChanged(): void {
    this.#policy.onNodesChanged?.(this)
  }

  #any<T>(items: readonly T[]): T | undefined {
    return items[this.#rng.nextInt(Math.max(1, items.length))]
  }

  #count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1)
  }
}
