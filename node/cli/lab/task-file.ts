/**
 * `--tasks`: one line of JSON for each unit that finished in each run, for analyses that the report does not make. Lines are written as
 * runs end, so that no run is kept for them. A disk that is full by then costs the file, not the figures: that is told at the end.
 */
import { closeSync, openSync, writeFileSync } from 'node:fs'
import { AppError } from '../../../base/errors.ts'
import type { Run } from '../../../optimizer/lab/protocol.ts'
import { attemptOutput } from './outputs.ts'

/** A unit: a task, or a group that is judged as one. Times in seconds since the beginning of its instance. */
export interface UnitLine {
  readonly policy: string
  readonly seed: number
  /** Index in the report's `runs`. */
  readonly run: number
  readonly task?: number
  readonly group?: number
  /** Of a group: those of its first task. */
  readonly name: string
  readonly tenant: string
  readonly submittedS: number
  /** Of the attempt that ended it; of a group the earliest of its tasks. */
  readonly startedS: number
  readonly finishedS: number
  /** Null for groups, which run on several. */
  readonly node: number | null
  /** Of all its tasks. */
  readonly attempts: number
  /** Bounded. */
  readonly slowdown: number
}

/** Lines that are written at once. */
const BATCH = 2000

export class TaskFile {
  readonly #path: string
  readonly #file: number
  #runs = 0
  #failure: AppError | undefined

  /** Opens and empties the file. Throws INVALID_REQUEST, as `check` does. */
  constructor(path: string) {
    this.#path = path
    this.#file = attemptOutput('tasks', path, () => openSync(path, 'w'))
  }

  /** Writes the next run. */
  add(run: Run): void {
    const lines: string[] = []
    for (const unit of unitsOf(run, this.#runs)) {
      lines.push(`${JSON.stringify(unit)}\n`)
      if (lines.length >= BATCH) this.#write(lines)
    }
    this.#write(lines)
    this.#runs++
  }

  close(): void {
    closeSync(this.#file)
  }

  /** Throws what kept lines from being written, if anything did. */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure
  }

  #write(lines: string[]): void {
    const text = lines.join('')
    lines.length = 0
    if (this.#failure !== undefined) return
    try {
      attemptOutput('tasks', this.#path, () => {
        writeFileSync(this.#file, text)
      })
    } catch (error) {
      if (!(error instanceof AppError)) throw error
      this.#failure = error
    }
  }
}

function* unitsOf({ policy, seed, result, judged }: Run, run: number): Generator<UnitLine> {
  const { workload, startedAt, node, attemptsOf } = result
  const groups = judged.groups > 0 ? groupFacts(result) : undefined
  for (const [at, index] of judged.index.entries()) {
    const task = workload.tasks[index]
    if (task === undefined) continue
    const isGroup = judged.isGroup[at] === 1
    const started = isGroup ? groups?.startedAt[index] : startedAt[index]
    yield {
      policy,
      seed,
      run,
      ...(isGroup ? { group: task.group } : { task: task.id }),
      name: task.name,
      tenant: task.tenant,
      submittedS: task.submittedAt / 1000,
      startedS: (started ?? 0) / 1000,
      finishedS: (task.submittedAt + (judged.jctMs[at] ?? 0)) / 1000,
      node: isGroup ? null : (node[index] ?? 0),
      attempts: (isGroup ? groups?.attempts : attemptsOf)?.[index] ?? 0,
      slowdown: judged.slowdown[at] ?? 1
    }
  }
}

/** First start and attempts of each group, at the index of its first task. */
function groupFacts({ workload, startedAt, attemptsOf }: Run['result']): {
  readonly startedAt: Float64Array
  readonly attempts: Int32Array
} {
  const first = new Float64Array(workload.tasks.length).fill(Infinity)
  const attempts = new Int32Array(workload.tasks.length)
  workload.tasks.forEach((task, index) => {
    const group = task.group - 1
    const start = startedAt[index] ?? -1
    if (start >= 0) first[group] = Math.min(first[group] ?? Infinity, start)
    attempts[group] = (attempts[group] ?? 0) + (attemptsOf[index] ?? 0)
  })
  return { startedAt: first, attempts }
}
