/**
 * Which group and class each node ran last. Moving a node between groups costs time (code, data, warm caches), so
 * policies over groups let a node go on with what it has.
 */
import type { NodeId, TaskId } from '../../base/ids.ts'
import type { ClusterView, NodeView, TaskView } from '../../scheduler/policy.ts'
import type { GroupWork } from './group-work.ts'
import { takes } from './node-rules.ts'
import type { NodeRule } from './queue-policy.ts'

interface Last {
  readonly group: TaskId
  readonly name: string
}

export class Locality {
  readonly #work: GroupWork
  readonly #last = new Map<NodeId, Last>()

  constructor(work: GroupWork) {
    this.#work = work
  }

  ranOn(node: NodeId, task: TaskView): void {
    this.#last.set(node, { group: task.group, name: task.name })
  }

  /** The group whose work the node is warm for; undefined when that group is done. */
  lastOn(node: NodeId): TaskId | undefined {
    const group = this.#last.get(node)?.group
    return group !== undefined && this.#work.left(group) > 0 ? group : undefined
  }

  /** The class (task name) that the node ran last. */
  lastNameOn(node: NodeId): string | undefined {
    return this.#last.get(node)?.name
  }

  /** A warm node, else one that no unfinished group was on last, else any; lowest number first. */
  readonly rule: NodeRule = (task: TaskView, candidates: readonly NodeView[], view: ClusterView) => {
    let free: NodeView | undefined
    let any: NodeView | undefined
    for (const node of candidates) {
      if (!takes(task, node, view)) continue
      const last = this.lastOn(node.id)
      if (last === task.group) return node
      if (last === undefined) free ??= node
      any ??= node
    }
    return free ?? any
  }
}
