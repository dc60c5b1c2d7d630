/**
 * On which node the next task of a line goes, on nodes that are alike: rule 2 of `groups.ts` as far as it concerns nodes.
 *
 * 1. A node that is convincingly slower than others with room (`node-speeds.ts`) takes only what those have no room for.
 * 2. While a cold start costs more than going on, nodes are chosen by what they ran last, and among equals by their share of free slots. While
 *    it does not, it is the other way round: a stage is spread.
 * 3. A node on which the task's last attempt failed is taken only when no other has room.
 * 4. A group keeps nodes that wait for its next stage: no more than are left of its share, not from a group that is owed its turn, and not from
 *    a task that would be through before that stage begins, and by as much as a cold start costs.
 * 5. Attempts that have outlived what was expected of them, on average, are expected to take the longer the more they exceed it by. So who
 *    waits for them, by the rules above, looks elsewhere in time (`againAt`).
 */
import type { NodeId, TaskId } from '../../../base/ids.ts'
import type { ClusterView, NodeView, TaskView } from '../../../scheduler/policy.ts'
import type { Estimator } from '../../estimate.ts'
import { freer, freestOf, takes } from '../node-rules.ts'
import { NO_ROOM } from './groups-lines.ts'
import type { Group, GroupTable, Home, Stage } from './groups-table.ts'
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

/** What attempts have exceeded their expected end by, for each millisecond that is left of them; most are about to end. */
const EXCESS = 4

/** A group waits for what runs, and keeps a node from tasks that would hold it for `leastMs` or more. */
interface Wait {
  readonly leastMs: number
  readonly endsAt: number
  /** What a cold start costs the group. */
  readonly dearerMs: number
}

const NO_WAIT: Wait = { leastMs: Infinity, endsAt: 0, dearerMs: 0 }

export class GroupNodes {
  readonly #estimator: Estimator
  readonly #warmth: Warmth
  readonly #table: GroupTable
  /** What groups keep nodes for, as far as this decision has asked. */
  readonly #waits = new Map<TaskId, Wait>()
  /** After this time an answer differs, though nothing happens; of all answers since it was set to Infinity. */
  againAt = Infinity

  constructor(estimator: Estimator, warmth: Warmth, table: GroupTable) {
    this.#estimator = estimator
    this.#warmth = warmth
    this.#table = table
  }

  /** To be worked out once a decision. */
  open(view: ClusterView, owed: Group | undefined): OpenNodes {
    this.#waits.clear()
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
    const guestMs = this.#staysMs(home, task)
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
        else if (home.group === owed || !this.#keeps(beside, guestMs, view)) other = freer(other, node)
      }
    }
    if (!hasRoom) return NO_ROOM
    if (!this.#warmth.matters()) return freestOf([warm, own, free, other])
    const going = warm ?? own
    if (going !== undefined) return going
    const cold = free ?? other
    return cold !== undefined && this.#isWorth(home, task, view) ? cold : undefined
  }

  /** How long the group would hold another node for what waits of the stage. */
  #staysMs({ group, stage }: Home, task: TaskView): number {
    const others = Math.max(0, stage.waiting / group.share - 1)
    const warmMs = this.#warmth.expectedMs(task, stage.known, WARM)
    return this.#warmth.expectedMs(task, stage.known, COLD) + others * warmMs
  }

  /** The unfinished group that the node ran last. */
  #beside(node: NodeId): Group | undefined {
    const id = this.#warmth.groupOn(node)
    return id === undefined ? undefined : this.#table.group(id)
  }

  /** Rule 4, against a task that would hold the node for so long. */
  #keeps(group: Group, guestMs: number, view: ClusterView): boolean {
    let wait = this.#waits.get(group.id)
    if (wait === undefined) {
      wait = this.#mayKeep(group, view) ? this.#waitOf(group, view) : NO_WAIT
      this.#waits.set(group.id, wait)
    }
    if (wait.leastMs > guestMs) return false
    this.#differsAt(passesAt(wait.endsAt, wait.dearerMs + guestMs), view)
    return true
  }

  #mayKeep(group: Group, view: ClusterView): boolean {
    if (group.running === 0 || !this.#warmth.matters()) return false
    let slots = 0
    for (const node of view.nodes())
      if (node.freeSlots > 0 && this.#warmth.groupOn(node.id) === group.id) slots += node.freeSlots
    return group.running + slots <= group.share
  }

  /** For the stage that is expected to lead to more first. */
  #waitOf(group: Group, view: ClusterView): Wait {
    let first = NO_WAIT
    for (const stage of group.stages) {
      if (stage.running === 0 || stage.waiting > 0 || stage.children.size === 0) continue
      const endsAt = stage.endsAt / stage.running
      const dearerMs = this.#dearerMs(stage.children)
      const leastMs = leftMs(endsAt, view.now) - dearerMs
      if (leastMs < first.leastMs) first = { leastMs, endsAt, dearerMs }
    }
    return first
  }

  /** By how much longer a first task of one of these stages takes on a cold node, at most. */
  #dearerMs(stages: Iterable<Stage>): number {
    let most = 0
    for (const { sample, known } of stages) {
      const coldMs = this.#warmth.expectedMs(sample, known, COLD)
      most = Math.max(most, coldMs - this.#warmth.expectedMs(sample, known, FIRST))
    }
    return most
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
