/**
 * The leader's training thread: begun when there is enough to learn from, ended with the reign, begun again (later each
 * time) when it fails. A cluster whose thread keeps failing goes on with statistics; failures that lie far apart are each the first.
 */
import type { Logger } from '../../runtime/ports/log.ts'
import { hour, second } from '../../base/units.ts'
import type { TrainingRow } from '../../optimizer/estimator/rows.ts'
import type { FinishedTask } from '../../optimizer/guard/history.ts'
import { HISTORY_TASKS, KEPT_ROWS } from './bounds.ts'
import { OptimizerThread, type OptimizerThreadOptions } from './optimizer-thread.ts'
import type { AnswerTo, Request, ToThread, TrainedModel, TrainingProgress } from './protocol.ts'

export interface TrainerOptions {
  readonly logger: Logger
  readonly now: () => number
  readonly cpuShare: number
  readonly seed: () => number
  /** A model that is worth looking at. */
  readonly onModel: (model: TrainedModel) => void
  /** For tests. */
  readonly thread?: (options: OptimizerThreadOptions) => Pick<OptimizerThread, 'post' | 'ask' | 'end'>
}

/** Failures in a row after which a reign trains no more. */
const MOST_FAILURES = 5
/** A thread that has run for so long did not fail because of what it was begun with. */
const LONG_RUN_MS = 1 * hour
/** Wait after the first failure; doubles with each. */
const FIRST_WAIT_MS = 10 * second
/** Rows and tasks in one message, so that passing on a long history is many short turns. */
const BATCH = 200

export class Trainer {
  readonly #options: TrainerOptions
  #thread: Pick<OptimizerThread, 'post' | 'ask' | 'end'> | undefined
  #progress: TrainingProgress | undefined
  #failures = 0
  #restarts = 0
  #notBefore = 0
  /** What the thread has not been told yet, oldest first. */
  #rows: TrainingRow[] = []
  #tasks: FinishedTask[] = []

  constructor(options: TrainerOptions) {
    this.#options = options
  }

  get running(): boolean {
    return this.#thread !== undefined
  }

  /** Whether this reign has given up. */
  get failed(): boolean {
    return this.#failures >= MOST_FAILURES
  }

  /** Undefined until training has begun. */
  get progress(): TrainingProgress | undefined {
    return this.#progress
  }

  /** Times that a thread failed since the node's start. */
  get restarts(): number {
    return this.#restarts
  }

  /** Whether `begin` would. */
  get mayBegin(): boolean {
    return !this.running && !this.failed && this.#options.now() >= this.#notBefore
  }

  /** Begins, unless it runs, has failed too often, or waits after a failure. */
  begin(
    weights: Uint8Array | undefined,
    rows: readonly TrainingRow[],
    history: readonly FinishedTask[]
  ): boolean {
    const { logger, now, cpuShare, seed, onModel, thread = spawn } = this.#options
    if (!this.mayBegin) return false
    this.#rows = rows.slice(-KEPT_ROWS)
    this.#tasks = [...history]
    const begunAt = now()
    this.#thread = thread({
      onMessage: (message) => {
        if (message.type === 'progress') this.#progress = message
        else if (message.type === 'model') onModel(message)
      },
      onFailed: (reason) => {
        this.#thread = undefined
        if (now() - begunAt >= LONG_RUN_MS) this.#failures = 0
        this.#failures++
        this.#restarts++
        this.#notBefore = now() + FIRST_WAIT_MS * 2 ** (this.#failures - 1)
        logger.warn({ reason, failures: this.#failures }, 'training failed; statistics predict alone')
      }
    })
    logger.info({ rows: rows.length, goesOn: weights !== undefined }, 'training begins')
    this.#thread.post({ type: 'train', seed: seed(), cpuShare, weights, pastRows: this.#rows.length })
    return true
  }

  /** Passes on what is new, and some of what is left of the beginning. */
  feed(rows: readonly TrainingRow[], tasks: readonly FinishedTask[]): void {
    if (!this.running) return
    this.#rows.push(...rows)
    this.#tasks.push(...tasks)
    // A cluster that is faster than what is passed on loses the oldest of it.
    this.#rows.splice(0, Math.max(0, this.#rows.length - KEPT_ROWS))
    this.#tasks.splice(0, Math.max(0, this.#tasks.length - HISTORY_TASKS))
    if (this.#tasks.length > 0) this.#post({ type: 'history', tasks: this.#tasks.splice(0, BATCH) })
    if (this.#rows.length > 0) this.#post({ type: 'rows', rows: this.#rows.splice(0, BATCH) })
  }

  /** Asks for a model; it comes by `onModel`, once. */
  wantModel(): void {
    this.#post({ type: 'want-model' })
  }

  /** Rejects with OVERLOADED when there is no thread or it fails meanwhile. */
  async ask<R extends Request>(request: R): Promise<AnswerTo<R> | undefined> {
    return await this.#thread?.ask(request)
  }

  /** The reign is over, or models are frozen. */
  async end(): Promise<void> {
    const thread = this.#thread
    this.#thread = undefined
    this.#progress = undefined
    this.#failures = 0
    this.#notBefore = 0
    this.#rows = []
    this.#tasks = []
    await thread?.end()
  }

  #post(message: ToThread): void {
    this.#thread?.post(message)
  }
}

function spawn(options: OptimizerThreadOptions): OptimizerThread {
  return new OptimizerThread(options)
}
