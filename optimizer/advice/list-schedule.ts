/**
 * One possible future of a cluster: running and waiting tasks, each with a drawn run time, go through the nodes in the
 * policy's order. A plain list schedule over arrays, since a forecast makes dozens of them.
 *
 * Owns the passage of time, slots and resources of one future. What tasks and nodes there are is `problem.ts`'s.
 *
 * 1. A task starts when its needs have finished, its delay is over, and it is the first in order among those that fit
 *    somewhere: where the policy shares, of a lane with the fewest running tasks. What fits nowhere at the moment lets others pass, as
 *    all policies at hand do (`easy` only those that delay it by nothing).
 * 2. A task that never can start (no node, a need that never ends) keeps Infinity as start and finish.
 * 3. Nothing new arrives.
 * 4. A task that is ready for longer than it may wait finishes then without a start, and takes no room. Whether it has is asked when it is
 *    its turn: until then it keeps off only those that fit where it fits. What needs it is skipped with it.
 */
import { EventHeap } from '../sim/event-heap.ts'
import type { Problem, Shape } from './problem.ts'

/** Where one future is written: a row for each task, a column for each draw. */
export interface Futures {
  readonly draws: number
  readonly startAt: Float64Array
  readonly finishAt: Float64Array
}

/** By task, how long it runs in one future. */
export interface RunTimes {
  /** On a typical node; for one that runs, what is left. */
  readonly durationMs: Float64Array
  /** On any node: after so long all its attempts have met their timeouts. Infinity without. */
  readonly mostMs: Float64Array
}

/** Plays one future out. */
export function playOut(problem: Problem, runTimes: RunTimes, draw: number, into: Futures): void {
  new Future(problem, runTimes, draw, into).run()
}

class Future {
  readonly #problem: Problem
  readonly #runTimes: RunTimes
  readonly #draw: number
  readonly #into: Futures
  readonly #freeSlots: Int32Array
  /** On all nodes. */
  #allFree: number
  /** By node and resource. */
  readonly #free: Float64Array
  readonly #waitingOn: Int32Array
  readonly #readyAt: Float64Array
  readonly #node: Int32Array
  readonly #queues: readonly ReadyQueue[]
  /** First task by queue; −1 for none. */
  readonly #heads: Int32Array
  /** Running tasks by lane. */
  readonly #busy: Int32Array
  /** Shapes that fit nowhere until something ends. */
  readonly #blocked: Uint8Array
  /** A task's end; or its delay's, as −1 − index. */
  readonly #events = new EventHeap<number>()
  /** Whether any task waited for longer than it may. */
  #hasExpired = false
  #now: number

  constructor(problem: Problem, runTimes: RunTimes, draw: number, into: Futures) {
    this.#problem = problem
    this.#runTimes = runTimes
    this.#draw = draw
    this.#into = into
    this.#now = problem.now
    this.#freeSlots = problem.freeSlots.slice()
    this.#allFree = problem.freeSlots.reduce((sum, slots) => sum + slots, 0)
    this.#free = problem.free.slice()
    this.#waitingOn = problem.waitingOn.slice()
    this.#readyAt = problem.readyAt.slice()
    this.#node = new Int32Array(problem.ids.length).fill(-1)
    this.#blocked = new Uint8Array(problem.shapes.length)
    this.#queues = Array.from(problem.queueShape, () => new ReadyQueue(problem.rank, this.#readyAt))
    this.#heads = new Int32Array(this.#queues.length).fill(-1)
    this.#busy = new Int32Array(problem.lanes)
  }

  run(): void {
    const { running, now } = this.#problem
    for (const { index, node } of running) {
      this.#node[index] = node
      this.#share(index, 1)
      this.#begin(index, this.#runTimes.durationMs[index] ?? 0)
    }
    for (const index of this.#problem.waiting) if (this.#waitingOn[index] === 0) this.#offer(index, now)
    for (;;) {
      this.#place()
      const next = this.#events.nextTime
      if (next === Infinity) {
        this.#expireRest()
        if (this.#hasExpired) this.#skip()
        return
      }
      this.#now = next
      while (this.#events.nextTime <= next) this.#handle(this.#events.pop() ?? 0)
    }
  }

  #begin(index: number, lengthMs: number): void {
    const at = index * this.#into.draws + this.#draw
    this.#into.startAt[at] = this.#now
    this.#into.finishAt[at] = this.#now + lengthMs
    this.#events.push(this.#now + lengthMs, index)
  }

  /** Its needs are met: it may start now, or when its delay is over. */
  #offer(index: number, now: number): void {
    const notBefore = this.#problem.notBefore[index] ?? 0
    if (notBefore > now) {
      this.#events.push(notBefore, -1 - index)
      return
    }
    if (this.#readyAt[index] === Infinity) this.#readyAt[index] = now
    this.#enter(index)
  }

  #enter(index: number): void {
    const number = this.#problem.queueOf[index] ?? 0
    this.#queues[number]?.push(index)
    this.#heads[number] = this.#queues[number]?.head ?? -1
  }

  #handle(event: number): void {
    if (event < 0) {
      const index = -1 - event
      this.#readyAt[index] = this.#now
      this.#enter(index)
      return
    }
    this.#share(event, -1)
    this.#hold(event, this.#node[event] ?? 0, -1)
    this.#blocked.fill(0)
    for (const dependent of this.#problem.dependents[event] ?? []) {
      const left = (this.#waitingOn[dependent] ?? 0) - 1
      this.#waitingOn[dependent] = left
      if (left === 0) this.#offer(dependent, this.#now)
    }
  }

  #place(): void {
    while (this.#allFree > 0) {
      const number = this.#firstQueue()
      const queue = this.#queues[number]
      const shapeNumber = this.#problem.queueShape[number] ?? 0
      const shape = this.#problem.shapes[shapeNumber]
      const index = queue?.head
      if (queue === undefined || shape === undefined || index === undefined) return
      if (this.#expiryOf(index) <= this.#now) {
        this.#expire(queue.pop())
        this.#heads[number] = queue.head ?? -1
        continue
      }
      const node = this.#nodeFor(index, shape)
      if (node < 0) {
        this.#blocked[shapeNumber] = 1
        continue
      }
      queue.pop()
      this.#heads[number] = queue.head ?? -1
      this.#node[index] = node
      this.#share(index, 1)
      this.#hold(index, node, 1)
      const { durationMs, mostMs } = this.#runTimes
      const wantedMs = (durationMs[index] ?? 0) * this.#factor(index, node)
      this.#begin(index, Math.min(wantedMs, mostMs[index] ?? Infinity))
    }
  }

  #expiryOf(index: number): number {
    return (this.#readyAt[index] ?? 0) + (this.#problem.startWithinMs[index] ?? Infinity)
  }

  #expire(index: number): void {
    this.#hasExpired = true
    this.#into.finishAt[index * this.#into.draws + this.#draw] = Math.max(
      this.#problem.now,
      this.#expiryOf(index)
    )
  }

  /** Whose turn never came. */
  #expireRest(): void {
    for (const queue of this.#queues) while (queue.head !== undefined) this.#expire(queue.pop())
  }

  /** With the first of its needs that was not met a task ends as well. Needs come before what needs them. */
  #skip(): void {
    const { waiting, dependents } = this.#problem
    const { draws, startAt, finishAt } = this.#into
    for (const index of waiting) {
      const at = index * draws + this.#draw
      const endedAt = finishAt[at] ?? Infinity
      if (endedAt === Infinity || startAt[at] !== Infinity) continue
      for (const dependent of dependents[index] ?? []) {
        const own = dependent * draws + this.#draw
        finishAt[own] = Math.min(finishAt[own] ?? Infinity, endedAt)
      }
    }
  }

  /** The queue whose first task comes first in order; −1 when none may start. */
  #firstQueue(): number {
    const { queueShape, queueLane } = this.#problem
    const heads = this.#heads
    const blocked = this.#blocked
    const busyOf = this.#busy
    let best = -1
    let first = -1
    let fewest = Infinity
    for (let number = 0; number < heads.length; number++) {
      const head = heads[number] ?? -1
      if (head < 0 || blocked[queueShape[number] ?? 0] === 1) continue
      const busy = busyOf[queueLane[number] ?? 0] ?? 0
      if (busy > fewest || (busy === fewest && this.#queues[number]?.before(head, first) !== true)) continue
      best = number
      first = head
      fewest = busy
    }
    return best
  }

  #share(index: number, sign: 1 | -1): void {
    const lane = this.#problem.laneOf[index] ?? 0
    this.#busy[lane] = (this.#busy[lane] ?? 0) + sign
  }

  /** The fastest node that has room, among equals the one with the largest share of free slots; −1 for none. */
  #nodeFor(index: number, shape: Shape): number {
    let best = -1
    let bestFactor = Infinity
    let bestShare = -1
    for (const node of shape.nodes) {
      const free = this.#freeSlots[node] ?? 0
      if (free <= 0 || !this.#fits(node, shape)) continue
      const factor = this.#factor(index, node)
      const share = free / (this.#problem.slots[node] ?? 1)
      if (factor > bestFactor || (factor === bestFactor && share <= bestShare)) continue
      best = node
      bestFactor = factor
      bestShare = share
    }
    return best
  }

  #fits(node: number, shape: Shape): boolean {
    const { resources } = this.#problem
    for (let name = 0; name < resources; name++) {
      if ((shape.demand[name] ?? 0) > (this.#free[node * resources + name] ?? 0)) return false
    }
    return true
  }

  #factor(index: number, node: number): number {
    return this.#problem.factors[this.#problem.tableOf[index] ?? 0]?.[node] ?? 1
  }

  #hold(index: number, node: number, sign: 1 | -1): void {
    const { resources, shapes, shapeOf } = this.#problem
    this.#freeSlots[node] = (this.#freeSlots[node] ?? 0) - sign
    this.#allFree -= sign
    const demand = shapes[shapeOf[index] ?? 0]?.demand
    for (let name = 0; name < resources; name++) {
      const at = node * resources + name
      this.#free[at] = (this.#free[at] ?? 0) - sign * (demand?.[name] ?? 0)
    }
  }
}

/** Ready tasks of one shape and lane: lower rank first, then the earlier to be ready, then the lower index. A binary heap. */
class ReadyQueue {
  readonly #rank: Float64Array
  readonly #readyAt: Float64Array
  readonly #items: number[] = []

  constructor(rank: Float64Array, readyAt: Float64Array) {
    this.#rank = rank
    this.#readyAt = readyAt
  }

  get head(): number | undefined {
    return this.#items[0]
  }

  before(a: number, b: number): boolean {
    const byRank = (this.#rank[a] ?? 0) - (this.#rank[b] ?? 0)
    if (byRank !== 0) return byRank < 0
    const byTime = (this.#readyAt[a] ?? 0) - (this.#readyAt[b] ?? 0)
    return byTime === 0 ? a < b : byTime < 0
  }

  push(item: number): void {
    const items = this.#items
    let at = items.length
    items.push(item)
    while (at > 0) {
      const parent = (at - 1) >> 1
      const above = items[parent] ?? 0
      if (this.before(above, item)) break
      items[at] = above
      at = parent
    }
    items[at] = item
  }

  /** Takes the head out; -1 when there is none. */
  pop(): number {
    const items = this.#items
    const head = items[0] ?? -1
    const last = items.pop()
    if (last === undefined || items.length === 0) return head
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= items.length) break
      if (child + 1 < items.length && this.before(items[child + 1] ?? 0, items[child] ?? 0)) child++
      if (this.before(last, items[child] ?? 0)) break
      items[at] = items[child] ?? 0
      at = child
    }
    items[at] = last
    return head
  }
}
