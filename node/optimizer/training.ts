/**
 * Training in the optimizer thread: rows come in, models go out, within the budget. Rows are learned from in the order in
 * which they came, a step's worth at a time; who falls behind the cluster trains later, not more. A step begins when its time has come,
 * or while a replay waits for its own (`slices.ts`); whether it may is asked again then.
 *
 * A model is offered as soon as one is wanted and more was learned since the last, the first one once the past was: a cluster that
 * is always ahead of its training gets models, too.
 *
 * It begins slowly: loading is paid for before the first step, and while V8 compiles on threads of its own, work is paid for twice.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { createRng } from '../../base/prng.ts'
import type { TrainingRow } from '../../optimizer/estimator/rows.ts'
import { ROWS_PER_STEP, Trainer, type Evaluation } from '../../optimizer/estimator/trainer.ts'
import { decodeModel, encodeModel } from '../../optimizer/estimator/weights.ts'
import { useFastestBackend } from './backend.ts'
import type { CpuBudget } from './cpu-budget.ts'
import type { FromThread, ToThread } from './protocol.ts'
import type { OtherWork } from './slices.ts'

export interface Training extends OtherWork {
  add(rows: readonly TrainingRow[]): void
  /** A model is wanted; it is sent once it is worth it. */
  wantModel(): void
  /** Says what training has come to, at once. */
  report(): void
}

/** Rows between two models, so that the second can be better than the first. */
const ROWS_PER_MODEL = 4 * ROWS_PER_STEP
/** Below so many judged rows an evaluation says nothing; the guard judges anyway. */
const FEWEST_JUDGED = 128
/** Rows that wait: more than a node keeps, so the oldest go first when training cannot follow. */
const MOST_WAITING = 16_384
const PROGRESS_MS = 1000
/** Measured: the process uses 1.75 times what this thread does for its first steps, and 1.05 times from some 40 on. */
const COLD_STEPS = 40
export const COLD_TIMES = 2

export async function startTraining(
  options: Extract<ToThread, { type: 'train' }>,
  budget: CpuBudget,
  cpuNow: () => number,
  send: (message: FromThread) => void
): Promise<Training> {
  const { seed, weights, pastRows } = options
  while (budget.waitMs > 0) await sleep(budget.waitMs)
  const before = cpuNow()
  const backend = await useFastestBackend()
  budget.charge(COLD_TIMES * (cpuNow() - before))
  const trainer = new Trainer({
    rng: createRng(seed),
    ...(weights === undefined ? {} : { weights: decodeModel(weights).weights, knownRows: pastRows })
  })
  return new BudgetedTraining({ trainer, budget, backend, send, pastRows })
}

interface Parts {
  readonly trainer: Trainer
  readonly budget: CpuBudget
  readonly backend: string
  readonly send: (message: FromThread) => void
  readonly pastRows: number
}

class BudgetedTraining implements Training {
  readonly #trainer: Trainer
  readonly #budget: CpuBudget
  readonly #backend: string
  readonly #send: (message: FromThread) => void
  /** Rows of the past that were not learned from yet. */
  #past: number
  #waiting: TrainingRow[] = []
  #timer: NodeJS.Timeout | undefined
  #hasWork = false
  #wanted = false
  #stepped = 0
  #rowsAtModel = 0
  #toldAt = -Infinity

  constructor({ trainer, budget, backend, send, pastRows }: Parts) {
    this.#trainer = trainer
    this.#budget = budget
    this.#backend = backend
    this.#send = send
    this.#past = pastRows
    this.#tell()
  }

  add(rows: readonly TrainingRow[]): void {
    this.#waiting.push(...rows)
    this.#waiting.splice(0, Math.max(0, this.#waiting.length - MOST_WAITING))
    this.#arm()
  }

  wantModel(): void {
    this.#wanted = true
    this.#arm()
  }

  report(): void {
    this.#toldAt = -Infinity
    this.#tell()
  }

  get waitMs(): number | undefined {
    return this.#hasWork ? this.#budget.waitMs : undefined
  }

  work(): number {
    const ms = this.#budget.spend(
      () => {
        const rows = this.#waiting.splice(0, ROWS_PER_STEP)
        for (const row of rows) this.#trainer.add(row)
        this.#past -= rows.length
        if (this.#trainer.step() !== undefined) this.#stepped++
        this.#hasWork = this.#waiting.length > 0 || this.#trainer.isDue
        this.#offer()
      },
      this.#stepped < COLD_STEPS ? COLD_TIMES : 1
    )
    this.#tell()
    return ms
  }

  #arm(): void {
    this.#hasWork = true
    this.#timer ??= setTimeout(this.#onTime, Math.ceil(this.#budget.waitMs))
  }

  readonly #onTime = (): void => {
    this.#timer = undefined
    // A replay may have been made meanwhile, and what was to be done in its pauses.
    if (this.waitMs === 0) this.work()
    if (this.#hasWork) this.#arm()
  }

  #offer(): void {
    if (!this.#wanted || this.#past > 0 || this.#trainer.rows < this.#rowsAtModel + ROWS_PER_MODEL) return
    const evaluation = this.#trainer.evaluation()
    if (evaluation.rows >= FEWEST_JUDGED && evaluation.loss >= evaluation.statisticsLoss) return
    this.#wanted = false
    this.#rowsAtModel = this.#trainer.rows
    this.#send({
      type: 'model',
      weights: encodeModel(this.#trainer.weights()),
      trainedOn: this.#trainer.rows,
      evaluation: { ...shown(evaluation), backend: this.#backend }
    })
  }

  #tell(): void {
    const now = performance.now()
    if (now - this.#toldAt < PROGRESS_MS && this.#hasWork) return
    this.#toldAt = now
    const { steps } = this.#trainer.evaluation()
    this.#send({
      type: 'progress',
      backend: this.#backend,
      steps,
      rows: this.#trainer.rows,
      cpuShare: this.#budget.share,
      peakCpuShare: this.#budget.peakShare
    })
  }
}

/** Before enough rows are judged the losses mean nothing, and an infinite bound is no JSON. */
function shown(evaluation: Evaluation): Readonly<Record<string, number>> {
  const { rows, steps, trainedOn, loss, statisticsLoss, gainLow } = evaluation
  if (rows < FEWEST_JUDGED) return { judged: rows, steps, trainedOn }
  return { judged: rows, steps, trainedOn, loss, statisticsLoss, gainLow }
}
