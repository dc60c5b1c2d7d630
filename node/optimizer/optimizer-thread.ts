/**
 * A thread for what would hold up the node's turns: training and replays. This is its handle in the node.
 *
 * 1. A thread that throws, runs out of its memory or says nothing for `hangMs` is ended and has failed, once; whoever asked
 *    it something is told. What becomes of that is for the owner to decide; the node goes on without.
 * 2. It does not keep the process alive.
 */
import { Worker } from 'node:worker_threads'
import { AppError } from '../../base/errors.ts'
import { MiB, second } from '../../base/units.ts'
import { entryPoint } from '../supervisor/entry.ts'
import type { AnswerTo, FromThread, Request, ToThread } from './protocol.ts'

export interface OptimizerThreadOptions {
  /** Progress and models; answers are given to who asked. */
  readonly onMessage?: (message: FromThread) => void
  /** The thread failed and has ended. Called once, and not after `end`. */
  readonly onFailed?: (reason: string) => void
  /** A thread that says nothing for so long hangs. Default 60 s: a replay without a budget is one step. */
  readonly hangMs?: number
  /** Another program than the built one, for tests. */
  readonly entry?: string | URL
}

const HANG_MS = 60 * second
/** Most of its heap. TensorFlow.js keeps its tensors outside of it. */
const HEAP_BYTES = 256 * MiB

interface Waiting {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: AppError) => void
}

export class OptimizerThread {
  readonly #options: OptimizerThreadOptions
  readonly #worker: Worker
  readonly #waiting = new Map<number, Waiting>()
  readonly #watchdog: NodeJS.Timeout
  #lastId = 0
  #heard = true
  #over = false

  constructor(options: OptimizerThreadOptions = {}) {
    this.#options = options
    this.#worker = new Worker(options.entry ?? entryPoint('node/optimizer/thread-main'), {
      name: 'optimizer',
      resourceLimits: { maxOldGenerationSizeMb: HEAP_BYTES / MiB }
    })
    this.#worker.unref()
    this.#worker.on('message', (message: FromThread) => {
      this.#received(message)
    })
    this.#worker.once('error', (error: unknown) => {
      this.#fail(error instanceof Error ? `${error.name}: ${error.message}` : String(error))
    })
    this.#worker.once('exit', () => {
      this.#fail('it exited')
    })
    this.#watchdog = setInterval(() => {
      if (!this.#heard) this.#fail('it hangs')
      this.#heard = false
      this.post({ type: 'ping' })
    }, options.hangMs ?? HANG_MS)
    this.#watchdog.unref()
  }

  post(message: ToThread): void {
    if (!this.#over) this.#worker.postMessage(message)
  }

  /** Rejects with OVERLOADED when the thread fails meanwhile, INVALID_REQUEST when it cannot answer. */
  ask<R extends Request>(request: R): Promise<AnswerTo<R>> {
    if (this.#over) return Promise.reject(gone('it has ended'))
    const id = ++this.#lastId
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve: resolve as (value: unknown) => void, reject })
      this.post({ type: 'request', id, request })
    })
  }

  /** Ends it, whatever it is at. */
  async end(): Promise<void> {
    this.#finish('it was ended')
    await this.#worker.terminate()
  }

  #received(message: FromThread): void {
    this.#heard = true
    if (message.type === 'answer' || message.type === 'refused') {
      const waiting = this.#waiting.get(message.id)
      this.#waiting.delete(message.id)
      if (message.type === 'answer') waiting?.resolve(message.value)
      else waiting?.reject(new AppError(message.code, message.message))
    } else if (message.type !== 'pong' && !this.#over) {
      this.#options.onMessage?.(message)
    }
  }

  #fail(reason: string): void {
    if (this.#over) return
    this.#finish(reason)
    void this.#worker.terminate()
    this.#options.onFailed?.(reason)
  }

  #finish(reason: string): void {
    this.#over = true
    clearInterval(this.#watchdog)
    for (const { reject } of this.#waiting.values()) reject(gone(reason))
    this.#waiting.clear()
  }
}

function gone(reason: string): AppError {
  return new AppError('OVERLOADED', `the optimizer thread cannot answer: ${reason}`)
}
