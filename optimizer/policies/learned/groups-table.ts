/**
 * Groups (DAGs) by stage: what waits, runs and is left of each, and which stage leads to which. A stage is the tasks of one name
 * and priority in one group; its tasks may still fit different nodes, so they wait in lines by shape (`groups-lines.ts`).
 *
 * A policy hears only of ready tasks, so the rest of a group is found by walking `dependents` from each: every task of a DAG
 * can be reached from a root, and roots are ready at once. What depends on a running task is found the same way (`discover`).
 */
import type { TaskId } from '../../../base/ids.ts'
import type { ClusterView, TaskView } from '../../../scheduler/policy.ts'
import { sampleOf } from '../sample.ts'
import { Lines, type Line } from './groups-lines.ts'
import type { KnownClass } from './groups-warmth.ts'

export interface Stage {
  readonly name: string
  readonly priority: number
  /** Stands for the stage in predictions. */
  readonly sample: TaskView
  /** What is known of tasks like these. */
  readonly known: KnownClass
  readonly children: Set<Stage>
  /** Its tasks, by shape. */
  readonly lines: Lines
  /** Ready tasks that some node could run. */
  waiting: number
  /** Tasks that are not finished. */
  left: number
  running: number
  /** Sum of the times at which running tasks are expected to end. */
  endsAt: number
}

export interface Group {
  readonly id: TaskId
  /** When it was first heard of, in state time. */
  readonly since: number
  /** By arrival of the first ready task, or discovery. */
  readonly stages: Stage[]
  left: number
  running: number
  /** Ready tasks that some node could run. */
  waiting: number
  /** Ready tasks that none could. */
  stranded: number
  /** Predicted work left and average parallelism; as of when `countedLeft` tasks were left and so much was heard. */
  remainingMs: number
  parallelism: number
  countedLeft: number
  countedNews: number
  /** Sums over its attempts that are over: how many, what they took, what was expected. */
  ended: number
  tookMs: number
  expectedMs: number
  /** Slots that it may hold. */
  share: number
}

export interface Home {
  readonly group: Group
  readonly stage: Stage
  readonly line: Line
}

export class GroupTable {
  readonly #classOf: (task: TaskView) => KnownClass
  readonly #groups = new Map<TaskId, Group>()
  readonly #stages = new Map<TaskId, Map<string, Stage>>()
  /** Every task that was found and is not finished. */
  readonly #homes = new Map<TaskId, Home>()
  /** Stages behind lists of dependents that were walked: tasks of one stage may share theirs. */
  #walked = new WeakMap<readonly TaskId[], readonly Stage[]>()

  constructor(classOf: (task: TaskView) => KnownClass) {
    this.#classOf = classOf
  }

  clear(): void {
    this.#groups.clear()
    this.#stages.clear()
    this.#homes.clear()
    this.#walked = new WeakMap()
  }

  get size(): number {
    return this.#groups.size
  }

  /** Groups, and tasks that are not finished: what memory grows with. */
  get remembered(): number {
    return this.#groups.size + this.#stages.size + this.#homes.size
  }

  groups(): Iterable<Group> {
    return this.#groups.values()
  }

  group(id: TaskId): Group | undefined {
    return this.#groups.get(id)
  }

  homeOf(id: TaskId): Home | undefined {
    return this.#homes.get(id)
  }

  stage(group: TaskId, name: string): Stage | undefined {
    for (const stage of this.#groups.get(group)?.stages ?? [])
      if (stage.name === name && stage.waiting > 0) return stage
    return undefined
  }

  /** Takes in the task and all that depends on it. */
  discover(task: TaskView, view: ClusterView): Home {
    const known = this.#homes.get(task.id)
    if (known !== undefined) return known
    const home = this.#add(task, view)
    const queue = [task]
    for (const next of queue) {
      const stage = this.#homes.get(next.id)?.stage
      if (stage === undefined || next.dependents.length === 0) continue
      for (const child of this.#behind(next.dependents, queue, view)) stage.children.add(child)
    }
    return home
  }

  /** The task will not run again. Returns its group. */
  finish(id: TaskId): Group | undefined {
    const home = this.#homes.get(id)
    if (home === undefined) return undefined
    const { group, stage, line } = home
    this.#homes.delete(id)
    stage.lines.finished(line)
    stage.left--
    if (--group.left > 0) return group
    this.#groups.delete(group.id)
    this.#stages.delete(group.id)
    return group
  }

  #behind(dependents: readonly TaskId[], queue: TaskView[], view: ClusterView): readonly Stage[] {
    const walked = this.#walked.get(dependents)
    if (walked !== undefined) return walked
    const stages = new Set<Stage>()
    for (const id of dependents) {
      let home = this.#homes.get(id)
      if (home === undefined) {
        const dependent = view.task(id)
        if (dependent === undefined) continue
        home = this.#add(dependent, view)
        queue.push(dependent)
      }
      stages.add(home.stage)
    }
    const list = [...stages]
    this.#walked.set(dependents, list)
    return list
  }

  #add(task: TaskView, view: ClusterView): Home {
    let group = this.#groups.get(task.group)
    if (group === undefined) {
      group = {
        id: task.group,
        since: view.now,
        stages: [],
        left: 0,
        running: 0,
        waiting: 0,
        stranded: 0,
        remainingMs: 0,
        parallelism: 1,
        countedLeft: 0,
        countedNews: 0,
        ended: 0,
        tookMs: 0,
        expectedMs: 0,
        share: 0
      }
      this.#groups.set(task.group, group)
      this.#stages.set(task.group, new Map())
    }
    const stage = this.#stageOf(group, task)
    stage.left++
    group.left++
    const home = { group, stage, line: stage.lines.found(task) }
    this.#homes.set(task.id, home)
    return home
  }

  #stageOf(group: Group, task: TaskView): Stage {
    const key = `${task.priority}/${task.name}`
    const known = this.#stages.get(group.id)
    let stage = known?.get(key)
    if (stage !== undefined) return stage
    stage = {
      name: task.name,
      priority: task.priority,
      sample: sampleOf(task),
      known: this.#classOf(task),
      children: new Set(),
      lines: new Lines(),
      waiting: 0,
      left: 0,
      running: 0,
      endsAt: 0
    }
    known?.set(key, stage)
    group.stages.push(stage)
    return stage
  }
}

/** The group's first stage of at least this priority that waits. */
export function firstStageOf(group: Group, priority: number): Stage | undefined {
  return group.stages.find((stage) => stage.waiting > 0 && stage.priority >= priority)
}

/** The largest priority that waits. */
export function topPriorityOf(groups: readonly Group[]): number {
  let top = -Infinity
  for (const group of groups) {
    if (group.waiting === 0) continue
    for (const stage of group.stages) if (stage.waiting > 0 && stage.priority > top) top = stage.priority
  }
  return top
}

/** Priorities that wait, largest first. */
export function prioritiesOf(groups: readonly Group[]): number[] {
  const priorities = new Set<number>()
  for (const group of groups) {
    if (group.waiting === 0) continue
    for (const stage of group.stages) if (stage.waiting > 0) priorities.add(stage.priority)
  }
  return priorities.size < 2 ? [...priorities] : [...priorities].sort((a, b) => b - a)
}
