/**
 * What the optimizer thread does with the messages of its node: keeps its own copy of the history, answers requests, and
 * trains when told to. TensorFlow.js is loaded then and not before.
 *
 * 1. Requests are answered one at a time, each in one step; training goes on in between.
 * 2. Requests do not wait for the budget of training; what they take is counted in it (`cpu-budget.ts`).
 * 3. An error in training ends the thread, and its owner learns of it; an error in a request is an answer.
 */
import { AppError, toAppError } from '../../base/errors.ts'
import type { TrainingRow } from '../../optimizer/estimator/rows.ts'
import { History } from '../../optimizer/guard/history.ts'
import type { Verdict } from '../../optimizer/guard/promotion.ts'
import { HISTORY_TASKS } from './bounds.ts'
import { createCpuBudget, threadCpuMs, type CpuBudget } from './cpu-budget.ts'
import type { FromThread, ReplayAnswer, Request, ToThread } from './protocol.ts'
import type { Training } from './training.ts'

/** The program; `send` tells the node. */
export function createThreadProgram(send: (message: FromThread) => void): (message: ToThread) => void {
  const history = new History(HISTORY_TASKS)
  const early: TrainingRow[] = []
  const now = (): number => performance.now()
  const cpuNow = threadCpuMs() ?? now
  let budget: CpuBudget | undefined
  let training: Training | undefined
  let wanted = false
  const begin = async (options: Extract<ToThread, { type: 'train' }>): Promise<void> => {
    budget = createCpuBudget(options.cpuShare, now, cpuNow)
    const before = cpuNow()
    const { COLD_TIMES, startTraining } = await import('./training.ts')
    budget.charge(COLD_TIMES * (cpuNow() - before))
    training = await startTraining(options, budget, cpuNow, send)
    training.add(early.splice(0))
    if (wanted) training.wantModel()
  }
  const answer = async (request: Request): Promise<ReplayAnswer | Verdict> => {
    const { answerJudge, answerReplay } = await import('./replays.ts')
    const before = cpuNow()
    try {
      return request.type === 'replay' ? answerReplay(history, request) : answerJudge(history, request)
    } finally {
      budget?.count(cpuNow() - before)
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

/** Throws outside of any promise, so that the thread ends with this error. */
function die(error: unknown): void {
  setImmediate(() => {
    throw error instanceof Error ? error : new AppError('INTERNAL', String(error))
  })
}
