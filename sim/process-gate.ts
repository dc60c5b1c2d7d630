/**
 * The border of one simulated process: everything that the world does to it passes here, so that it can be paused (as by
 * SIGSTOP) and ended. While it is paused nothing of it runs; what came meanwhile follows, in order, when it goes on.
 */
import type { AttemptHandlers, AttemptHost } from '../runtime/ports/attempt-host.ts'
import type { Transport, TransportHandlers } from '../runtime/ports/transport.ts'

export class ProcessGate {
  /** Runs a callback as its own step of the simulation, after those that wait. */
  readonly #soon: (callback: () => void) => void
  #phase: 'runs' | 'paused' | 'over' = 'runs'
  #held: (() => void)[] = []

  constructor(soon: (callback: () => void) => void) {
    this.#soon = soon
  }

  get isOver(): boolean {
    return this.#phase === 'over'
  }

  get paused(): boolean {
    return this.#phase === 'paused'
  }

  pause(): void {
    if (this.#phase === 'runs') this.#phase = 'paused'
  }

  resume(): void {
    if (this.#phase !== 'paused') return
    this.#phase = 'runs'
    const held = this.#held
    this.#held = []
    for (const callback of held) {
      this.#soon(() => {
        this.run(callback)
      })
    }
  }

  /** The process is gone: nothing of it runs any more. */
  end(): void {
    this.#phase = 'over'
    this.#held = []
  }

  /** Calls back now, once the process goes on, or never. */
  run(callback: () => void): void {
    if (this.#phase === 'runs') callback()
    else if (this.#phase === 'paused') this.#held.push(callback)
  }

  /** The same promise as the process sees it. */
  hold<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      promise.then(
        (value) => {
          this.run(() => {
            resolve(value)
          })
        },
        (error: unknown) => {
          this.run(() => {
            reject(error instanceof Error ? error : new Error(String(error)))
          })
        }
      )
    })
  }

  /** Calls an asynchronous function of the process from outside of it. */
  call<T>(step: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.run(() => {
        step().then(resolve, reject)
      })
    })
  }
}

/** A transport as a process behind its gate has it. */
export function gatedTransport(inner: Transport, gate: ProcessGate): Transport {
  return {
    peerId: inner.peerId,
    addresses: () => inner.addresses(),
    start: (handlers) => gate.hold(inner.start(gatedTransportHandlers(handlers, gate))),
    identify: (identity) => {
      inner.identify(identity)
    },
    setPeers: (peers) => {
      inner.setPeers(peers)
    },
    send: (to, channel, frame) => inner.send(to, channel, frame),
    queuedBytes: (to, channel) => inner.queuedBytes(to, channel),
    request: (to, request, options) => gate.hold(inner.request(to, request, options)),
    sendSnapshot: (to, header, chunks) =>
      gate.hold(inner.sendSnapshot(to, header, gatedChunks(chunks, gate, 'inside'))),
    stop: () => gate.hold(inner.stop())
  }
}

/** An attempt host as a process behind its gate has it; what it runs does not pause with the process. */
export function gatedHost(inner: AttemptHost, gate: ProcessGate): AttemptHost {
  return {
    offer: inner.offer,
    start: (handlers) => gate.hold(inner.start(gatedAttemptHandlers(handlers, gate))),
    begin: (attempt) => {
      inner.begin(attempt)
    },
    stop: (token, reason) => {
      inner.stop(token, reason)
    },
    extendLease: (incarnation, deadline) => {
      inner.extendLease(incarnation, deadline)
    },
    endIncarnation: (incarnation) => gate.hold(inner.endIncarnation(incarnation)),
    close: () => gate.hold(inner.close())
  }
}

function gatedTransportHandlers(handlers: TransportHandlers, gate: ProcessGate): TransportHandlers {
  return {
    onFrame: (from, channel, frame) => {
      gate.run(() => {
        handlers.onFrame(from, channel, frame)
      })
    },
    onConnection: (peer, connected) => {
      gate.run(() => {
        handlers.onConnection(peer, connected)
      })
    },
    onRequest: (from, member, request) => gate.call(() => handlers.onRequest(from, member, request)),
    onSnapshot: (from, header, chunks) =>
      gate.call(() => handlers.onSnapshot(from, header, gatedChunks(chunks, gate, 'outside')))
  }
}

function gatedAttemptHandlers(handlers: AttemptHandlers, gate: ProcessGate): AttemptHandlers {
  return {
    onStarted: (token, startedAt) => {
      gate.run(() => {
        handlers.onStarted(token, startedAt)
      })
    },
    onOutput: (token, stream, bytes) => {
      gate.run(() => {
        handlers.onOutput(token, stream, bytes)
      })
    },
    onExit: (exit) => {
      gate.run(() => {
        handlers.onExit(exit)
      })
    },
    onLost: (error) => {
      gate.run(() => {
        handlers.onLost(error)
      })
    }
  }
}

/** Chunks that the process makes (`inside`) or takes (`outside`). */
async function* gatedChunks(
  chunks: AsyncIterable<Uint8Array>,
  gate: ProcessGate,
  side: 'inside' | 'outside'
): AsyncGenerator<Uint8Array, void, undefined> {
  const source = chunks[Symbol.asyncIterator]()
  try {
    for (;;) {
      const next = await (side === 'inside' ? gate.call(() => source.next()) : gate.hold(source.next()))
      if (next.done === true) return
      yield next.value
    }
  } finally {
    await source.return?.()
  }
}
