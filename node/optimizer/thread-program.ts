/**
 * What the optimizer thread does with the messages of its node: keeps its own copy of the history, answers requests, and
 * trains when told to. TensorFlow.js is loaded then and not before.
 *
 * 1. Requests are answered one at a time, in the order in which they came.
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
import { Slices } from './slices.ts'
import type { Training } from './training.ts'

const NEVER_WOKEN = new Int32Array(new SharedArrayBuffer(4))

/** The program; `send` tells the node. */
export function createThreadProgram(send: (message: FromThread) => void): (message: ToThread) => void {
  const history = new History(HISTORY_TASKS)
  const early: TrainingRow[] = []
  const now = (): number => performance.now()
  const cpuNow = threadCpuMs() ?? now
  let budget: CpuBudget | undefined
  let slices: Slices | undefined
  let training: Training | undefined
  let wanted = false
  const begin = async (options: Extract<ToThread, { type: 'train' }>): Promise<void> => {
    budget = createCpuBudget(options.cpuShare, now, cpuNow)
    slices = new Slices({ budget, now, cpuNow, block, other: () => training, alive })
    const before = cpuNow()
    const { COLD_TIMES, startTraining } = await import('./training.ts')
    budget.charge(COLD_TIMES * (cpuNow() - before))
    training = await startTraining(options, budget, cpuNow, send)
    training.add(early.splice(0))
    if (wanted) training.wantModel()
  }
  const alive = (): void => {
    send({ type: 'pong' })
  }
  const answer = async (request: Request): Promise<ReplayAnswer | Verdict> => {
    const before = cpuNow()
    const { answerJudge, answerReplay } = await import('./replays.ts')
    budget?.charge(cpuNow() - before)
    const work = (): ReplayAnswer | Verdict =>
      request.type === 'replay'
        ? answerReplay(history, request, slices)
        : answerJudge(history, request, slices)
    try {
      return slices === undefined ? work() : slices.run(work)
    } finally {
      training?.report()
    }
  }
  return (message) => {
    switch (message.type) {
      case 'ping':
        send({ type: 'pong' })
        return
      case 'history':
        for (const task of message.tasks) history.add(task)
        return
      case 'rows':
        if (training === undefined) early.push(...message.rows)
        else training.add(message.rows)
        return
      case 'want-model':
        wanted = true
        training?.wantModel()
        return
      case 'train':
        begin(message).catch(die)
        return
      case 'request':
        void answer(message.request).then(
          (value) => {
            send({ type: 'answer', id: message.id, value })
          },
          (error: unknown) => {
            const { code, message: text } = toAppError(error)
            send({ type: 'refused', id: message.id, code, message: text })
          }
        )
    }
  }
}

/** Nothing else can be done meanwhile: the work that waits is half-done. */
function block(ms: number): void {
  Atomics.wait(NEVER_WOKEN, 0, 0, ms)
}

/** Throws outside of any promise, so that the thread ends with this error. */
function die(error: unknown): void {
  setImmediate(() => {
    throw error instanceof Error ? error : new AppError('INTERNAL', String(error))
  })
}
