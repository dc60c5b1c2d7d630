/**
 * On which node the next task of a line goes, on nodes that are alike: rule 2 of `groups.ts` as far as it concerns nodes.
 *
 * 1. A node that is convincingly slower than others with room (`node-speeds.ts`) takes only what those have no room for.
 * 2. While a cold start costs more than going on, nodes are chosen by what they ran last, and among equals by their share of free slots. While
 *    it does not, it is the other way round: a stage is spread.
 * 3. A node on which the task's last attempt failed is taken only when no other has room.
 */
import type { NodeId } from '../../../base/ids.ts'
import type { ClusterView, NodeView, TaskView } from '../../../scheduler/policy.ts'
import type { Estimator } from '../../estimate.ts'
import { freer, freestOf, takes } from '../node-rules.ts'
import { NO_ROOM } from './groups-lines.ts'
import type { Group, GroupTable, Home } from './groups-table.ts'
import { COLD, FIRST, WARM } from './groups-warmth.ts'
import type { Warmth } from './groups-warmth.ts'
import { quickOf } from './node-speeds.ts'

/** Nodes with free slots, by rule 1. */
export interface OpenNodes {
  readonly quick: readonly NodeView[]
  readonly slow: readonly NodeView[]
}

export class GroupNodes {
  readonly #estimator: Estimator
  readonly #warmth: Warmth
  readonly #table: GroupTable

  constructor(estimator: Estimator, warmth: Warmth, table: GroupTable) {
    this.#estimator = estimator
    this.#warmth = warmth
    this.#table = table
  }

  /** To be worked out once a decision. */
  open(view: ClusterView): OpenNodes {
    const open = view.nodes().filter((node) => node.freeSlots > 0)
    const quick = quickOf(open, this.#estimator)
    if (quick.length === open.length) return { quick, slow: [] }
    const isQuick = new Set(quick)
    return { quick, slow: open.filter((node) => !isQuick.has(node)) }
  }

  /** The node for a task of the line; undefined while it is better off waiting. */
  choose(
    home: Home,
    task: TaskView,
    { quick, slow }: OpenNodes,
    view: ClusterView
  ): NodeView | typeof NO_ROOM | undefined {
    for (const nodes of [quick, slow]) {
      const node = this.#among(nodes, home, task, view)
      if (node !== NO_ROOM) return node
    }
    const failed = [...quick, ...slow].find(({ id }) => id === task.lastFailedOn)
    return failed !== undefined && takes(task, failed, view) ? failed : NO_ROOM
  }

  /** One that is warm for it, else one of its group, else one that no group waits beside, else one whose group can do without. */
  #among(
    nodes: readonly NodeView[],
    home: Home,
    task: TaskView,
    view: ClusterView
  ): NodeView | typeof NO_ROOM | undefined {
    let warm: NodeView | undefined
    let own: NodeView | undefined
    let free: NodeView | undefined
    let other: NodeView | undefined
    let hasRoom = false
    for (const node of nodes) {
      if (node.id === task.lastFailedOn || !takes(task, node, view)) continue
      hasRoom = true
      const kind = this.#warmth.kindOn(task, node.id)
      if (kind === WARM) {
        // None is better in either respect.
        if (node.freeSlots === node.slots) return node
        warm = freer(warm, node)
      } else if (kind === FIRST) own = freer(own, node)
      else {
        const beside = this.#beside(node.id)
        if (beside === undefined) free = freer(free, node)
        else if (!this.#keeps(beside)) other = freer(other, node)
      }
    }
    if (!hasRoom) return NO_ROOM
    if (!this.#warmth.matters()) return freestOf([warm, own, free, other])
    const going = warm ?? own
    if (going !== undefined) return going
    return this.#isWorth(home, task, view) ? (free ?? other) : undefined
  }

  /** The unfinished group that the node ran last. */
  #beside(node: NodeId): Group | undefined {
    const id = this.#warmth.groupOn(node)
    return id === undefined ? undefined : this.#table.group(id)
  }

  /** Whether the group is below its share, and what runs of it leads to more. */
  #keeps(group: Group): boolean {
    if (!this.#warmth.matters() || group.running === 0 || group.running >= group.share) return false
    for (const stage of group.stages)
      if (stage.running > 0 && stage.waiting === 0 && stage.children.size > 0) return true
    return false
  }

  /** Whether a cold node would be of use to the stage. Of its nodes those count that ran tasks of this shape. */
  #isWorth({ stage, line }: Home, task: TaskView, view: ClusterView): boolean {
    const { running, endsAt, waiting } = line
    if (running === 0) return true
    const untilFreeMs = Math.max(0, endsAt / running - view.now)
    const queuedMs = (waiting.size / running) * this.#warmth.expectedMs(task, stage.known, WARM)
    return untilFreeMs + queuedMs > this.#warmth.expectedMs(task, stage.known, COLD)
  }
}
