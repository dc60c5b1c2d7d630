/**
 * A policy that lives on from run to run, where runs follow each other on one cluster: in production one policy and one estimator see
 * all workflows, and only a lab begins anew.
 *
 * 1. Each run's clock starts at 0 and its tasks at 1. The policy is shown times that go on, and tasks by numbers that no run before had.
 * 2. It is reset by the first run alone. Later ones find nothing waiting and nothing running, and tell it that nodes may have changed.
 */
import { taskId } from '../../base/ids.ts'
import type { NodeId, TaskId } from '../../base/ids.ts'
import type { Rng } from '../../base/prng.ts'
import { timestampMs } from '../../base/units.ts'
import type { TimestampMs } from '../../base/units.ts'
import type {
  AttemptFeedback,
  ClusterView,
  NodeView,
  PlacementChoice,
  Policy,
  RunningView,
  TaskView
} from '../../scheduler/policy.ts'
import type { SimResult } from '../sim/types.ts'
import type { PolicyEntry } from './catalog.ts'
import type { Instance, Trace } from './trace.ts'

/** The policies of runs that may follow each other: an entry's goes on where it continues and the runs are a sequence, else each is fresh. */
export class RunPolicies {
  readonly #isSequence: boolean
  readonly #continued = new Map<PolicyEntry, ContinuedPolicy>()

  constructor({ sequential }: Trace) {
    this.#isSequence = sequential === true
  }

  /** For the entry's next run. */
  of(entry: PolicyEntry, instance: Instance, rng: Rng): Policy {
    const known = this.#continued.get(entry)
    if (known !== undefined) return known
    const policy = entry.make(instance, rng)
    if (!this.#isSequence || entry.continues !== true) return policy
    const continued = new ContinuedPolicy(policy)
    this.#continued.set(entry, continued)
    return continued
  }

  runEnded(entry: PolicyEntry, result: SimResult): void {
    this.#continued.get(entry)?.runEnded(result)
  }
}

export class ContinuedPolicy implements Policy {
  readonly #inner: Policy
  readonly #view = new ContinuedView()
  #runs = 0

  /** `inner` has seen nothing. */
  constructor(inner: Policy) {
    this.#inner = inner
  }

  get name(): string {
    return this.#inner.name
  }

  /** A run is over. */
  runEnded({ workload, endedAt }: Pick<SimResult, 'workload' | 'endedAt'>): void {
    this.#view.goOn(workload.tasks.length, endedAt)
  }

  reset(view: ClusterView): void {
    if (this.#runs++ === 0) this.#inner.reset(this.#view.of(view))
    else this.#inner.onNodesChanged?.(this.#view.of(view))
  }

  onReady(task: TaskView, view: ClusterView): void {
    this.#inner.onReady(this.#view.shown(task), this.#view.of(view))
  }

  onGone(id: TaskId, view: ClusterView): void {
    this.#inner.onGone(this.#view.shownId(id), this.#view.of(view))
  }

  onEnded(feedback: AttemptFeedback, view: ClusterView): void {
    this.#inner.onEnded?.({ ...feedback, task: this.#view.shown(feedback.task) }, this.#view.of(view))
  }

  onFinished(id: TaskId, view: ClusterView): void {
    this.#inner.onFinished?.(this.#view.shownId(id), this.#view.of(view))
  }

  onNotCopied(id: TaskId, view: ClusterView): void {
    this.#inner.onNotCopied?.(this.#view.shownId(id), this.#view.of(view))
  }

  onNodesChanged(view: ClusterView): void {
    this.#inner.onNodesChanged?.(this.#view.of(view))
  }

  next(view: ClusterView): PlacementChoice | undefined {
    const choice = this.#inner.next(this.#view.of(view))
    return choice && { taskId: this.#view.idIn(choice.taskId), node: choice.node }
  }

  wakeAt(view: ClusterView): TimestampMs | undefined {
    const at = this.#inner.wakeAt?.(this.#view.of(view))
    return at === undefined ? undefined : this.#view.timeIn(at)
  }
}

/** A run's view in the time and the numbers of the whole sequence. */
class ContinuedView implements ClusterView {
  #inner: ClusterView | undefined
  #originMs = 0
  #firstId = 0
  /** By the run's own numbers. */
  #tasks: (ContinuedTask | undefined)[] = []

  of(inner: ClusterView): this {
    this.#inner = inner
    return this
  }

  goOn(tasks: number, elapsedMs: number): void {
    this.#originMs += elapsedMs
    this.#firstId += tasks
    this.#tasks = []
  }

  shownId(id: TaskId): TaskId {
    return taskId(id + this.#firstId)
  }

  /** The number that the run knows it by. */
  idIn(id: TaskId): TaskId {
    return taskId(id - this.#firstId)
  }

  /** The run's time. */
  timeIn(at: TimestampMs): TimestampMs {
    return timestampMs(at - this.#originMs)
  }

  shown(task: TaskView): ContinuedTask {
    return (this.#tasks[task.id] ??= new ContinuedTask(task, this.#firstId, this.#originMs))
  }

  get now(): TimestampMs {
    return timestampMs(this.#run.now + this.#originMs)
  }

  nodes(): readonly NodeView[] {
    return this.#run.nodes()
  }

  node(id: NodeId): NodeView | undefined {
    return this.#run.node(id)
  }

  task(id: TaskId): TaskView | undefined {
    const task = id > this.#firstId ? this.#run.task(this.idIn(id)) : undefined
    return task && this.shown(task)
  }

  *running(): Iterable<RunningView> {
    for (const { taskId: id, node, placedAt } of this.#run.running())
      yield { taskId: this.shownId(id), node, placedAt: timestampMs(placedAt + this.#originMs) }
  }

  *ready(): Iterable<TaskView> {
    for (const task of this.#run.ready()) yield this.shown(task)
  }

  *readyIds(): Iterable<TaskId> {
    for (const id of this.#run.readyIds()) yield this.shownId(id)
  }

  eligible(task: TaskView, node: NodeView): boolean {
    return this.#run.eligible(task, node)
  }

  fits(task: TaskView, node: NodeView): boolean {
    return this.#run.fits(task, node)
  }

  get #run(): ClusterView {
    if (this.#inner === undefined) throw new Error('asked before the first run')
    return this.#inner
  }
}

class ContinuedTask implements TaskView {
  readonly #inner: TaskView
  readonly #originMs: number
  readonly id: TaskId
  readonly name: string
  readonly tenant: string
  readonly executor: string
  readonly handler: string
  readonly priority: number
  readonly resources: TaskView['resources']
  readonly nodeSelector: TaskView['nodeSelector']
  readonly inputBytes: number
  readonly limitMs: number
  readonly submittedAt: TimestampMs
  readonly idempotent: boolean
  readonly deadlineAt: TimestampMs
  readonly needs: readonly TaskId[]
  readonly dependents: readonly TaskId[]
  readonly group: TaskId

  constructor(inner: TaskView, firstId: number, originMs: number) {
    const shift = (id: TaskId): TaskId => taskId(id + firstId)
    this.#inner = inner
    this.#originMs = originMs
    this.id = shift(inner.id)
    this.name = inner.name
    this.tenant = inner.tenant
    this.executor = inner.executor
    this.handler = inner.handler
    this.priority = inner.priority
    this.resources = inner.resources
    this.nodeSelector = inner.nodeSelector
    this.inputBytes = inner.inputBytes
    this.limitMs = inner.limitMs
    this.submittedAt = timestampMs(inner.submittedAt + originMs)
    this.idempotent = inner.idempotent
    this.deadlineAt = inner.deadlineAt
    this.needs = inner.needs.map(shift)
    this.dependents = inner.dependents.map(shift)
    this.group = shift(inner.group)
  }

  get readyAt(): TimestampMs {
    return timestampMs(this.#inner.readyAt + this.#originMs)
  }

  get attempts(): number {
    return this.#inner.attempts
  }

  get lastFailedOn(): NodeId | undefined {
    return this.#inner.lastFailedOn
  }

  get lastErrorCode(): string | undefined {
    return this.#inner.lastErrorCode
  }
}
