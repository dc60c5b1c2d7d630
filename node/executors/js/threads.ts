/** Runs trusted handlers in threads of this process, one attempt a thread; threads are kept for the next attempt. */
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import type { DoneMessage, FromPool, HandlerEntry, JsAttempt, ToPool } from './protocol.ts'

interface Thread {
  readonly worker: Worker
  current: JsAttempt | undefined
  startedAt: number
  terminated: boolean
}

/** Takes the node's messages; answers go to `send`. */
export function createThreads(send: (message: FromPool) => void): (message: ToPool) => void {
  const idle: Thread[] = []
  const busy = new Map<number, Thread>()
  let handlers: readonly HandlerEntry[] = []

  const ended = (thread: Thread, why: string): void => {
    const at = idle.indexOf(thread)
    if (at >= 0) idle.splice(at, 1)
    const attempt = thread.current
    if (attempt === undefined) return
    busy.delete(attempt.token)
    thread.current = undefined
    send(thread.terminated ? doneOf(attempt, thread, 'terminated') : crashOf(attempt, thread, why))
  }
  const create = (): Thread => {
    const worker = new Worker(fileURLToPath(new URL(THREAD_MAIN, import.meta.url)))
    const thread: Thread = { worker, current: undefined, startedAt: 0, terminated: false }
    worker.postMessage({ type: 'handlers', handlers } satisfies ToPool)
    worker.on('message', (message: FromPool) => {
      if (message.type === 'done') {
        busy.delete(message.token)
        thread.current = undefined
        idle.push(thread)
      }
      send(message)
    })
    let error = 'its thread exited'
    worker.on('error', (cause: unknown) => {
      error = cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause)
    })
    worker.on('exit', () => {
      ended(thread, error)
    })
    return thread
  }
  return (message) => {
    switch (message.type) {
      case 'handlers':
        handlers = message.handlers
        return
      case 'run': {
        const thread = idle.pop() ?? create()
        thread.current = message.attempt
        thread.startedAt = Date.now()
        busy.set(message.attempt.token, thread)
        thread.worker.postMessage(message)
        return
      }
      case 'abort':
        busy.get(message.token)?.worker.postMessage(message)
        return
      case 'terminate': {
        const thread = busy.get(message.token)
        if (thread === undefined) return
        thread.terminated = true
        void thread.worker.terminate()
        return
      }
      case 'recall':
      case 'discover':
        return
    }
  }
}

/** Threads only ever run compiled, as this process does. */
const THREAD_MAIN = './thread-main.js'

function doneOf(attempt: JsAttempt, thread: Thread, outcome: 'terminated' | 'failed'): DoneMessage {
  const finishedAt = Date.now()
  return {
    type: 'done',
    token: attempt.token,
    outcome,
    result: new Uint8Array(0),
    error: undefined,
    startedAt: thread.startedAt,
    finishedAt,
    runMs: Math.max(0, finishedAt - thread.startedAt),
    aborted: outcome === 'terminated',
    residentBytes: process.memoryUsage.rss(),
    dirty: false
  }
}

function crashOf(attempt: JsAttempt, thread: Thread, why: string): DoneMessage {
  return { ...doneOf(attempt, thread, 'failed'), error: { code: 'CRASHED', message: why, retryable: true } }
}
