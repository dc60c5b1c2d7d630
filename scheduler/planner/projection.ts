/**
 * The applied state plus a leader's commands in flight, as a `ClusterView`.
 *
 * Owns which tasks are ready *in the plan*: ready in state or at birth, and not placed in flight; and which of the running
 * ones may be copied: with one live attempt, of which nothing is in flight. Each in-flight command is
 * a correction that belongs to a batch; when the batch settles its corrections go, and state speaks.
 */
import type { FencingToken, NodeId, TaskId } from '../../base/ids.ts'
import { taskId } from '../../base/ids.ts'
import type { TimestampMs } from '../../base/units.ts'
import { mayBeCopied, placementOn, placementWith, taskOfAttempts } from '../attempts.ts'
import type { CompleteCommand, PlaceCommand, PlaceCopyCommand, SubmitCommand } from '../commands.ts'
import { acceptsPlacements, obstacle } from '../eligibility.ts'
import type { ClusterView, NodeView, RunningView, TaskView } from '../policy.ts'
import { SPREAD_DONE } from '../state.ts'
import type { SchedulerState } from '../state.ts'
import type { ClusterNode, Resources, TaskSpec } from '../types.ts'
import { PlannedNode } from './node-view.ts'
import { viewOfTask, viewOfUnborn } from './task-view.ts'

interface Shift {
  readonly taskId: TaskId
  readonly node: PlannedNode
  readonly resources: Resources
}

interface Freed {
  readonly token: FencingToken
  readonly node: PlannedNode
  readonly resources: Resources
}

/** Corrections of one batch. */
export interface Corrections {
  readonly born: TaskId[]
  readonly placed: Shift[]
  readonly copied: Shift[]
  readonly freed: Freed[]
}

export function noCorrections(): Corrections {
  return { born: [], placed: [], copied: [], freed: [] }
}

export class Projection implements ClusterView {
  now: TimestampMs
  /** Ready in the plan. */
  readonly offered = new Set<TaskId>()
  private readonly state: SchedulerState
  private readonly excluded: (node: ClusterNode) => boolean
  private readonly planned = new Map<NodeId, PlannedNode>()
  private available: PlannedNode[] = []
  private readonly unborn = new Map<TaskId, TaskView>()
  private readonly placing = new Map<TaskId, RunningView>()
  private readonly copying = new Map<TaskId, RunningView>()
  /** Tokens of attempts whose completion is in flight. */
  private readonly ending = new Set<FencingToken>()

  constructor(state: SchedulerState, excluded: (node: ClusterNode) => boolean) {
    this.state = state
    this.excluded = excluded
    this.now = state.time
  }

  nodes(): readonly NodeView[] {
    return this.available
  }

  node(id: NodeId): NodeView | undefined {
    return this.available.find((node) => node.id === id)
  }

  task(id: TaskId): TaskView | undefined {
    const task = this.state.tasks.get(id)
    return task === undefined ? this.unborn.get(id) : viewOfTask(task)
  }

  *running(): Iterable<RunningView> {
    for (const node of this.state.nodes.values()) {
      for (const id of node.placements) {
        const placement = placementOn(this.state.tasks.get(id), node.id)
        if (placement === undefined || placement.stopReason !== undefined) continue
        if (this.ending.has(placement.token)) continue
        yield { taskId: id, node: node.id, placedAt: placement.placedAt }
      }
    }
    yield* this.placing.values()
    yield* this.copying.values()
  }

  *ready(): Iterable<TaskView> {
    for (const id of [...this.offered].sort((a, b) => a - b)) {
      const task = this.task(id)
      if (task !== undefined) yield task
    }
  }

  readyIds(): Iterable<TaskId> {
    return this.offered.values()
  }

  eligible(task: TaskView, node: NodeView): boolean {
    const planned = this.planned.get(node.id)
    return planned !== undefined && obstacle(task, planned.node.offer) === undefined
  }

  fits(task: TaskView, node: NodeView): boolean {
    return this.planned.get(node.id)?.fits(task.resources) ?? false
  }

  /** Starts from state alone. */
  reset(now: TimestampMs): void {
    this.now = now
    this.planned.clear()
    this.unborn.clear()
    this.placing.clear()
    this.copying.clear()
    this.ending.clear()
    this.offered.clear()
    this.available = []
    for (const id of this.state.ready) this.offered.add(id)
    this.refreshNodes()
  }

  /** Works out anew which nodes accept placements. Returns whether they differ from before. */
  refreshNodes(): boolean {
    const before = this.available
    const next: PlannedNode[] = []
    for (const node of this.state.nodes.values()) {
      if (acceptsPlacements(node) && !this.excluded(node)) next.push(this.plannedNode(node))
    }
    next.sort((a, b) => a.id - b.id)
    this.available = next
    for (const id of this.planned.keys()) if (!this.state.nodes.has(id)) this.planned.delete(id)
    return before.length !== next.length || before.some((node, index) => node !== next[index])
  }

  private plannedNode(node: ClusterNode): PlannedNode {
    const known = this.planned.get(node.id)
    if (known !== undefined) return known
    const planned = new PlannedNode(node)
    this.planned.set(node.id, planned)
    return planned
  }

  /** Projects a submission; calls `offer` for each task that will be ready at birth. */
  addSubmit(into: Corrections, command: SubmitCommand, offer: (task: TaskView) => void): void {
    const { idempotency, firstId } = command
    // It will be answered from the key, or refused.
    if (idempotency !== undefined && this.state.keys.has(idempotency.key)) return
    let id = firstId
    for (const spec of command.tasks) {
      if (this.bornReady(spec)) {
        const view = viewOfUnborn(id, firstId, spec, this.now)
        this.unborn.set(id, view)
        this.offered.add(id)
        into.born.push(id)
        offer(view)
      }
      id = taskId(id + 1)
    }
  }

  private bornReady(spec: TaskSpec): boolean {
    if (spec.notBefore > this.state.time) return false
    return spec.needs.every((need) => {
      const tombstone = this.state.tombstones.get(need.id)
      return tombstone?.status === 'succeeded' && tombstone.spreadTo === SPREAD_DONE
    })
  }

  /** Projects a completion: its slot is free in the same entry. */
  addComplete(into: Corrections, { report }: CompleteCommand): void {
    const { token } = report
    const task = taskOfAttempts(this.state, report.taskId)
    const placement = placementWith(task, token)
    if (task === undefined || placement === undefined || this.ending.has(token)) return
    const node = this.planned.get(placement.node)
    if (node === undefined) return
    this.ending.add(token)
    node.shift(task.spec.resources, -1)
    into.freed.push({ token, node, resources: task.spec.resources })
  }

  /**
   * Projects a choice: a ready task's placement, or a copy of a running one. `too-late`: it would have held before what is
   * in flight; `too-early`: the attempt to copy is being placed; undefined: it does not hold in the plan.
   */
  addChoice(
    into: Corrections,
    id: TaskId,
    onto: NodeId
  ): PlaceCommand | PlaceCopyCommand | 'too-early' | 'too-late' | undefined {
    const task = this.task(id)
    const node = this.node(onto)
    const planned = this.planned.get(onto)
    if (task === undefined || node === undefined || planned === undefined) return undefined
    if (!this.eligible(task, node) || !this.fits(task, node)) return undefined
    const { incarnation } = planned.node
    const view = { taskId: id, node: onto, placedAt: this.now }
    if (this.offered.has(id)) {
      this.offered.delete(id)
      this.placing.set(id, view)
      planned.shift(task.resources, 1)
      into.placed.push({ taskId: id, node: planned, resources: task.resources })
      return { type: 'place', taskId: id, node: onto, incarnation }
    }
    const of = this.copyable(id, onto)
    if (of === undefined || of === 'too-early' || of === 'too-late') return of
    this.copying.set(id, view)
    planned.shift(task.resources, 1)
    into.copied.push({ taskId: id, node: planned, resources: task.resources })
    return { type: 'place-copy', taskId: id, node: onto, incarnation, of }
  }

  /** Token of the attempt that a copy on `onto` would double. */
  private copyable(id: TaskId, onto: NodeId): FencingToken | 'too-early' | 'too-late' | undefined {
    if (this.placing.has(id)) return 'too-early'
    if (this.copying.has(id)) return 'too-late'
    const task = this.state.tasks.get(id)
    const placement = task?.placement
    if (task === undefined || placement === undefined || placement.node === onto) return undefined
    if (!task.spec.idempotent || task.spec.delivery === 'at-most-once') return undefined
    // It has a copy, or stops: the policy may not have heard.
    return this.ending.has(placement.token) || !mayBeCopied(task) ? 'too-late' : placement.token
  }

  /** Takes a batch's corrections back. Returns tasks that are ready after all, and tasks that are offered but not ready. */
  settle(batch: Corrections): { readonly regained: TaskId[]; readonly vanished: TaskId[] } {
    const regained: TaskId[] = []
    const vanished: TaskId[] = []
    for (const { token, node, resources } of batch.freed) {
      node.shift(resources, 1)
      this.ending.delete(token)
    }
    for (const { taskId: id, node, resources } of batch.copied) {
      node.shift(resources, -1)
      this.copying.delete(id)
    }
    for (const { taskId: id, node, resources } of batch.placed) {
      node.shift(resources, -1)
      this.placing.delete(id)
      if (this.state.ready.has(id)) regained.push(id)
    }
    for (const id of batch.born) {
      this.unborn.delete(id)
      if (this.offered.has(id) && !this.state.ready.has(id)) vanished.push(id)
    }
    return { regained, vanished }
  }

  /** Whether a task is about to be placed. */
  isPlacing(id: TaskId): boolean {
    return this.placing.has(id)
  }
}
