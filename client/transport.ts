/**
 * Requests with failover and retries, over `fetch` alone, so that it runs in browsers too.
 *
 * 1. A request that may be repeated is: after connection errors and timeouts at the next URL, after 429 and 503 when the
 *    node's `Retry-After` and the back-off (full jitter) have passed.
 * 2. A request that may not (a submission without an idempotency key) is sent once. Where a connection could not even be made
 *    nothing was sent, so the next URL is asked; browsers do not tell, so there it is not.
 * 3. One that costs each node much is asked of each URL once, and of no other after a timeout.
 * 4. The URL that answered last is asked first.
 * 5. What a node said is worth more than that another could not be reached: when tries run out, it is what is thrown, unless something may
 *    have been sent since whose fate nobody knows.
 */
import { HEADERS } from '../base/wire/headers.ts'
import { DtssError, errorOfReply } from './errors.ts'

export interface TransportOptions {
  /** Base URLs of nodes, at least one. */
  readonly urls: readonly string[]
  readonly fetch: typeof fetch
  /** For one try; the time that the request itself asks the node to wait comes on top. */
  readonly timeoutMs: number
  /** Tries after the first. */
  readonly retries: number
  /** Upper bound of the first delay; doubles with each retry up to `maxDelayMs`. */
  readonly baseDelayMs: number
  readonly maxDelayMs: number
  readonly headers: Readonly<Record<string, string>>
  /** Told before a failed request is sent again, `triedMs` after it was sent first. */
  readonly onRetry: (error: DtssError, triedMs: number) => void
}

export interface Request {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** With its query. */
  readonly path: string
  readonly body?: string
  readonly headers?: Readonly<Record<string, string>>
  /** Whether a second delivery does no harm; `elsewhere`: none but what it costs (rule 3). */
  readonly repeatable: boolean | 'elsewhere'
  /** How long the node was asked to wait before it answers. */
  readonly waitMs?: number
  readonly signal?: AbortSignal | undefined
}

export class Transport {
  readonly #options: TransportOptions
  #current = 0
  /** The highest log index that any reply has shown. */
  appliedIndex = 0

  constructor(options: TransportOptions) {
    this.#options = options
  }

  /** The JSON of a successful reply. Throws `DtssError`, or the signal's reason. */
  async json(request: Request): Promise<unknown> {
    return this.#send(request, (response) => response.json())
  }

  /** A successful reply whose body is still to be read: the timeout ends with its headers. */
  async stream(request: Request): Promise<Response> {
    return this.#send(request, (response) => response)
  }

  async #send<T>(request: Request, read: (response: Response) => T | Promise<T>): Promise<T> {
    const { urls, retries, onRetry } = this.#options
    const begunAt = performance.now()
    const { repeatable } = request
    const tries = repeatable === true ? Math.max(retries, urls.length - 1) + 1 : urls.length
    let said: DtssError | undefined
    for (let round = 1; ; round += 1) {
      const reply = await this.#try(request, read)
      if (!(reply instanceof DtssError)) return reply.value
      const error = reply
      if (error.code !== 'UNREACHABLE') said = error
      else if (!wasNotSent(error)) said = undefined
      if (round >= tries || !mayRepeat(error, repeatable)) throw said ?? error
      onRetry(error, performance.now() - begunAt)
      this.#current = (this.#current + 1) % urls.length
      // The other nodes are asked at once; only when all have failed is there reason to wait.
      if (error.code !== 'UNREACHABLE' || round >= urls.length)
        await this.#pause(error, round, request.signal)
    }
  }

  /** One try: the reply, or why it failed. */
  async #try<T>(
    request: Request,
    read: (response: Response) => T | Promise<T>
  ): Promise<{ readonly value: T } | DtssError> {
    const { signal } = request
    signal?.throwIfAborted()
    const url = new URL(request.path, this.#options.urls[this.#current])
    const deadline = new AbortController()
    const timer = setTimeout(
      () => {
        deadline.abort(new Error(`no reply within ${this.#options.timeoutMs + (request.waitMs ?? 0)} ms`))
      },
      this.#options.timeoutMs + (request.waitMs ?? 0)
    )
    try {
      const response = await this.#options.fetch(url, {
        method: request.method,
        headers: {
          ...this.#options.headers,
          ...(request.body === undefined ? {} : { 'content-type': 'application/json' }),
          ...request.headers
        },
        signal: signal === undefined ? deadline.signal : AbortSignal.any([signal, deadline.signal]),
        ...(request.body === undefined ? {} : { body: request.body })
      })
      this.appliedIndex = Math.max(this.appliedIndex, Number(response.headers.get(HEADERS.appliedIndex) ?? 0))
      if (!response.ok) return await withRetryAfter(response)
      // Read within the timeout: a node that dies in the middle of its reply is as good as unreachable.
      return { value: await read(response) }
    } catch (cause) {
      signal?.throwIfAborted()
      const error = new DtssError(`${url.origin}: ${reasonOf(cause)}`, {
        code: 'UNREACHABLE',
        status: 0,
        retryable: true,
        cause
      })
      if (deadline.signal.aborted) timedOut.add(error)
      return error
    } finally {
      clearTimeout(timer)
    }
  }

  async #pause(error: DtssError, round: number, signal: AbortSignal | undefined): Promise<void> {
    const { baseDelayMs, maxDelayMs } = this.#options
    const jitterMs = Math.random() * Math.min(maxDelayMs, baseDelayMs * 2 ** (round - 1))
    await delay(jitterMs + (retryAfterMs.get(error) ?? 0), signal)
  }
}

/** Resolves after `ms`; rejects with the signal's reason when it aborts before. */
export function delay(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      clearTimeout(timer)
      reject(signal?.reason as Error)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    }, ms)
    signal?.addEventListener('abort', onAbort, { once: true })
    if (signal?.aborted === true) onAbort()
  })
}

/** How long the node asked to wait, by the error of its reply. */
const retryAfterMs = new WeakMap<DtssError, number>()

async function withRetryAfter(response: Response): Promise<DtssError> {
  const error = await errorOfReply(response)
  const seconds = Number(response.headers.get('retry-after'))
  if (Number.isFinite(seconds) && seconds > 0) retryAfterMs.set(error, seconds * 1000)
  return error
}

/** Errors of requests to which there was no reply in time. */
const timedOut = new WeakSet<DtssError>()

function mayRepeat(error: DtssError, repeatable: Request['repeatable']): boolean {
  if (repeatable === false) return wasNotSent(error)
  if (repeatable === 'elsewhere' && timedOut.has(error)) return false
  const { code, status } = error
  return code === 'UNREACHABLE' || status === 429 || status === 503 || code === 'IDEMPOTENCY_IN_FLIGHT'
}

/** What Node says when there was no connection to send anything over. */
const NO_CONNECTION: ReadonlySet<unknown> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'UND_ERR_CONNECT_TIMEOUT'
])

/** Whether the request cannot have reached anybody. */
function wasNotSent({ code, cause }: DtssError): boolean {
  return code === 'UNREACHABLE' && lacksConnection(cause)
}

function lacksConnection(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  if (NO_CONNECTION.has((error as { code?: unknown }).code)) return true
  // A name with several addresses fails with an error for each.
  if (error instanceof AggregateError) return error.errors.length > 0 && error.errors.every(lacksConnection)
  return lacksConnection(error.cause)
}

/** `fetch` hides the reason of a failure in causes. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (error instanceof AggregateError && error.errors.length > 0) return reasonOf(error.errors[0])
  return error.cause === undefined ? error.message : reasonOf(error.cause)
}
