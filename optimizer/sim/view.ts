/**
 * The simulator's `ClusterView`: tasks, nodes and running attempts as policies see them, kept up to date in place.
 *
 * Owns slots and resources; knows nothing of time's flow or of events (`engine.ts`). It refuses what production would
 * refuse, but as a broken invariant: in the lab an impossible placement is a bug of the policy.
 */
import type { NodeId, TaskId } from '../../base/ids.ts'
import { invariant } from '../../base/invariant.ts'
import { timestampMs } from '../../base/units.ts'
import type { TimestampMs } from '../../base/units.ts'
import type { ClusterView, NodeView, RunningView, TaskView } from '../../scheduler/policy.ts'
import type { Labels, Resources } from '../../scheduler/types.ts'
import type { SimNode, SimTask } from './types.ts'

export type SimStatus = 'pending' | 'ready' | 'running' | 'succeeded' | 'failed'

/** A task during a run. What it takes is not in it: policies are handed these very objects. */
export class LiveTask implements TaskView {
  readonly id: TaskId
  readonly name: string
  readonly tenant: string
  readonly executor = 'sim'
  readonly handler = ''
  readonly priority: number
  readonly resources: Resources
  readonly nodeSelector: Labels
  readonly inputBytes: number
  readonly limitMs: number
  readonly submittedAt: TimestampMs
  readonly idempotent: boolean
  readonly needs: readonly TaskId[]
  readonly dependents: readonly TaskId[]
  readonly group: TaskId
  readyAt: TimestampMs
  attempts = 0
  readonly deadlineAt = timestampMs(0)
  lastFailedOn: NodeId | undefined = undefined
  readonly lastErrorCode = undefined
  status: SimStatus = 'pending'
  /** Attempts that run now: more than one only for speculative copies. */
  live = 0
  /** Attempts that failed by themselves. */
  failures = 0

  constructor(spec: SimTask, dependents: readonly TaskId[]) {
    this.id = spec.id
    this.name = spec.name
    this.tenant = spec.tenant
    this.priority = spec.priority
    this.resources = spec.resources
    this.nodeSelector = spec.nodeSelector
    this.inputBytes = spec.inputBytes
    this.limitMs = spec.limitMs
    this.submittedAt = timestampMs(spec.submittedAt)
    this.readyAt = timestampMs(0)
    this.idempotent = spec.idempotent
    this.needs = spec.needs
    this.dependents = dependents
    this.group = spec.group
  }
}

/** A node during a run. How fast it is is not in it. */
export class LiveNode implements NodeView {
  readonly id: NodeId
  readonly labels: Labels
  readonly zone: string
  readonly profile: string
  readonly slots: number
  readonly resources: Resources
  freeSlots: number
  up = true
  readonly #left: Record<string, number>

  constructor(spec: SimNode) {
    this.id = spec.id
    this.labels = spec.labels
    this.zone = spec.zone
    this.profile = spec.profile
    this.slots = spec.slots
    this.resources = spec.resources
    this.freeSlots = spec.slots
    this.#left = { ...spec.resources }
  }

  free(resource: string): number {
    return this.#left[resource] ?? Infinity
  }

  /** Takes (or with `sign` −1 gives back) a slot and the resources. */
  take(resources: Resources, sign: 1 | -1): void {
    this.freeSlots -= sign
    for (const name in resources) {
      const left = this.#left[name]
      if (left === undefined) continue
      const next = left - sign * (resources[name] ?? 0)
      invariant(next >= 0, () => `node ${this.id}: ${name} overcommitted by ${-next}`)
      this.#left[name] = next
    }
    invariant(
      this.freeSlots >= 0 && this.freeSlots <= this.slots,
      () => `node ${this.id}: ${this.freeSlots} free slots`
    )
  }
}

/** A live attempt, with its fate: for the engine alone. */
export interface LiveAttempt extends RunningView {
  readonly kind: 'attempt'
  readonly task: LiveTask
  readonly host: LiveNode
  readonly attempt: number
  readonly startedAt: number
  readonly endsAt: number
  readonly succeeds: boolean
  /** Its index among the running; −1 once it is over. */
  slot: number
}

/** What policies see of a live attempt: when and how it ends is out of their reach. */
class SeenAttempt implements RunningView {
  readonly taskId: TaskId
  readonly node: NodeId
  readonly placedAt: TimestampMs
  readonly #fate: LiveAttempt

  constructor(attempt: LiveAttempt) {
    this.taskId = attempt.taskId
    this.node = attempt.node
    this.placedAt = attempt.placedAt
    this.#fate = attempt
  }

  static progress(attempt: RunningView, now: number): number | undefined {
    if (!(#fate in attempt)) return undefined
    const { startedAt, endsAt } = attempt.#fate
    return endsAt <= startedAt ? 1 : Math.min(1, Math.max(0, (now - startedAt) / (endsAt - startedAt)))
  }
}

/**
 * How far a simulated attempt is, in [0, 1], as its node would report it, and exactly: (now − start) ÷ (end − start). Undefined for one
 * that is not simulated.
 */
export function simProgress(attempt: RunningView, now: number): number | undefined {
  return SeenAttempt.progress(attempt, now)
}

export class SimView implements ClusterView {
  now = timestampMs(0)
  readonly tasks: readonly LiveTask[]
  readonly allNodes: readonly LiveNode[]
  readonly attempts: LiveAttempt[] = []
  /** The same, in the same order, as policies see them. */
  readonly #seen: SeenAttempt[] = []
  readonly #byId = new Map<NodeId, LiveNode>()
  #up: LiveNode[] = []

  constructor(tasks: readonly LiveTask[], nodes: readonly LiveNode[]) {
    this.tasks = tasks
    this.allNodes = [...nodes].sort((a, b) => a.id - b.id)
    for (const node of this.allNodes) this.#byId.set(node.id, node)
    this.nodesChanged()
  }

  nodes(): readonly LiveNode[] {
    return this.#up
  }

  node(id: NodeId): LiveNode | undefined {
    const node = this.#byId.get(id)
    return node?.up === true ? node : undefined
  }

  /** As in a cluster, which forgets tasks that have ended. */
  task(id: TaskId): LiveTask | undefined {
    const task = this.tasks[id - 1]
    return task?.status === 'succeeded' || task?.status === 'failed' ? undefined : task
  }

  running(): Iterable<RunningView> {
    return this.#seen
  }

  *ready(): Iterable<TaskView> {
    for (const task of this.tasks) if (task.status === 'ready') yield task
  }

  *readyIds(): Iterable<TaskId> {
    for (const { id, status } of this.tasks) if (status === 'ready') yield id
  }

  eligible(task: TaskView, node: NodeView): boolean {
    const selector = task.nodeSelector
    for (const label in selector) if (node.labels[label] !== selector[label]) return false
    return true
  }

  fits(task: TaskView, node: NodeView): boolean {
    if (node.freeSlots <= 0) return false
    const resources = task.resources
    for (const name in resources) if (node.free(name) < (resources[name] ?? 0)) return false
    return true
  }

  /** Reads again which nodes are up. */
  nodesChanged(): void {
    this.#up = this.allNodes.filter((node) => node.up)
  }

  addAttempt(attempt: LiveAttempt): void {
    attempt.slot = this.attempts.length
    this.attempts.push(attempt)
    this.#seen.push(new SeenAttempt(attempt))
    attempt.task.live++
    attempt.host.take(attempt.task.resources, 1)
  }

  removeAttempt(attempt: LiveAttempt): void {
    const last = this.attempts.pop()
    const lastSeen = this.#seen.pop()
    if (last !== undefined && lastSeen !== undefined && last !== attempt) {
      this.attempts[attempt.slot] = last
      this.#seen[attempt.slot] = lastSeen
      last.slot = attempt.slot
    }
    attempt.slot = -1
    attempt.task.live--
    attempt.host.take(attempt.task.resources, -1)
  }
}
