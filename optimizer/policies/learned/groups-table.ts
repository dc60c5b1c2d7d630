/**
 * Groups (DAGs) by stage: what waits, runs and is left of each, and which stage leads to which. A stage is the tasks of one name
 * and priority in one group; its tasks may still fit different nodes, so they wait in lines by shape (`class-queues.ts`).
 *
 * A policy hears only of ready tasks, so the rest of a group is found by walking `dependents` from each: every task of a DAG
 * can be reached from a root, and roots are ready at once. What depends on a running task is found the same way (`discover`).
 */
import type { TaskId } from '../../../base/ids.ts'
import type { ClusterView, TaskView } from '../../../scheduler/policy.ts'
import { shapeKey } from '../class-queues.ts'
import { sampleOf } from '../sample.ts'
import type { KnownClass } from './groups-warmth.ts'

/** Tasks of one stage that fit the same nodes. */
export interface Line {
  /** Ready tasks, by arrival. */
  readonly waiting: Set<TaskId>
  /** Whether some node could run them; undefined before that is known. */
  placeable: boolean | undefined
  running: number
  /** Sum of the times at which running tasks are expected to end. */
  endsAt: number
}

export interface Stage {
  readonly name: string
  readonly priority: number
  /** Stands for the stage in predictions. */
  readonly sample: TaskView
  /** What is known of tasks like these. */
  readonly known: KnownClass
  readonly children: Set<Stage>
  /** By shape, in the order in which they were found. */
  readonly lines: Map<string, Line>
  /** Ready tasks that some node could run. */
  waiting: number
  /** Tasks that are not finished. */
  left: number
  running: number
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
    const { group, stage } = home
    this.#homes.delete(id)
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
    const home = { group, stage, line: lineOf(stage, task) }
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
      lines: new Map(),
      waiting: 0,
      left: 0,
      running: 0
    }
    known?.set(key, stage)
    group.stages.push(stage)
    return stage
  }
}

function lineOf(stage: Stage, task: TaskView): Line {
  const shape = shapeKey(task)
  let line = stage.lines.get(shape)
  if (line === undefined) {
    line = { waiting: new Set(), placeable: undefined, running: 0, endsAt: 0 }
    stage.lines.set(shape, line)
  }
  return line
}
