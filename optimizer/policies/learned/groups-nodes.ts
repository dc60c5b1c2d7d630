/**
 * On which node the next task of a line goes, on nodes that are alike: rule 2 of `groups.ts` as far as it concerns nodes.
 *
 * 1. A node that is convincingly slower than others with room (`node-speeds.ts`) takes only what those have no room for.
 * 2. While a cold start costs more than going on, nodes are chosen by what they ran last, and among equals by their share of free slots. While
 *    it does not, it is the other way round: a stage is spread.
 * 3. A node on which the task's last attempt failed is taken only when no other has room.
 * 4. A group keeps nodes that wait for its next stage: no more than are left of its share, not from a group that is owed its turn, and not for
 *    attempts that take many times what was expected of them.
 * 5. Attempts that have outlived what was expected of them, on average, are expected to take the longer the more they exceed it by. So who
 *    waits for them, by the rules above, looks elsewhere in time (`againAt`).
 */
import type { NodeId, TaskId } from '../../../base/ids.ts'
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
  /** The group that is owed its turn. */
  readonly owed: Group | undefined
}

/** Attempts that exceed their expected end by so many usual run times will go on, for all one knows: nothing is kept for what comes after them. */
const HOPELESS = 10
/** What attempts have exceeded their expected end by, for each millisecond that is left of them; most are about to end. */
const EXCESS = 4

/** Nodes that a group keeps from others, until then if nothing happens. */
interface Kept {
  readonly nodes: ReadonlySet<NodeId>
  readonly until: number
}

const NONE_KEPT: Kept = { nodes: new Set(), until: -Infinity }

export class GroupNodes {
  readonly #estimator: Estimator
  readonly #warmth: Warmth
  readonly #table: GroupTable
  /** What groups keep, as far as this decision has asked. */
  readonly #kept = new Map<TaskId, Kept>()
  /** After this time an answer differs, though nothing happens; of all answers since it was set to Infinity. */
  againAt = Infinity

  constructor(estimator: Estimator, warmth: Warmth, table: GroupTable) {
    this.#estimator = estimator
    this.#warmth = warmth
    this.#table = table
  }

  /** To be worked out once a decision. */
  open(view: ClusterView, owed: Group | undefined): OpenNodes {
    this.#kept.clear()
    const open = view.nodes().filter((node) => node.freeSlots > 0)
    const quick = quickOf(open, this.#estimator)
    if (quick.length === open.length) return { quick, slow: [], owed }
    const isQuick = new Set(quick)
    return { quick, slow: open.filter((node) => !isQuick.has(node)), owed }
  }

  /** The node for a task of the line; undefined while it is better off waiting. */
  choose(
    home: Home,
    task: TaskView,
    open: OpenNodes,
    view: ClusterView
  ): NodeView | typeof NO_ROOM | undefined {
    for (const nodes of [open.quick, open.slow]) {
      const node = this.#among(nodes, home, task, open.owed, view)
      if (node !== NO_ROOM) return node
    }
    const failed = [...open.quick, ...open.slow].find(({ id }) => id === task.lastFailedOn)
    return failed !== undefined && takes(task, failed, view) ? failed : NO_ROOM
  }

  /** One that is warm for it, else one of its group, else one that no group waits beside, else one whose group can do without. */
  #among(
    nodes: readonly NodeView[],
    home: Home,
    task: TaskView,
    owed: Group | undefined,
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
        else if (home.group === owed || !this.#keeps(beside, node, view)) other = freer(other, node)
      }
    }
    if (!hasRoom) return NO_ROOM
    if (!this.#warmth.matters()) return freestOf([warm, own, free, other])
    const going = warm ?? own
    if (going !== undefined) return going
    const cold = free ?? other
    return cold !== undefined && this.#isWorth(home, task, view) ? cold : undefined
  }

  /** The unfinished group that the node ran last. */
  #beside(node: NodeId): Group | undefined {
    const id = this.#warmth.groupOn(node)
    return id === undefined ? undefined : this.#table.group(id)
  }

  /** Rule 4. */
  #keeps(group: Group, node: NodeView, view: ClusterView): boolean {
    let kept = this.#kept.get(group.id)
    if (kept === undefined) {
      kept = this.#keptBy(group, view)
      this.#kept.set(group.id, kept)
    }
    if (!kept.nodes.has(node.id)) return false
    this.#differsAt(kept.until, view)
    return true
  }

  /** The first of its nodes that are idle, as many as it may still have. */
  #keptBy(group: Group, view: ClusterView): Kept {
    if (group.running === 0 || group.running >= group.share || !this.#warmth.matters()) return NONE_KEPT
    const until = this.#untilOf(group)
    if (until < view.now) return NONE_KEPT
    const nodes = new Set<NodeId>()
    let left = group.share - group.running
    for (const { id, freeSlots } of view.nodes()) {
      if (left <= 0) break
      if (freeSlots === 0 || this.#warmth.groupOn(id) !== group.id) continue
      nodes.add(id)
      left -= freeSlots
    }
    return { nodes, until }
  }

  /** When the last of what runs and leads to more will have gone on for too long. */
  #untilOf(group: Group): number {
    let until = -Infinity
    for (const { children, sample, known, running, waiting, endsAt } of group.stages) {
      if (running === 0 || waiting > 0 || children.size === 0) continue
      const usualMs = this.#warmth.expectedMs(sample, known, COLD)
      until = Math.max(until, endsAt / running + HOPELESS * usualMs)
    }
    return until
  }

  /** Whether a cold node would be of use to the stage. Of its nodes those count that ran tasks of this shape. */
  #isWorth({ stage, line }: Home, task: TaskView, view: ClusterView): boolean {
    const { running, endsAt, waiting } = line
    if (running === 0) return true
    const untilAt = endsAt / running
    const queuedMs = (waiting.size / running) * this.#warmth.expectedMs(task, stage.known, WARM)
    const coldMs = this.#warmth.expectedMs(task, stage.known, COLD)
    if (leftMs(untilAt, view.now) + queuedMs > coldMs) return true
    this.#differsAt(passesAt(untilAt, coldMs - queuedMs), view)
    return false
  }

  /** Not before now, whatever rounding makes of it. */
  #differsAt(at: number, view: ClusterView): void {
    this.againAt = Math.min(this.againAt, Math.max(at, view.now))
  }
}

/** Rule 5: what is left of attempts that are expected to end at `endsAt`. */
function leftMs(endsAt: number, now: number): number {
  return endsAt > now ? endsAt - now : (now - endsAt) / EXCESS
}

/** When attempts will have gone on for so long that more than `ms` is left of them. */
function passesAt(endsAt: number, ms: number): number {
  return endsAt + EXCESS * ms
}
