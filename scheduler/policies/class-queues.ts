/**
 * Ready tasks in queues by placement class: tasks that ask for the same executor, handler, labels and resources fit or
 * fail together, so one look at a class decides for a hundred thousand tasks.
 *
 * 1. `next` yields the best-ranked task that some node can take now: larger rank first, then arrival.
 * 2. A class for which nothing fitted is blocked until capacity may have grown: a slot became free (the sum of free slots is
 *    higher than own placements explain) or the nodes changed. So a full cluster costs a sum per call, not a scan.
 */
import type { NodeId, TaskId } from '../../base/ids.ts'
import type { ClusterView, NodeView, PlacementChoice, TaskView } from '../policy.ts'
import { RankHeap } from './rank-heap.ts'

/** Chooses among nodes on which a task is eligible. `avoid` failed it last. Returns none when nothing fits. */
export type NodePick = (
  view: ClusterView,
  task: TaskView,
  eligible: readonly NodeView[]
) => NodeId | undefined

interface PlacementClass {
  readonly queue: RankHeap
  blocked: boolean
  /** Nodes on which the class is eligible, as of `nodesSeen`. */
  eligible: NodeView[]
  nodesSeen: number
}

export interface ClassQueuesOptions {
  readonly rank: (task: TaskView) => number
  readonly pick: NodePick
}

export class ClassQueues {
  private readonly options: ClassQueuesOptions
  private readonly classes = new Map<string, PlacementClass>()
  private readonly arrivals = new Map<TaskId, number>()
  private arrived = 0
  private nodesVersion = 1
  private expectedFree = 0

  constructor(options: ClassQueuesOptions) {
    this.options = options
  }

  reset(view: ClusterView): void {
    this.classes.clear()
    this.arrivals.clear()
    this.nodesChanged()
    for (const task of view.ready()) this.add(task)
  }

  add(task: TaskView): void {
    const signature = signatureOf(task)
    let found = this.classes.get(signature)
    if (found === undefined) {
      const live = (id: number, arrival: number): boolean => this.arrivals.get(id as TaskId) === arrival
      found = { queue: new RankHeap(live), blocked: false, eligible: [], nodesSeen: 0 }
      this.classes.set(signature, found)
    }
    const arrival = ++this.arrived
    this.arrivals.set(task.id, arrival)
    found.queue.push(task.id, this.options.rank(task), arrival)
    // The new one may have failed elsewhere, or be first of a class that stood empty.
    found.blocked = false
  }

  remove(id: TaskId): void {
    this.arrivals.delete(id)
  }

  nodesChanged(): void {
    this.nodesVersion++
    this.unblock()
  }

  next(view: ClusterView): PlacementChoice | undefined {
    let free = 0
    for (const node of view.nodes()) free += node.freeSlots
    if (free > this.expectedFree) this.unblock()
    this.expectedFree = free
    if (free === 0) return undefined
    const best = this.best()
    const choice = best === undefined ? undefined : (this.choose(view, best) ?? this.chooseAmongOthers(view))
    if (choice !== undefined) this.expectedFree--
    return choice
  }

  private unblock(): void {
    for (const found of this.classes.values()) found.blocked = false
  }

  private best(): PlacementClass | undefined {
    let best: PlacementClass | undefined
    for (const [signature, candidate] of this.classes) {
      if (candidate.blocked) continue
      if (!candidate.queue.prune()) this.classes.delete(signature)
      else if (best === undefined || candidate.queue.isBefore(best.queue)) best = candidate
    }
    return best
  }

  private chooseAmongOthers(view: ClusterView): PlacementChoice | undefined {
    const others = [...this.classes.values()].filter((candidate) => !candidate.blocked)
    others.sort((a, b) => (a.queue.isBefore(b.queue) ? -1 : 1))
    for (const candidate of others) {
      const choice = this.choose(view, candidate)
      if (choice !== undefined) return choice
    }
    return undefined
  }

  private choose(view: ClusterView, from: PlacementClass): PlacementChoice | undefined {
    const id = from.queue.top() as TaskId
    const task = view.task(id)
    if (task === undefined) {
      // The planner says which tasks are gone; one that vanished without a word must not hold up its class.
      this.arrivals.delete(id)
      return undefined
    }
    if (from.nodesSeen !== this.nodesVersion) {
      from.eligible = view.nodes().filter((node) => view.eligible(task, node))
      from.nodesSeen = this.nodesVersion
    }
    const node = this.options.pick(view, task, from.eligible)
    if (node !== undefined) return { taskId: id, node }
    from.blocked = true
    return undefined
  }
}

function signatureOf(task: TaskView): string {
  let signature = `${task.executor}\n${task.handler}`
  for (const name in task.resources) signature += `\n${name}=${task.resources[name] ?? 0}`
  signature += '\n'
  for (const name in task.nodeSelector) signature += `\n${name}=${task.nodeSelector[name] ?? ''}`
  return signature
}
