/**
 * `learned`: one policy for every kind of work, on any estimator.
 *
 * - Tasks without dependencies, alone or in arrays, wait in an `IndependentQueue`.
 * - DAGs wait in a `GroupQueue`: `SharedGroups` where nodes are of one hardware class, `FinishFirst` where they differ.
 *
 * 1. Larger `priority` first, then least predicted work: a task's own, or all that its group has left.
 * 2. What nobody waits for may run copies of attempts that take suspiciously long (`speculation.ts`).
 * 3. What no node could run waits until nodes change, and counts as if it were not there.
 * 4. Of many tasks that become ready at once, or that wait where it begins, it looks at some in each moment (`intake.ts`), those of larger
 *    priority first.
 * 5. What was offered by `next` counts as placed when it is gone; what goes otherwise was withdrawn.
 */
import type { NodeId, TaskId } from '../../../base/ids.ts'
import { timestampMs } from '../../../base/units.ts'
import type { TimestampMs } from '../../../base/units.ts'
import type {
  AttemptFeedback,
  ClusterView,
  PlacementChoice,
  Policy,
  PolicyFactory,
  RunningView,
  TaskView
} from '../../../scheduler/policy.ts'
import type { Estimator } from '../../estimate.ts'
import { FinishFirst } from './dag-finish.ts'
import type { GroupQueue } from './group-queue.ts'
import { SharedGroups } from './groups.ts'
import { IndependentQueue } from './independent-queue.ts'
import type { Candidate } from './independent-queue.ts'
import { Intake } from './intake.ts'
import { Speculation } from './speculation.ts'

export interface LearnedOptions {
  /** Default `learned`. */
  readonly name?: string
  /** Whether the policy tells the estimator what happens; false when somebody else does. Default true. */
  readonly learns?: boolean
  /** Whether slow attempts are copied. Default true. */
  readonly speculates?: boolean
}

/** The learned policy on this estimator. It draws no chance. */
export function learnedPolicy(estimator: Estimator, options: LearnedOptions = {}): PolicyFactory {
  return () => new Learned(estimator, options)
}

class Learned implements Policy {
  readonly name: string
  readonly #estimator: Estimator
  readonly #learns: boolean
  readonly #alone: IndependentQueue
  readonly #speculation: Speculation | undefined
  readonly #intake = new Intake()
  #groups: GroupQueue
  /** Whether `#groups` is the one for nodes that differ. */
  #mixed = false
  #offered: PlacementChoice | undefined
  #epoch = 0

  constructor(estimator: Estimator, { name = 'learned', learns = true, speculates = true }: LearnedOptions) {
    this.name = name
    this.#estimator = estimator
    this.#learns = learns
    this.#alone = new IndependentQueue(estimator)
    this.#groups = new SharedGroups(estimator)
    this.#speculation = speculates ? new Speculation(estimator) : undefined
  }

  reset(view: ClusterView): void {
    this.#offered = undefined
    this.#alone.reset(view)
    this.#speculation?.reset()
    this.#intake.clear()
    this.#newGroups(view)
    const { originals, copies } = liveAttempts(view)
    for (const { taskId, node, placedAt } of originals) {
      const task = view.task(taskId)
      if (task === undefined) continue
      this.#began(task, node, placedAt, view)
      if (!belongs(task)) this.#alone.resume(task, node, placedAt, view)
    }
    this.#speculation?.resume(copies)
    for (const task of view.ready()) this.#intake.put(task)
  }

  onReady(task: TaskView, view: ClusterView): void {
    this.#speculation?.over(task.id)
    if (this.#intake.isOpen(view.now)) this.#lookAt(task, view)
    else this.#intake.put(task)
  }

  onGone(taskId: TaskId, view: ClusterView): void {
    const node = this.#offered?.taskId === taskId ? this.#offered.node : undefined
    this.#offered = undefined
    if (this.#intake.gone(taskId)) return
    this.#alone.gone(taskId, view)
    this.#groups.gone(taskId, node, view)
    const task = node === undefined ? undefined : view.task(taskId)
    if (node !== undefined && task !== undefined) this.#began(task, node, view.now, view)
  }

  onEnded(feedback: AttemptFeedback, view: ClusterView): void {
    if (this.#learns) this.#estimator.observe(feedback)
    this.#alone.ended(feedback, view)
    this.#groups.ended(feedback, view)
    this.#speculation?.ended(feedback.task.id, feedback.node)
  }

  onFinished(taskId: TaskId, view: ClusterView): void {
    this.#alone.finished(taskId, view)
    this.#groups.finished(taskId, view)
    this.#speculation?.over(taskId)
  }

  onNotCopied(taskId: TaskId): void {
    this.#speculation?.notCopied(taskId)
    this.#groups.notCopied?.(taskId)
  }

  onNodesChanged(view: ClusterView): void {
    this.#alone.nodesChanged(view)
    if (differ(view) === this.#mixed) this.#groups.nodesChanged(view)
    else this.#resetGroups(view)
  }

  next(view: ClusterView): PlacementChoice | undefined {
    this.#hearOfEpoch()
    this.#alone.advance(view, this.#estimator.advance?.(view.now) ?? [])
    this.#takeIn(view)
    const candidate = better(this.#alone.peek(view), this.#groups.peek(view))
    // Something of larger priority was not looked at yet: its moment comes at once.
    if (candidate !== undefined && candidate.priority < this.#intake.topPriority) return undefined
    if (candidate !== undefined) {
      this.#offered = { taskId: candidate.taskId, node: candidate.node }
      return this.#offered
    }
    if (this.#speculation === undefined || this.#alone.wantsRoom || this.#intake.size > 0) return undefined
    const copy = this.#groups.copy?.(view)
    if (copy !== undefined) {
      this.#speculation.copied(copy.taskId)
      return copy
    }
    const late = this.#groups.waiting === 0 ? this.#speculation.peek(view) : undefined
    if (late !== undefined) this.#groups.copied?.(late, view.now, view)
    return late
  }

  /** Queues of single tasks hear of every class by `advance`; those of DAGs keep answers for longer. */
  #hearOfEpoch(): void {
    const { epoch = 0 } = this.#estimator
    if (epoch === this.#epoch) return
    this.#epoch = epoch
    this.#groups.anew()
  }

  wakeAt(view: ClusterView): TimestampMs | undefined {
    if (this.#intake.size > 0) return timestampMs(Math.ceil(view.now) + 1)
    const isWanted = this.#alone.wantsRoom || this.#groups.waiting > 0
    const ofRunning = isWanted ? undefined : this.#speculation?.wakeAt(view)
    return earliest([this.#alone.wakeAt(), this.#groups.wakeAt?.(view), ofRunning])
  }

  #began(task: TaskView, node: NodeId, at: number, view: ClusterView): void {
    const host = view.node(node)
    if (this.#learns && host !== undefined) this.#estimator.placed?.(task, host, at)
    this.#speculation?.started(task, node, at, view)
  }

  #takeIn(view: ClusterView): void {
    for (let id = this.#intake.take(view.now); id !== undefined; id = this.#intake.take(view.now)) {
      const task = view.task(id)
      if (task !== undefined) this.#lookAt(task, view)
    }
  }

  #lookAt(task: TaskView, view: ClusterView): void {
    this.#intake.pay(this.#estimator.classOf(task))
    if (belongs(task)) this.#groups.add(task, view)
    else this.#alone.add(task, view)
  }

  /** Makes the queue that suits the nodes anew; DAGs' tasks that wait are looked at again. */
  #resetGroups(view: ClusterView): void {
    this.#newGroups(view)
    for (const task of view.ready()) if (belongs(task)) this.#intake.put(task)
  }

  #newGroups(view: ClusterView): void {
    this.#mixed = differ(view)
    this.#groups = this.#mixed ? new FinishFirst(this.#estimator) : new SharedGroups(this.#estimator)
    this.#groups.reset(view)
    const { originals, copies } = liveAttempts(view)
    for (const { taskId, node, placedAt } of originals) {
      const task = view.task(taskId)
      if (task !== undefined && belongs(task)) this.#groups.resume(task, node, placedAt, view)
    }
    for (const copy of copies) this.#groups.copied?.(copy, copy.placedAt, view)
  }
}

/** Of each task that runs the earliest attempt, and the copies beside them. */
function liveAttempts(view: ClusterView): {
  readonly originals: Iterable<RunningView>
  readonly copies: readonly RunningView[]
} {
  const first = new Map<TaskId, RunningView>()
  const copies: RunningView[] = []
  for (const attempt of view.running()) {
    const known = first.get(attempt.taskId)
    const isEarlier = known === undefined || attempt.placedAt < known.placedAt
    if (isEarlier) first.set(attempt.taskId, attempt)
    if (known !== undefined) copies.push(isEarlier ? known : attempt)
  }
  return { originals: first.values(), copies }
}

/** Whether the task depends on others, or others on it. */
function belongs(task: TaskView): boolean {
  return task.needs.length > 0 || task.dependents.length > 0
}

/** Whether nodes are of more than one hardware class. */
function differ(view: ClusterView): boolean {
  const nodes = view.nodes()
  const profile = nodes[0]?.profile
  return nodes.some((node) => node.profile !== profile)
}

function earliest(times: readonly (TimestampMs | undefined)[]): TimestampMs | undefined {
  let first: TimestampMs | undefined
  for (const at of times) if (at !== undefined && (first === undefined || at < first)) first = at
  return first
}

/** Rule 1; the independent task among equals. */
function better(alone: Candidate | undefined, grouped: Candidate | undefined): Candidate | undefined {
  if (alone === undefined || grouped === undefined) return alone ?? grouped
  if (alone.priority !== grouped.priority) return alone.priority > grouped.priority ? alone : grouped
  return alone.areaMs <= grouped.areaMs ? alone : grouped
}
