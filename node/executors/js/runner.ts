/**
 * Runs handlers, in a pool process or in one of its threads: loads the module, calls the handler, captures what it
 * writes, and turns what it returns or throws into a result or an error.
 *
 * 1. Each `run` is answered by exactly one `done`, unless the process or thread dies first.
 * 2. Output is told apart by attempt through the asynchronous context; what an ended attempt still writes is dropped.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { inspect } from 'node:util'
import { LIMITS } from '../../../base/limits.ts'
import { formatTaskId, taskId } from '../../../base/ids.ts'
import { KiB } from '../../../base/units.ts'
import type { TaskContext, TaskHandler } from '../../../client/task.ts'
import type { TaskError } from '../../../scheduler/types.ts'
import { handlerOf } from '../../handlers/exports.ts'
import { systemMonotonicMs } from '../../supervisor/system-monotonic.ts'
import type { ChildWatch } from './child-watch.ts'
import type { DoneMessage, FromPool, HandlerEntry, JsAttempt } from './protocol.ts'
import { unknownHandler } from './unknown-handler.ts'

const OUTPUT_CHUNK_BYTES = 64 * KiB
const MEMORY_SAMPLE_MS = 50
const NO_BYTES = new Uint8Array(0)

export interface Runner {
  setHandlers(handlers: readonly HandlerEntry[]): void
  run(attempt: JsAttempt, notAfter: number): void
  abort(token: number, reason: string): void
}

interface Run {
  readonly attempt: JsAttempt
  readonly controller: AbortController
  readonly startedAt: number
  readonly startedMono: number
  ended: boolean
}

type Answer = Pick<DoneMessage, 'outcome' | 'result' | 'error'>

/** A runner whose messages go to `send`. It takes over standard output and error of its process or thread. */
export function createRunner(send: (message: FromPool) => void, children: ChildWatch): Runner {
  const context = new AsyncLocalStorage<Run>()
  const runs = new Map<number, Run>()
  const resident = createMemorySampler()
  let handlers = new Map<string, HandlerEntry>()

  const output = (run: Run, stream: 'stdout' | 'stderr', bytes: Buffer): void => {
    if (run.ended) return
    for (let at = 0; at < bytes.length; at += OUTPUT_CHUNK_BYTES) {
      const chunk = bytes.subarray(at, at + OUTPUT_CHUNK_BYTES)
      send({ type: 'output', token: run.attempt.token, stream, bytes: chunk })
    }
  }
  capture('stdout', context, output)
  capture('stderr', context, output)

  const load = createLoader()
  const execute = async (run: Run): Promise<Answer> => {
    const { attempt } = run
    try {
      const entry = handlers.get(attempt.handler)
      if (entry === undefined) return failed(unknownHandler(attempt.handler))
      const handler = await load(entry)
      const value = await handler(parse(attempt.input), contextOf(run, output))
      return answer(value)
    } catch (error) {
      if (error instanceof Error) output(run, 'stderr', Buffer.from(`${error.stack ?? error.message}\n`))
      return failed(toTaskError(error))
    }
  }
  const finish = (run: Run, end: Answer): void => {
    run.ended = true
    runs.delete(run.attempt.token)
    send({
      type: 'done',
      token: run.attempt.token,
      ...end,
      startedAt: run.startedAt,
      finishedAt: Date.now(),
      runMs: systemMonotonicMs() - run.startedMono,
      aborted: run.controller.signal.aborted,
      residentBytes: resident(),
      dirty: children.takeLeft()
    })
  }
  return {
    setHandlers: (entries) => {
      handlers = new Map(entries.map((entry) => [entry.name, entry]))
      // Loading now keeps it out of the first attempt's run time. What fails here fails there, with its reason.
      for (const entry of entries) load(entry).catch(() => undefined)
    },
    run: (attempt, notAfter) => {
      const startedMono = systemMonotonicMs()
      const controller = new AbortController()
      const run: Run = { attempt, controller, startedAt: Date.now(), startedMono, ended: false }
      if (startedMono >= notAfter) {
        finish(run, { outcome: 'not-started', result: NO_BYTES, error: undefined })
        return
      }
      runs.set(attempt.token, run)
      send({ type: 'started', token: attempt.token, startedAt: run.startedAt })
      void context
        .run(run, () => execute(run))
        .then((end) => {
          finish(run, end)
        })
    },
    abort: (token, reason) => {
      runs.get(token)?.controller.abort(new Error(`the attempt was told to stop: ${reason}`))
    }
  }
}

/** Imports a module once and finds the handler in it. */
function createLoader(): (entry: HandlerEntry) => Promise<TaskHandler> {
  const modules = new Map<string, Promise<Readonly<Record<string, unknown>>>>()
  return async ({ url, exportName }) => {
    const module = modules.get(url) ?? (import(url) as Promise<Readonly<Record<string, unknown>>>)
    modules.set(url, module)
    const handler = handlerOf((await module)[exportName])
    if (handler === undefined) throw new Error(`${url} no longer exports ${exportName}`)
    return handler
  }
}

function contextOf(run: Run, output: (run: Run, stream: 'stdout', bytes: Buffer) => void): TaskContext {
  const { attempt, controller } = run
  return {
    taskId: formatTaskId(taskId(attempt.taskId)),
    name: attempt.name,
    attempt: attempt.attempt,
    fencingToken: attempt.token,
    signal: controller.signal,
    needs: Object.fromEntries(attempt.needs.map(([name, bytes]) => [name, parse(bytes)])),
    log: (...values) => {
      const line = values.map((value) => (typeof value === 'string' ? value : inspect(value))).join(' ')
      output(run, 'stdout', Buffer.from(`${line}\n`))
    }
  }
}

function capture(
  stream: 'stdout' | 'stderr',
  context: AsyncLocalStorage<Run>,
  output: (run: Run, stream: 'stdout' | 'stderr', bytes: Buffer) => void
): void {
  const target = process[stream]
  const original = target.write.bind(target)
  const write = (
    chunk: string | Uint8Array,
    encoding?: BufferEncoding | ((error?: Error | null) => void),
    callback?: (error?: Error | null) => void
  ): boolean => {
    const run = context.getStore()
    const done = typeof encoding === 'function' ? encoding : callback
    const name = typeof encoding === 'string' ? encoding : undefined
    if (run === undefined) return original(chunk, name, done)
    output(run, stream, typeof chunk === 'string' ? Buffer.from(chunk, name) : Buffer.from(chunk))
    if (done !== undefined) process.nextTick(done)
    return true
  }
  target.write = write
}

function answer(value: unknown): Answer {
  let json: string | undefined
  try {
    json = stringify(value)
  } catch (error) {
    const message = `the result is not JSON: ${error instanceof Error ? error.message : String(error)}`
    return failed({ code: 'RESULT_INVALID', message, retryable: false })
  }
  const result = json === undefined ? NO_BYTES : Buffer.from(json)
  if (result.length > LIMITS.taskResultBytes) {
    const message = `the result has ${result.length} bytes, at most ${LIMITS.taskResultBytes} are kept`
    return failed({ code: 'RESULT_TOO_LARGE', message, retryable: false })
  }
  return { outcome: 'succeeded', result, error: undefined }
}

/** `JSON.stringify` as it is: undefined for what JSON has no word for. */
function stringify(value: unknown): string | undefined {
  return JSON.stringify(value)
}

function failed(error: TaskError): Answer {
  return { outcome: 'failed', result: NO_BYTES, error }
}

function toTaskError(thrown: unknown): TaskError {
  if (!(thrown instanceof Error)) return { code: 'ERROR', message: clip(inspect(thrown)), retryable: true }
  const { code, retryable } = thrown as { code?: unknown; retryable?: unknown }
  const name = typeof code === 'string' && code !== '' ? code : thrown.name
  // `TerminalError` may come from another copy of the package, so it is known by its property, not its class.
  return {
    code: name.slice(0, LIMITS.nameLength),
    message: clip(thrown.message),
    retryable: retryable !== false
  }
}

function clip(text: string): string {
  const bytes = Buffer.from(text)
  if (bytes.length <= LIMITS.errorMessageBytes) return text
  return new TextDecoder().decode(bytes.subarray(0, LIMITS.errorMessageBytes - 4)).replace(/\uFFFD$/, '')
}

function parse(bytes: Uint8Array): unknown {
  return bytes.length === 0
    ? undefined
    : JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString())
}

/** Resident size of the process, read at most every 50 ms: it costs more than a short attempt. */
function createMemorySampler(): () => number {
  let sampledAt = -Infinity
  let bytes = 0
  return () => {
    const now = systemMonotonicMs()
    if (now - sampledAt >= MEMORY_SAMPLE_MS) {
      sampledAt = now
      bytes = process.memoryUsage.rss()
    }
    return bytes
  }
}
