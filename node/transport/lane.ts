/**
 * One connection that this node dials to a member, with one stream per channel it carries. Two lanes lead to a peer:
 * `control` (liveness, forward) and `bulk` (append, snapshots), so that bulk fills the buffers of another TCP connection than
 * the one that liveness needs. Each node dials its own lanes, so two that dial each other at once never share or race.
 *
 * 1. All streams of a lane are greeted before it is up, and it goes down as a whole: connection aborted, queues dropped.
 * 2. Frames are queued while the lane connects, but not while it waits after a failure: nothing stale is sent in bulk later.
 * 3. At most one attempt to connect or one wait is under way.
 */
import type { Connection } from '@libp2p/interface'
import type { Channel } from '../../runtime/ports/transport.ts'
import { abort } from './abort.ts'
import type { Backoff } from './backoff.ts'
import { createFrameSocket } from './frame-socket.ts'
import type { FrameSocket } from './frame-socket.ts'
import { greet, MismatchError } from './greeting.ts'
import type { Hello } from './hello.ts'
import type { Outbox } from './outbox.ts'

export type LaneState = 'idle' | 'connecting' | 'up' | 'waiting' | 'closed'

export interface LaneOptions {
  readonly channels: readonly Channel[]
  /** Whether it connects again by itself; otherwise when next asked to. */
  readonly eager: boolean
  readonly outboxes: ReadonlyMap<Channel, Outbox>
  readonly backoff: Backoff
  /** Wait after a mismatch, which no retry mends. */
  readonly mismatchWaitMs: number
  /** A connection that lived this long forgives the failures before it. */
  readonly stableMs: number
  readonly maxFrameBytes: number
  readonly timeoutMs: number
  readonly dial: (signal: AbortSignal) => Promise<Connection>
  readonly protocolOf: (channel: Channel) => string
  /** Undefined while this node has no identity: it cannot speak then. */
  readonly hello: () => Hello | undefined
  readonly onState: (up: boolean) => void
  readonly onError: (error: Error, retryInMs: number) => void
}

interface Waiter {
  readonly resolve: (connection: Connection) => void
  readonly reject: (error: Error) => void
}

export class Lane {
  readonly #options: LaneOptions
  #state: LaneState = 'idle'
  #connection: Connection | undefined
  #sockets = new Map<Channel, FrameSocket>()
  #wait: NodeJS.Timeout | undefined
  #attempt: AbortController | undefined
  #upSince = 0
  #waiters: Waiter[] = []

  constructor(options: LaneOptions) {
    this.#options = options
  }

  get state(): LaneState {
    return this.#state
  }

  get connection(): Connection | undefined {
    return this.#state === 'up' ? this.#connection : undefined
  }

  socket(channel: Channel): FrameSocket | undefined {
    return this.#sockets.get(channel)
  }

  /** Starts to connect if idle; with `now` also if waiting. */
  connect({ now = false }: { readonly now?: boolean } = {}): void {
    if (this.#state === 'waiting' && now) {
      clearTimeout(this.#wait)
      this.#state = 'idle'
    }
    const hello = this.#options.hello()
    if (this.#state !== 'idle' || hello === undefined) return
    this.#state = 'connecting'
    const attempt = new AbortController()
    this.#attempt = attempt
    const { timeoutMs } = this.#options
    const timer = setTimeout(() => {
      attempt.abort(new Error(`not connected within ${timeoutMs} ms`))
    }, timeoutMs)
    this.#open(hello, attempt.signal)
      .catch((error: unknown) => {
        if (this.#attempt === attempt) this.drop(error instanceof Error ? error : new Error(String(error)))
      })
      .finally(() => {
        clearTimeout(timer)
      })
  }

  /** Resolves when the lane is up; rejects when the attempt under way fails. */
  ready(): Promise<Connection> {
    this.connect()
    return new Promise((resolve, reject) => {
      if (this.#state === 'up' && this.#connection !== undefined) resolve(this.#connection)
      else if (this.#state === 'connecting') this.#waiters.push({ resolve, reject })
      else reject(new Error(`the peer cannot be reached (${this.#state})`))
    })
  }

  /** Ends the connection or the attempt; the lane connects again after a back-off. */
  drop(error: Error): void {
    if (this.#state !== 'up' && this.#state !== 'connecting') return
    const { backoff, eager, mismatchWaitMs, onError, onState, stableMs } = this.#options
    const wasUp = this.#state === 'up'
    if (wasUp && performance.now() - this.#upSince >= stableMs) backoff.reset()
    const waitMs = error instanceof MismatchError ? mismatchWaitMs : backoff.next()
    this.#state = 'waiting'
    this.#wait = setTimeout(() => {
      this.#state = 'idle'
      if (eager) this.connect()
    }, waitMs)
    this.#release(error)
    if (wasUp) onState(false)
    onError(error, waitMs)
  }

  /** Ends the lane for good. */
  close(): void {
    const wasUp = this.#state === 'up'
    this.#state = 'closed'
    clearTimeout(this.#wait)
    this.#release(new Error('the lane was closed'))
    if (wasUp) this.#options.onState(false)
  }

  async #open(hello: Hello, signal: AbortSignal): Promise<void> {
    const connection = await this.#options.dial(signal)
    if (signal.aborted) {
      abort(connection, new Error('the attempt was given up'))
      return
    }
    this.#connection = connection
    connection.addEventListener('close', ({ error }) => {
      if (this.#connection === connection) this.drop(error ?? new Error('the connection closed'))
    })
    const { channels, outboxes, onState } = this.#options
    const opened = await Promise.all(
      channels.map(
        async (channel) => [channel, await this.#openStream(channel, connection, hello, signal)] as const
      )
    )
    signal.throwIfAborted()
    this.#attempt = undefined
    this.#state = 'up'
    this.#upSince = performance.now()
    this.#sockets = new Map(opened)
    for (const [channel, socket] of opened) outboxes.get(channel)?.attach(socket)
    for (const waiter of this.#takeWaiters()) waiter.resolve(connection)
    onState(true)
  }

  async #openStream(
    channel: Channel,
    connection: Connection,
    hello: Hello,
    signal: AbortSignal
  ): Promise<FrameSocket> {
    const { maxFrameBytes, outboxes, protocolOf, timeoutMs } = this.#options
    const stream = await connection.newStream(protocolOf(channel), { signal })
    const socket = createFrameSocket(stream, maxFrameBytes)
    await greet(socket, hello, timeoutMs, {
      // The peer answers on its own streams.
      onFrame: () => undefined,
      onClose: (error) => {
        if (this.#connection === connection) this.drop(error ?? new Error('the peer closed the stream'))
      },
      onDrain: () => outboxes.get(channel)?.flush()
    })
    return socket
  }

  #release(error: Error): void {
    this.#attempt?.abort(error)
    this.#attempt = undefined
    this.#sockets = new Map()
    for (const channel of this.#options.channels) {
      this.#options.outboxes.get(channel)?.detach()
      this.#options.outboxes.get(channel)?.clear()
    }
    if (this.#connection !== undefined) abort(this.#connection, error)
    this.#connection = undefined
    for (const waiter of this.#takeWaiters()) waiter.reject(error)
  }

  #takeWaiters(): readonly Waiter[] {
    const waiters = this.#waiters
    this.#waiters = []
    return waiters
  }
}
