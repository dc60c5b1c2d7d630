/**
 * Which tasks count as alike: a task's place in nested classes, from all tasks down to those that agree in everything that is
 * known before a run.
 *
 *     all > limit > tenant > name > name × limit > name × limit × resources × input octave (the class)
 *
 * The order was chosen on the logs at hand: what users say (a limit) separates all users' jobs a little, and each user's a lot. Names that
 * say nothing (no limits, no input) make levels with equal content, which costs nothing but a little weight.
 *
 * 1. The number of cells is bounded: when it is exceeded, the classes that were least recently used go, and with them cells above that
 *    no class needs any more.
 * 2. A class's number is never used again: a policy that holds an old one finds nothing rather than another class.
 */
import type { TaskView } from '../../scheduler/policy.ts'
import type { Resources } from '../../scheduler/types.ts'

/** Tasks whose classes are found without making keys. */
const REMEMBERED = 4096

/** What makes a task's class, but not its view, which would keep its input alive. */
interface Remembered<T> {
  readonly name: string
  readonly resources: Resources
  readonly inputBytes: number
  readonly of: TaskClass<T>
}

/** A level of the hierarchy, with what an estimator keeps there. */
export interface Cell<T> {
  readonly value: T
  readonly key: string
  /** Classes below, for eviction. */
  users: number
}

/** The tasks that share predictions. */
export interface TaskClass<T> {
  /** Its number: the `ClassKey` that policies see. */
  readonly key: number
  readonly tenant: string
  /** Tenant and name, for what depends on the kind of work alone. */
  readonly nameKey: string
  /** Caps run times; 0 for none. */
  readonly limitMs: number
  /** From the general to the class itself. */
  readonly cells: readonly Cell<T>[]
  /** The tenant's tasks with these resources, and those with this limit, whatever their names. */
  readonly side: readonly Cell<T>[]
  /** ln of the first such task's input size; undefined when it has none. */
  readonly inputLn: number | undefined
  readonly path: string
  /** A hash of `path`. */
  readonly code: number
  lastUsed: number
}

export class ClassTree<T> {
  readonly #make: (level: number) => T
  readonly #capacity: number
  readonly #cells = new Map<string, Cell<T>>()
  readonly #classes = new Map<string, TaskClass<T>>()
  readonly #byKey = new Map<number, TaskClass<T>>()
  readonly #onEvict: (evicted: TaskClass<T>) => void
  /** Tasks that were asked about, by the last digits of their numbers: each is asked about again and again until it has ended. */
  readonly #remembered = new Array<Remembered<T> | undefined>(REMEMBERED).fill(undefined)
  #next = 1
  #clock = 0

  /** `make` makes what is kept at a level; at most `capacity` classes are kept. */
  constructor(
    make: (level: number) => T,
    capacity: number,
    onEvict: (evicted: TaskClass<T>) => void = () => undefined
  ) {
    this.#make = make
    this.#capacity = capacity
    this.#onEvict = onEvict
  }

  get size(): number {
    return this.#classes.size
  }

  /** The task's class, made if new. */
  of(task: TaskView): TaskClass<T> {
    const at = task.id % REMEMBERED
    const last = this.#remembered[at]
    let known = last !== undefined && isAlike(last, task) ? last.of : undefined
    if (known === undefined) {
      const path = pathOf(task)
      known = this.#classes.get(path) ?? this.#new(task, path)
      const { name, resources, inputBytes } = task
      this.#remembered[at] = { name, resources, inputBytes, of: known }
    }
    known.lastUsed = this.#clock++
    return known
  }

  #new(task: TaskView, path: string): TaskClass<T> {
    if (this.#classes.size >= this.#capacity) this.#evict()
    const cells = cellKeys(task, path).map((key, level) => this.#cell(key, level))
    const side = sideKeys(task).map((key) => this.#cell(key, cells.length))
    const made: TaskClass<T> = {
      key: this.#next++,
      tenant: task.tenant,
      nameKey: nameKey(task),
      limitMs: task.limitMs,
      cells,
      side,
      inputLn: task.inputBytes > 0 ? Math.log(task.inputBytes) : undefined,
      path,
      code: hash(path),
      lastUsed: this.#clock
    }
    for (const cell of [...cells, ...side]) cell.users++
    this.#classes.set(path, made)
    this.#byKey.set(made.key, made)
    return made
  }

  byKey(key: number): TaskClass<T> | undefined {
    return this.#byKey.get(key)
  }

  values(): Iterable<TaskClass<T>> {
    return this.#classes.values()
  }

  #cell(key: string, level: number): Cell<T> {
    let cell = this.#cells.get(key)
    if (cell === undefined) {
      cell = { value: this.#make(level), key, users: 0 }
      this.#cells.set(key, cell)
    }
    return cell
  }

  /** Drops the least recently used tenth. */
  #evict(): void {
    this.#remembered.fill(undefined)
    const byAge = [...this.#classes.values()].sort((a, b) => a.lastUsed - b.lastUsed)
    for (const old of byAge.slice(0, Math.ceil(byAge.length / 10))) {
      this.#classes.delete(old.path)
      this.#byKey.delete(old.key)
      for (const cell of [...old.cells, ...old.side]) if (--cell.users === 0) this.#cells.delete(cell.key)
      this.#onEvict(old)
    }
  }
}

/** Whether the task is of the class for all that one can see at once: its resources are the same object, not just equal. */
function isAlike(last: Remembered<unknown>, task: TaskView): boolean {
  return (
    last.resources === task.resources &&
    last.name === task.name &&
    last.inputBytes === task.inputBytes &&
    last.of.tenant === task.tenant &&
    last.of.limitMs === task.limitMs
  )
}

/** All that makes a class, as one string. */
function pathOf(task: TaskView): string {
  return `${task.tenant}\n${task.name}\n${limitKey(task)}\n${resourcesKey(task)}\n${inputKey(task)}`
}

function cellKeys(task: TaskView, path: string): string[] {
  const name = nameKey(task)
  return [
    '0',
    `1\n${limitKey(task)}`,
    `2\n${task.tenant}`,
    `3\n${name}`,
    `4\n${name}\n${limitKey(task)}`,
    `5\n${path}`
  ]
}

function sideKeys(task: TaskView): string[] {
  return [`6\n${task.tenant}\n${resourcesKey(task)}`, `7\n${task.tenant}\n${limitKey(task)}`]
}

function nameKey(task: TaskView): string {
  return `${task.tenant}\n${task.name}`
}

/** Limits are what people type: equal ones are equal on purpose. */
function limitKey(task: TaskView): number {
  return task.limitMs
}

function resourcesKey(task: TaskView): string {
  let key = ''
  for (const name in task.resources) key += `${name}=${task.resources[name] ?? 0};`
  return key
}

/** Octave of the input's size; sizes, unlike limits, vary freely. */
function inputKey(task: TaskView): number {
  return task.inputBytes <= 0 ? -1 : Math.floor(Math.log2(task.inputBytes))
}

/** FNV-1a. */
function hash(text: string): number {
  let code = 0x811c9dc5
  for (let index = 0; index < text.length; index++) {
    code = Math.imul(code ^ text.charCodeAt(index), 0x01000193)
  }
  return code ^ (code >>> 15)
}
