/**
 * A thread that does nothing but synchronous writes, so that they wait for nothing but the disk: libuv's pool serves
 * dns, crypto and zlib of the whole process too.
 *
 * It sleeps on a shared word, not in an event loop: waking it costs one futex call. Requests and answers travel over a
 * message port; memory from `allocateShared` is passed without a copy. Writes are done in the order of the calls.
 */
import { MessageChannel, Worker } from 'node:worker_threads'
import type { MessagePort } from 'node:worker_threads'

interface WriteRequest {
  readonly fd: number
  readonly offset: number
  readonly bytes: Uint8Array
}

/** What the thread answers a request with, in order: nothing, or the error's message and code. */
type WriteAnswer = { readonly message: string; readonly code: string } | undefined

interface ThreadData {
  readonly port: MessagePort
  /** Counts requests that were posted. */
  readonly posted: Int32Array
}

/** Memory that the thread reads without a copy. */
export function allocateShared(sizeBytes: number): Uint8Array {
  return new Uint8Array(new SharedArrayBuffer(sizeBytes))
}

/** The thread, as its process sees it. It keeps the process alive only while a write is outstanding. */
export class WriteThread {
  readonly #worker: Worker
  readonly #port: MessagePort
  readonly #posted = new Int32Array(new SharedArrayBuffer(4))
  readonly #waiting: { readonly resolve: () => void; readonly reject: (error: Error) => void }[] = []
  #ended: Error | undefined

  constructor() {
    const { port1, port2 } = new MessageChannel()
    this.#port = port1
    // The function's own text, so that it runs alike from sources and from a build, whatever their file names.
    this.#worker = new Worker(`(${serveWrites.toString()})()`, {
      eval: true,
      name: 'wal-writes',
      workerData: { port: port2, posted: this.#posted } satisfies ThreadData,
      transferList: [port2]
    })
    this.#worker.unref()
    this.#worker.once('error', (error) => {
      this.#end(error instanceof Error ? error : new Error(String(error)))
    })
    this.#worker.once('exit', () => {
      this.#end(new Error('the write thread ended'))
    })
    port1.on('message', (answer: WriteAnswer) => {
      this.#settle(answer)
    })
    port1.unref()
  }

  /** Writes all of `bytes` at `offset`; the descriptor was opened with O_DSYNC. */
  write(fd: number, offset: number, bytes: Uint8Array): Promise<void> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended)
    return new Promise((resolve, reject) => {
      if (this.#waiting.push({ resolve, reject }) === 1) this.#port.ref()
      this.#port.postMessage({ fd, offset, bytes } satisfies WriteRequest)
      Atomics.add(this.#posted, 0, 1)
      Atomics.notify(this.#posted, 0)
    })
  }

  async close(): Promise<void> {
    this.#ended ??= new Error('the write thread was closed')
    await this.#worker.terminate()
    this.#port.close()
  }

  #settle(answer: WriteAnswer): void {
    const first = this.#waiting.shift()
    if (this.#waiting.length === 0) this.#port.unref()
    if (answer === undefined) first?.resolve()
    else first?.reject(Object.assign(new Error(answer.message), { code: answer.code }))
  }

  #end(error: Error): void {
    this.#ended ??= error
    for (const { reject } of this.#waiting.splice(0)) reject(error)
    this.#port.unref()
  }
}

/** The thread's whole program. It is passed as text, so it refers to nothing outside itself but types. */
function serveWrites(): void {
  const fs = process.getBuiltinModule('node:fs')
  const threads = process.getBuiltinModule('node:worker_threads')
  const { port, posted } = threads.workerData as ThreadData
  const serve = ({ fd, offset, bytes }: WriteRequest): WriteAnswer => {
    try {
      for (let done = 0; done < bytes.length;) {
        done += fs.writeSync(fd, bytes, done, bytes.length - done, offset + done)
      }
      return undefined
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
      return { message: String(error), code }
    }
  }
  for (;;) {
    const seen = Atomics.load(posted, 0)
    for (;;) {
      const request = threads.receiveMessageOnPort(port) as { readonly message: WriteRequest } | undefined
      if (request === undefined) break
      port.postMessage(serve(request.message))
    }
    Atomics.wait(posted, 0, seen)
  }
}
