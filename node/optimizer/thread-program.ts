/**
 * What the optimizer thread does with the messages of its node: keeps its own copy of the history, answers requests, and
 * trains when told to. TensorFlow.js is loaded then and not before.
 *
 * 1. Requests are answered one at a time, in the order in which they came. While one waits for its budget, other messages are taken.
 * 2. One budget decides for all that it does (`cpu-budget.ts`): loading is paid for, training steps when there is room, and a replay or
 *    judgement is done in slices that wait for room, with training in between (`slices.ts`). Without training there is no budget, and
 *    requests are answered at once.
 * 3. An error in training ends the thread, and its owner learns of it; an error in a request is an answer.
 */
import { AppError, toAppError } from '../../base/errors.ts'
import type { TrainingRow } from '../../optimizer/estimator/rows.ts'
import { History } from '../../optimizer/guard/history.ts'
import type { Verdict } from '../../optimizer/guard/promotion.ts'
import { HISTORY_TASKS } from './bounds.ts'
import { createCpuBudget, threadCpuMs, type CpuBudget } from './cpu-budget.ts'
import type { FromThread, ReplayAnswer, Request, ToThread } from './protocol.ts'
import { OtherWorkFailed, Slices } from './slices.ts'
import type { Training } from './training.ts'

const NEVER_WOKEN = new Int32Array(new SharedArrayBuffer(4))

/** The program; `send` tells the node, `receive` gives its next message where one is there already. */
export function createThreadProgram(
  send: (message: FromThread) => void,
  receive: () => ToThread | undefined = () => undefined
): (message: ToThread) => void {
  const program = new ThreadProgram(send, receive)
  return (message) => {
    program.take(message)
  }
}

class ThreadProgram {
  readonly #send: (message: FromThread) => void
  readonly #receive: () => ToThread | undefined
  readonly #history = new History(HISTORY_TASKS)
  /** Rows that came before training began. */
  readonly #early: TrainingRow[] = []
  readonly #now = (): number => performance.now()
  readonly #cpuNow = threadCpuMs() ?? this.#now
  #budget: CpuBudget | undefined
  #slices: Slices | undefined
  #training: Training | undefined
  #isWanted = false
  /** Whether the code of replays was loaded. */
  #canReplay = false

  constructor(send: (message: FromThread) => void, receive: () => ToThread | undefined) {
    this.#send = send
    this.#receive = receive
  }

  take(message: ToThread): void {
    switch (message.type) {
      case 'ping':
        this.#alive()
        return
      case 'history':
        for (const task of message.tasks) this.#history.add(task)
        return
      case 'rows':
        if (this.#training === undefined) this.#early.push(...message.rows)
        else this.#training.add(message.rows)
        return
      case 'want-model':
        this.#isWanted = true
        this.#training?.wantModel()
        return
      case 'train':
        this.#begin(message).catch(die)
        return
      case 'request':
        this.#reply(message)
    }
  }

  async #begin(options: Extract<ToThread, { type: 'train' }>): Promise<void> {
    const budget = createCpuBudget(options.cpuShare, this.#now, this.#cpuNow)
    this.#budget = budget
    this.#slices = new Slices({
      budget,
      now: this.#now,
      cpuNow: this.#cpuNow,
      block: (ms) => {
        this.#block(ms)
      },
      alive: () => {
        this.#alive()
      },
      other: () => this.#training
    })
    const before = this.#cpuNow()
    const { COLD_TIMES, startTraining } = await import('./training.ts')
    budget.charge(COLD_TIMES * (this.#cpuNow() - before))
    this.#training = await startTraining(options, budget, this.#cpuNow, this.#send)
    this.#training.add(this.#early.splice(0))
    if (this.#isWanted) this.#training.wantModel()
  }

  #reply({ id, request }: Extract<ToThread, { type: 'request' }>): void {
    void this.#answer(request).then(
      (value) => {
        this.#send({ type: 'answer', id, value })
      },
      (error: unknown) => {
        const { code, message } = toAppError(error)
        this.#send({ type: 'refused', id, code, message })
      }
    )
  }

  async #answer(request: Request): Promise<ReplayAnswer | Verdict> {
    const before = this.#cpuNow()
    const { answerJudge, answerReplay } = await import('./replays.ts')
    // Later there was nothing to load, but maybe a replay that paid for itself.
    if (!this.#canReplay) this.#budget?.charge(this.#cpuNow() - before)
    this.#canReplay = true
    const slices = this.#slices
    const work = (): ReplayAnswer | Verdict =>
      request.type === 'replay'
        ? answerReplay(this.#history, request, slices)
        : answerJudge(this.#history, request, slices)
    try {
      return slices === undefined ? work() : slices.run(work)
    } catch (error) {
      if (error instanceof OtherWorkFailed) die(error.cause)
      throw error
    } finally {
      this.#training?.report()
    }
  }

  #alive(): void {
    this.#send({ type: 'pong' })
  }

  /** The work that waits is half-done, so nothing else can be done meanwhile but to take messages, which would pile up. */
  #block(ms: number): void {
    Atomics.wait(NEVER_WOKEN, 0, 0, ms)
    for (let message = this.#receive(); message !== undefined; message = this.#receive()) this.take(message)
  }
}

/** Throws outside of any promise, so that the thread ends with this error. */
function die(error: unknown): void {
  setImmediate(() => {
    throw error instanceof Error ? error : new AppError('INTERNAL', String(error))
  })
}
