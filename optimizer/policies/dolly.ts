/**
 * Dolly over any policy (Ananthanarayanan, Ghodsi, Shenker & Stoica, "Effective Straggler Mitigation: Attack of the Clones", NSDI 2013):
 * the tasks of small jobs are run twice from the start, since waiting to see which one straggles costs a small job more than a clone.
 *
 * 1. Jobs of at most `SMALL` tasks (§2.1), as known when the job came. A task is cloned right after it was placed, whether or not others wait.
 * 2. Clones hold at most `BUDGET` of the slots, at least one (§3.1); a task that finds the budget spent is not cloned later (§3.2, admission).
 * 3. Departs from the paper: one clone a task, as this contract allows, where Dolly works their number out from how often tasks straggle; and
 *    downstream clones do not read upstream clones' copies, as outputs are not replicated here.
 */
import type { TaskId } from '../../base/ids.ts'
import type { TimestampMs } from '../../base/units.ts'
import type {
  AttemptFeedback,
  ClusterView,
  PlacementChoice,
  Policy,
  TaskView
} from '../../scheduler/policy.ts'
import { GroupWork } from './group-work.ts'
import { firstFit } from './node-rules.ts'
import { unit } from './predictors.ts'

const SMALL = 10
const BUDGET = 0.05

/** The inner policy with clones of small jobs' tasks. */
export function dolly(inner: Policy): Policy {
  return new Dolly(inner)
}

class Dolly implements Policy {
  readonly name: string
  readonly #inner: Policy
  readonly #work = new GroupWork(unit())
  /** Tasks of groups, as many as were ever found of them. */
  readonly #sizes = new Map<TaskId, number>()
  readonly #cloned = new Set<TaskId>()
  #offered: PlacementChoice | undefined
  #toClone: PlacementChoice | undefined

  constructor(inner: Policy) {
    this.name = `${inner.name}+dolly`
    this.#inner = inner
  }

  reset(view: ClusterView): void {
    this.#work.clear()
    this.#sizes.clear()
    this.#cloned.clear()
    this.#offered = undefined
    this.#toClone = undefined
    for (const task of view.ready()) this.#discover(task, view)
    this.#inner.reset(view)
  }

  onReady(task: TaskView, view: ClusterView): void {
    this.#discover(task, view)
    this.#cloned.delete(task.id)
    this.#inner.onReady(task, view)
  }

  onGone(taskId: TaskId, view: ClusterView): void {
    if (this.#offered?.taskId === taskId) this.#toClone = this.#offered
    this.#offered = undefined
    this.#inner.onGone(taskId, view)
  }

  onEnded(feedback: AttemptFeedback, view: ClusterView): void {
    this.#inner.onEnded?.(feedback, view)
  }

  onFinished(taskId: TaskId, view: ClusterView): void {
    this.#cloned.delete(taskId)
    const group = this.#work.groupOf(taskId)
    if (this.#work.finished(taskId) && group !== undefined) this.#sizes.delete(group)
    this.#inner.onFinished?.(taskId, view)
  }

  onNodesChanged(view: ClusterView): void {
    this.#inner.onNodesChanged?.(view)
  }

  next(view: ClusterView): PlacementChoice | undefined {
    const clone = this.#clone(view)
    if (clone !== undefined) return clone
    this.#offered = this.#inner.next(view)
    return this.#offered
  }

  wakeAt(view: ClusterView): TimestampMs | undefined {
    return this.#inner.wakeAt?.(view)
  }

  #discover(task: TaskView, view: ClusterView): void {
    const found = this.#work.discover(task, view)
    if (found > 0) this.#sizes.set(task.group, (this.#sizes.get(task.group) ?? 0) + found)
  }

  #clone(view: ClusterView): PlacementChoice | undefined {
    const placed = this.#toClone
    this.#toClone = undefined
    const task = placed === undefined ? undefined : view.task(placed.taskId)
    if (placed === undefined || task?.idempotent !== true) return undefined
    if ((this.#sizes.get(task.group) ?? Infinity) > SMALL) return undefined
    const slots = view.nodes().reduce((sum, node) => sum + node.slots, 0)
    if (this.#cloned.size >= Math.max(1, Math.floor(slots * BUDGET))) return undefined
    const others = view.nodes().filter(({ id }) => id !== placed.node)
    const node = firstFit(task, others, view)
    if (node === undefined) return undefined
    this.#cloned.add(task.id)
    return { taskId: task.id, node: node.id }
  }
}
