/**
 * Runs the attempts of a pool process one after the other. The node may hand over the next ones early, so that short
 * attempts need no round trip each; until it runs, an attempt can be taken back.
 */
import type { DoneMessage, FromPool, JsAttempt } from './protocol.ts'
import type { Runner } from './runner.ts'

interface Waiting {
  readonly attempt: JsAttempt
  readonly notAfter: number
}

export interface SerialRunner extends Runner {
  /** Gives back everything that has not begun. */
  recall(): void
  /** Attempts that wait for the one that runs. */
  readonly queued: number
}

/** `create` makes the runner that does the work; it gets the function to send with. */
export function createSerialRunner(
  send: (message: FromPool) => void,
  create: (send: (message: FromPool) => void) => Runner
): SerialRunner {
  let waiting: Waiting[] = []
  let running = false
  let spent = false
  const runner = create((message) => {
    if (message.type === 'done') running = false
    send(message)
    if (message.type !== 'done') return
    // The process is about to be killed for what it left behind: nothing else may begin in it.
    spent ||= message.dirty
    if (spent) recall()
    else next()
  })
  const next = (): void => {
    const first = waiting.shift()
    if (first === undefined) return
    running = true
    runner.run(first.attempt, first.notAfter)
  }
  const giveBack = (attempts: readonly Waiting[], aborted: boolean): void => {
    for (const { attempt } of attempts) send(notBegun(attempt.token, aborted))
  }
  const recall = (): void => {
    const recalled = waiting
    waiting = []
    giveBack(recalled, false)
  }
  return {
    get queued() {
      return waiting.length
    },
    setHandlers: (handlers) => {
      runner.setHandlers(handlers)
    },
    run: (attempt, notAfter) => {
      waiting.push({ attempt, notAfter })
      if (spent) recall()
      else if (!running) next()
    },
    abort: (token, reason) => {
      const aborted = waiting.filter(({ attempt }) => attempt.token === token)
      waiting = waiting.filter(({ attempt }) => attempt.token !== token)
      giveBack(aborted, true)
      if (aborted.length === 0) runner.abort(token, reason)
    },
    recall
  }
}

function notBegun(token: number, aborted: boolean): DoneMessage {
  const now = Date.now()
  return {
    type: 'done',
    token,
    outcome: aborted ? 'not-started' : 'recalled',
    result: new Uint8Array(0),
    error: undefined,
    startedAt: now,
    finishedAt: now,
    runMs: 0,
    aborted,
    residentBytes: 0,
    dirty: false
  }
}
