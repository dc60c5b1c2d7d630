/**
 * What a forecast starts from, as arrays: the tasks that run and wait, the nodes with what is free on them, and the
 * predicted run times. Made once a forecast; futures (`list-schedule.ts`) only read it.
 *
 * Bounded: `MOST_RUNNING` attempts and `MOST_TASKS` waiting tasks in the order in which the source names them. Tasks beyond have no
 * forecast, and those before are forecast as if they were not there. Of one that waits it is known after which of them it comes (`placeOf`).
 */
import type { NodeId, TaskId } from '../../base/ids.ts'
import type { NodeView, TaskView } from '../../scheduler/policy.ts'
import type { ClassKey, Estimator, Prediction } from '../estimate.ts'
import { durationTable } from './durations.ts'
import type { DurationTable } from './durations.ts'

interface Retried {
  /** Attempts that it may have from now on, one that runs included. Default: as many as it takes. */
  readonly attemptsLeft?: number
}

/** A task that waits: for others, for a time, or for room. */
export interface WaitingTask extends Retried {
  readonly task: TaskView
  /** Those of its needs that have not succeeded yet. */
  readonly waitsFor: readonly TaskId[]
  /** Not before this point of state time; 0 for at once. */
  readonly notBefore: number
  /** Ready for so long, in milliseconds, it fails instead of starting. Default: it waits for ever. */
  readonly startWithinMs?: number
}

/** An attempt that runs. */
export interface RunningTask extends Retried {
  readonly task: TaskView
  readonly node: NodeId
  /** When it started, or was placed as long as that is not known. */
  readonly since: number
  /** Longest that it may still run, in milliseconds, whatever its timeout. Default: any length. */
  readonly leftMs?: number
  /** Its task has ended in another attempt: this one holds its slot until it has stopped, and nothing is forecast of it. */
  readonly isOver?: boolean
}

/** Where a forecast reads the present from. */
export interface ForecastSource {
  /** State time, in milliseconds. */
  readonly now: number
  /** Those that take placements; what is free there excludes what runs. */
  readonly nodes: readonly NodeView[]
  readonly running: Iterable<RunningTask>
  /** Needs come before what needs them. */
  readonly waiting: Iterable<WaitingTask>
  eligible(task: TaskView, node: NodeView): boolean
}

/** The order in which a policy takes ready tasks. */
export interface Order {
  /** Lower first, ties by readiness. */
  rank(task: TaskView, expected: Expected): number
  /** Whose it is where the policy shares among several: those with the fewest running tasks go before any rank. */
  shareOf?(task: TaskView): string
}

/** What an order may ask of a prediction. */
export type Expected = Pick<Prediction, 'medianMs' | 'meanMs'>

/** Tasks that fit alike. */
export interface Shape {
  /** By resource number. */
  readonly demand: Float64Array
  /** Numbers of the nodes that may ever run them. */
  readonly nodes: readonly number[]
}

export interface RunningAttempt {
  readonly index: number
  readonly node: number
  readonly elapsedMs: number
  /** Longest that it may still run, whatever its timeout; Infinity for any length. */
  readonly leftMs: number
}

export interface Problem {
  readonly now: number
  readonly ids: readonly TaskId[]
  readonly indexOf: ReadonlyMap<TaskId, number>
  readonly groups: readonly TaskId[]
  readonly running: readonly RunningAttempt[]
  readonly waiting: readonly number[]
  readonly waitingOn: Int32Array
  readonly dependents: readonly (readonly number[])[]
  /** Infinity for what is not ready yet. */
  readonly readyAt: Float64Array
  readonly notBefore: Float64Array
  /** After which it fails, once it is ready, instead of starting, in milliseconds; Infinity for never. */
  readonly startWithinMs: Float64Array
  /** Attempts that it may have from now on, one that runs included. */
  readonly attemptsLeft: Float64Array
  readonly rank: Float64Array
  readonly shapes: readonly Shape[]
  readonly shapeOf: Int32Array
  /** Number of whoever shares (`Order.shareOf`), by task. */
  readonly laneOf: Int32Array
  readonly lanes: number
  /** A queue is of one shape and one lane, so its tasks leave in order of rank; by task, and the two by queue. */
  readonly queueOf: Int32Array
  readonly queueShape: Int32Array
  readonly queueLane: Int32Array
  readonly tables: readonly DurationTable[]
  readonly tableOf: Int32Array
  /** Probability that an attempt fails, by table. */
  readonly failure: Float64Array
  /** Attempts that were seen of such tasks, by table. */
  readonly seen: Float64Array
  /** After which attempts are stopped, in milliseconds; Infinity for never. By table. */
  readonly limitMs: Float64Array
  /** How much longer than typical a node takes, by table and node. */
  readonly factors: readonly Float64Array[]
  readonly slots: Int32Array
  readonly freeSlots: Int32Array
  /** Number of limited resources. */
  readonly resources: number
  /** By node and resource; Infinity where a node does not limit it. */
  readonly free: Float64Array
  /** Whether tasks were left out. */
  readonly truncated: boolean
  /** Where a waiting task that was left out would stand; undefined when none that is like it was read. */
  placeOf(task: TaskView): Place | undefined
}

/** A place in a queue, behind lower ranks. */
export interface Place {
  readonly queue: number
  readonly rank: number
}

const MOST_TASKS = 5_000
const MOST_RUNNING = 5_000
/** Pairs of class and node that are told apart; the nodes are taken to be alike for classes beyond. */
const MOST_FACTORS = 20_000
/** Those who share, as far as they are told apart; those beyond have one lane with others. A placement looks at every lane. */
const MOST_LANES = 128

/** Tasks whose predictions are read in one step. */
const STEP_TASKS = 100

/**
 * Reads the present in steps. What changes (what runs and waits, what is free) is read in the first; those after it read specs,
 * which never change, and ask the estimator, once for each class and once for each class and node. `seen`: how many attempts of
 * tasks like this one are known.
 */
export function readInSteps(
  source: ForecastSource,
  estimator: Estimator,
  order: Order,
  seen: (task: TaskView) => number
): Generator<undefined, Problem, undefined> {
  return new Reader(source, estimator, order, seen).read()
}

interface ClassTable {
  readonly number: number
  readonly expected: Expected
}

class Reader {
  readonly #source: ForecastSource
  readonly #estimator: Estimator
  readonly #order: Order
  readonly #seen: (task: TaskView) => number
  readonly #nodeNumber = new Map<NodeId, number>()
  readonly #names: string[] = []
  readonly #tasks: TaskView[] = []
  readonly #indexOf = new Map<TaskId, number>()
  readonly #shapes = new Map<string, { readonly number: number; readonly shape: Shape }>()
  readonly #shapeOf: number[] = []
  readonly #lanes = new Map<string, number>()
  readonly #laneOf: number[] = []
  readonly #queues = new Map<string, number>()
  readonly #queueShape: number[] = []
  readonly #queueLane: number[] = []
  readonly #queueOf: number[] = []
  readonly #classes = new Map<ClassKey, ClassTable>()
  readonly #tables: DurationTable[] = []
  readonly #failure: number[] = []
  readonly #seenOf: number[] = []
  readonly #limits: number[] = []
  readonly #factors: Float64Array[] = []
  readonly #tableOf: number[] = []
  readonly #rank: number[] = []

  constructor(source: ForecastSource, estimator: Estimator, order: Order, seen: (task: TaskView) => number) {
    this.#source = source
    this.#estimator = estimator
    this.#order = order
    this.#seen = seen
    const limited = new Set<string>()
    source.nodes.forEach((node, number) => {
      this.#nodeNumber.set(node.id, number)
      for (const name of Object.keys(node.resources)) limited.add(name)
    })
    this.#names.push(...limited)
  }

  *read(): Generator<undefined, Problem, undefined> {
    const { now } = this.#source
    const nodes = this.#nodes()
    const running = first(this.#source.running, MOST_RUNNING)
    const waiting = first(this.#source.waiting, MOST_TASKS)
    const truncated = running.isCut || waiting.isCut
    let left = STEP_TASKS
    for (const item of [...running.items, ...waiting.items]) {
      this.#add(item.task, 'isOver' in item && item.isOver)
      if (--left > 0) continue
      left = STEP_TASKS
      yield
    }
    const tasks = this.#tasksOf(this.#running(running.items), waiting.items)
    const attemptsLeft = Float64Array.from(
      [...running.items, ...waiting.items],
      ({ attemptsLeft: left = Infinity }: Retried) => left
    )
    return { ...nodes, ...tasks, attemptsLeft, now, truncated, placeOf: (task) => this.#placeOf(task) }
  }

  /** By index: they are added first. */
  #running(running: readonly RunningTask[]): Problem['running'] {
    const { now, nodes } = this.#source
    return running.map(({ node, since, leftMs = Infinity }, index) => ({
      index,
      // A node that takes no more work still runs what it has; its capacity does not matter then.
      node: this.#nodeNumber.get(node) ?? nodes.length,
      elapsedMs: Math.max(0, now - since),
      leftMs
    }))
  }

  #placeOf(task: TaskView): Place | undefined {
    const shape = this.#shapes.get(shapeKey(task))
    const lane = this.#lanes.get(this.#order.shareOf?.(task) ?? '')
    const queue = this.#queues.get(`${shape?.number}/${lane}`)
    if (queue === undefined) return undefined
    const expected =
      this.#classes.get(this.#estimator.classOf(task))?.expected ?? this.#estimator.predict(task)
    return { queue, rank: this.#order.rank(task, expected) }
  }

  #add(task: TaskView, isOver: boolean): void {
    const index = this.#tasks.length
    this.#tasks.push(task)
    // A task that runs twice (a copy) is judged by the attempt that was named first; the other holds its slot.
    if (!isOver && !this.#indexOf.has(task.id)) this.#indexOf.set(task.id, index)
    const { number, expected } = this.#tableOfClass(task)
    this.#tableOf.push(number)
    this.#rank.push(this.#order.rank(task, expected))
    const shape = this.#shapeNumber(task)
    const lane = this.#laneNumber(task)
    this.#shapeOf.push(shape)
    this.#laneOf.push(lane)
    this.#queueOf.push(this.#queueNumber(shape, lane))
  }

  #laneNumber(task: TaskView): number {
    const who = this.#order.shareOf?.(task) ?? ''
    const lane = this.#lanes.get(who) ?? this.#lanes.size % MOST_LANES
    this.#lanes.set(who, lane)
    return lane
  }

  #queueNumber(shape: number, lane: number): number {
    const key = `${shape}/${lane}`
    const known = this.#queues.get(key)
    if (known !== undefined) return known
    const number = this.#queues.size
    this.#queues.set(key, number)
    this.#queueShape.push(shape)
    this.#queueLane.push(lane)
    return number
  }

  #tableOfClass(task: TaskView): ClassTable {
    const key = this.#estimator.classOf(task)
    const known = this.#classes.get(key)
    if (known !== undefined) return known
    const prediction = this.#estimator.predict(task)
    const { medianMs, meanMs, failureProbability } = prediction
    const table = { number: this.#tables.length, expected: { medianMs, meanMs } }
    const seen = this.#seen(task)
    this.#tables.push(durationTable(prediction, seen))
    this.#failure.push(failureProbability)
    this.#seenOf.push(seen)
    this.#limits.push(task.limitMs > 0 ? task.limitMs : Infinity)
    const { nodes } = this.#source
    const alike = this.#factors.length * nodes.length >= MOST_FACTORS
    this.#factors.push(
      Float64Array.from(nodes, (node) => {
        if (alike) return 1
        const factor = this.#estimator.predict(task, node).medianMs / medianMs
        return factor > 0 && factor < Infinity ? factor : 1
      })
    )
    this.#classes.set(key, table)
    return table
  }

  #shapeNumber(task: TaskView): number {
    const { resources } = task
    const key = shapeKey(task)
    const known = this.#shapes.get(key)
    if (known !== undefined) return known.number
    const demand = Float64Array.from(this.#names, (name) => resources[name] ?? 0)
    const nodes = this.#source.nodes.flatMap((node, number) =>
      this.#source.eligible(task, node) ? [number] : []
    )
    const made = { number: this.#shapes.size, shape: { demand, nodes } }
    this.#shapes.set(key, made)
    return made.number
  }

  #nodes(): Pick<Problem, 'slots' | 'freeSlots' | 'free' | 'resources'> {
    const { nodes } = this.#source
    const resources = this.#names.length
    const free = new Float64Array((nodes.length + 1) * resources)
    nodes.forEach((node, number) => {
      this.#names.forEach((name, at) => (free[number * resources + at] = node.free(name)))
    })
    return {
      resources,
      free,
      slots: Int32Array.from([...nodes.map((node) => node.slots), 0]),
      freeSlots: Int32Array.from([...nodes.map((node) => node.freeSlots), 0])
    }
  }

  #tasksOf(
    running: Problem['running'],
    waits: readonly WaitingTask[]
  ): Omit<
    Problem,
    'now' | 'truncated' | 'placeOf' | 'attemptsLeft' | 'slots' | 'freeSlots' | 'free' | 'resources'
  > {
    const count = this.#tasks.length
    const waitingOn = new Int32Array(count)
    const notBefore = new Float64Array(count)
    const startWithinMs = new Float64Array(count).fill(Infinity)
    const readyAt = new Float64Array(count)
    const dependents: number[][] = Array.from({ length: count }, () => [])
    waits.forEach((wait, offset) => {
      const index = running.length + offset
      notBefore[index] = wait.notBefore
      startWithinMs[index] = wait.startWithinMs ?? Infinity
      waitingOn[index] = wait.waitsFor.length
      readyAt[index] =
        wait.waitsFor.length > 0 || wait.notBefore > this.#source.now ? Infinity : wait.task.readyAt
      for (const need of wait.waitsFor) {
        const of = this.#indexOf.get(need)
        // A need that is not in the forecast never ends there, and neither does what waits for it.
        if (of !== undefined) dependents[of]?.push(index)
      }
    })
    return {
      ids: this.#tasks.map((task) => task.id),
      groups: this.#tasks.map((task) => task.group),
      indexOf: this.#indexOf,
      running,
      waiting: waits.map((_, offset) => running.length + offset),
      waitingOn,
      dependents,
      readyAt,
      notBefore,
      startWithinMs,
      rank: Float64Array.from(this.#rank),
      shapes: [...this.#shapes.values()].map(({ shape }) => shape),
      shapeOf: Int32Array.from(this.#shapeOf),
      laneOf: Int32Array.from(this.#laneOf),
      lanes: Math.min(MOST_LANES, this.#lanes.size),
      queueOf: Int32Array.from(this.#queueOf),
      queueShape: Int32Array.from(this.#queueShape),
      queueLane: Int32Array.from(this.#queueLane),
      tables: this.#tables,
      tableOf: Int32Array.from(this.#tableOf),
      failure: Float64Array.from(this.#failure),
      seen: Float64Array.from(this.#seenOf),
      limitMs: Float64Array.from(this.#limits),
      factors: this.#factors
    }
  }
}

function shapeKey({ resources, nodeSelector, executor, handler }: TaskView): string {
  return JSON.stringify([executor, handler, resources, nodeSelector])
}

function first<T>(source: Iterable<T>, most: number): { readonly items: T[]; readonly isCut: boolean } {
  const items: T[] = []
  for (const item of source) {
    if (items.length === most) return { items, isCut: true }
    items.push(item)
  }
  return { items, isCut: false }
}
