/**
 * What is left to do of each group (a DAG, an array): how many tasks by class, and how many run.
 *
 * A policy hears only of ready tasks, so the rest of a group is found by walking `dependents` from each of them: every
 * task of a DAG can be reached from a root, and roots are ready at once.
 *
 * Predictions are asked anew at each `remainingMs`, per class and not per task, so they may change at any time.
 */
import type { TaskId } from '../../base/ids.ts'
import type { ClusterView, TaskView } from '../../scheduler/policy.ts'
import type { ClassKey, Estimator } from '../estimate.ts'
import { sampleOf } from './sample.ts'

interface ClassCount {
  /** Stands for the class in predictions. */
  readonly sample: TaskView
  left: number
}

interface GroupState {
  readonly classes: Map<ClassKey, ClassCount>
  left: number
  running: number
}

export class GroupWork {
  readonly #estimator: Estimator
  readonly #groups = new Map<TaskId, GroupState>()
  /** Class and group of every task that was found and is not finished. */
  readonly #found = new Map<TaskId, { readonly key: ClassKey; readonly group: TaskId }>()
  /** Lists of dependents already walked: tasks of one stage may share theirs. */
  readonly #walked = new WeakSet()

  constructor(estimator: Estimator) {
    this.#estimator = estimator
  }

  /** Takes in the task and all that depends on it; how many of them were not known. */
  discover(task: TaskView, view: ClusterView): number {
    const before = this.#found.size
    const queue = [task]
    for (const next of queue) {
      this.#add(next)
      if (next.dependents.length === 0 || this.#walked.has(next.dependents)) continue
      this.#walked.add(next.dependents)
      for (const id of next.dependents) {
        const dependent = view.task(id)
        if (dependent !== undefined && !this.#found.has(id)) queue.push(dependent)
      }
    }
    return this.#found.size - before
  }

  started(task: TaskView): void {
    const group = this.#groups.get(task.group)
    if (group !== undefined) group.running++
  }

  ended(task: TaskView): void {
    const group = this.#groups.get(task.group)
    if (group !== undefined && group.running > 0) group.running--
  }

  /** The task will not run again; whether its group is done with it. */
  finished(id: TaskId): boolean {
    const found = this.#found.get(id)
    if (found === undefined) return false
    this.#found.delete(id)
    const group = this.#groups.get(found.group)
    if (group === undefined) return false
    const count = group.classes.get(found.key)
    if (count !== undefined && --count.left === 0) group.classes.delete(found.key)
    if (--group.left > 0) return false
    this.#groups.delete(found.group)
    return true
  }

  groupOf(id: TaskId): TaskId | undefined {
    return this.#found.get(id)?.group
  }

  running(group: TaskId): number {
    return this.#groups.get(group)?.running ?? 0
  }

  /** Groups that are not done. */
  get active(): number {
    return this.#groups.size
  }

  /** Tasks of the group that are not finished. */
  left(group: TaskId): number {
    return this.#groups.get(group)?.left ?? 0
  }

  /** Predicted run time of all tasks of the group that are not finished, in milliseconds. */
  remainingMs(group: TaskId): number {
    let total = 0
    for (const { sample, left } of this.#groups.get(group)?.classes.values() ?? [])
      total += left * this.#estimator.predict(sample).meanMs
    return total
  }

  clear(): void {
    this.#groups.clear()
    this.#found.clear()
  }

  #add(task: TaskView): void {
    if (this.#found.has(task.id)) return
    const key = this.#estimator.classOf(task)
    this.#found.set(task.id, { key, group: task.group })
    let group = this.#groups.get(task.group)
    if (group === undefined) {
      group = { classes: new Map(), left: 0, running: 0 }
      this.#groups.set(task.group, group)
    }
    group.left++
    const count = group.classes.get(key)
    if (count === undefined) group.classes.set(key, { sample: sampleOf(task), left: 1 })
    else count.left++
  }
}
