/**
 * The `js` executor as the node sees it: which pool process runs which attempt. Attempts travel straight between this
 * process and the pool processes; the supervisor only spawns those, ends them, and holds their lease.
 *
 * 1. A process runs one attempt at a time (the thread host: one a thread). An attempt that waits for a process, or in one
 *    behind another, has not begun, and is `not-started` when it is stopped.
 * 2. A process that worked for an incarnation is bound to it at the supervisor before it hears of the attempt.
 * 3. An attempt whose process dies is reported when the supervisor says that the process's tree is gone.
 */
import { durationMs, timestampMs } from '../../../base/units.ts'
import type { FencingToken } from '../../../base/ids.ts'
import type { AttemptExit, AttemptStart } from '../../../runtime/ports/attempt-host.ts'
import type { AttemptTable, Effect, Ending } from '../../../runtime/supervisor/attempt-table.ts'
import { attemptExit } from '../../../runtime/supervisor/exit.ts'
import type { NaturalEnd } from '../../../runtime/supervisor/exit.ts'
import type { Channel } from '../../supervisor/channel.ts'
import type { FromSupervisor } from '../../supervisor/protocol.ts'
import { systemMonotonicMs } from '../../supervisor/system-monotonic.ts'
import type { Lane, LaneOptions, PoolProcess } from './lane.ts'
import { createLane } from './lane.ts'
import type { DoneMessage, FromPool, HandlerEntry, ToPool } from './protocol.ts'
import { unknownHandler } from './unknown-handler.ts'

/** After this long without a word an attempt that was handed over counts as started: its handler may block. */
const PRESUME_STARTED_MS = 100
/** How long a thread may take to end before its whole process is killed. */
const TERMINATE_MS = 1000
const HOUSEKEEPING_MS = 100
const LAST_WORDS_LENGTH = 2000

export interface PoolEvents {
  onStarted(token: FencingToken, startedAt: number): void
  onOutput(token: FencingToken, stream: 'stdout' | 'stderr', bytes: Uint8Array): void
  onExit(exit: AttemptExit): void
  /** The table may have something new to wait for. */
  onChange(): void
}

export interface JsPool {
  /** Takes over an attempt that the table has let begin. */
  launch(attempt: AttemptStart): void
  /** Carries out what the table decided about one of its attempts. */
  perform(effects: readonly Effect<number>[]): void
  setHandlers(handlers: readonly HandlerEntry[]): void
  /** A pool process has connected; undefined refuses it. */
  connect(
    child: number,
    secret: string,
    channel: Channel<ToPool>
  ): { onMessage(message: FromPool): void; onClose(): void } | undefined
  onSupervisorMessage(message: Extract<FromSupervisor, { type: 'child-gone' | 'child-output' }>): void
  /** Every process is gone, since the supervisor is. */
  onAllGone(): void
  close(): void
}

interface Run {
  readonly attempt: AttemptStart
  readonly queuedAt: number
  process: PoolProcess | undefined
  assignedAt: number
  startedAt: number
  asked: boolean
  done: DoneMessage | undefined
  natural: NaturalEnd | undefined
}

/** A pool that decides nothing about life and death: `table` does. */
export function createJsPool(options: LaneOptions, table: AttemptTable<number>, events: PoolEvents): JsPool {
  return new Pool(options, table, events)
}

class Pool implements JsPool {
  private readonly options: LaneOptions
  private readonly table: AttemptTable<number>
  private readonly events: PoolEvents
  private readonly runs = new Map<number, Run>()
  /** Handed to a process that has not said a word of them, in that order. */
  private readonly silent = new Set<Run>()
  private readonly known = new Set<string>()
  private readonly lanes: Readonly<Record<'process' | 'thread', Lane>>
  private readonly housekeeping: NodeJS.Timeout

  constructor(options: LaneOptions, table: AttemptTable<number>, events: PoolEvents) {
    this.options = options
    this.table = table
    this.events = events
    const assign = this.assign.bind(this)
    this.lanes = {
      process: createLane('process', options, assign),
      thread: createLane('threads', options, assign)
    }
    this.housekeeping = setInterval(() => {
      this.keepHouse()
    }, HOUSEKEEPING_MS)
  }

  setHandlers(handlers: readonly HandlerEntry[]): void {
    for (const { name } of handlers) this.known.add(name)
    this.lanes.process.setHandlers(handlers)
    this.lanes.thread.setHandlers(handlers)
    this.lanes.process.warm()
  }

  launch(attempt: AttemptStart): void {
    const run: Run = {
      attempt,
      queuedAt: Date.now(),
      process: undefined,
      assignedAt: 0,
      startedAt: 0,
      asked: false,
      done: undefined,
      natural: undefined
    }
    this.runs.set(attempt.token, run)
    if (this.known.has(attempt.handler)) {
      this.laneOf(run).add(attempt)
      return
    }
    run.natural = { outcome: 'failed', error: unknownHandler(attempt.handler) }
    this.table.ended(attempt.token, { beforeAsk: true })
    this.perform(this.table.gone(attempt.token))
  }

  perform(effects: readonly Effect<number>[]): void {
    for (const effect of effects) {
      const run = this.runs.get(effect.key)
      if (run !== undefined) this.performOne(effect, run)
    }
  }

  connect(child: number, secret: string, channel: Channel<ToPool>): ReturnType<JsPool['connect']> {
    const process = this.find(child)
    if (process?.secret !== secret || process.channel !== undefined) return undefined
    this.laneFor(process).connected(process, channel)
    return {
      onMessage: (message) => {
        this.onPoolMessage(process, message)
        this.events.onChange()
      },
      onClose: () => {
        process.closed = true
        // It may have closed its channel and live on; without it, it is of no use.
        if (process.gone === undefined) this.laneFor(process).retire(process)
        this.goneAndClosed(process)
        this.events.onChange()
      }
    }
  }

  onSupervisorMessage(message: Extract<FromSupervisor, { type: 'child-gone' | 'child-output' }>): void {
    const process = this.find(message.child)
    if (process === undefined) return
    if (message.type === 'child-gone') {
      process.gone = message
      if (process.channel === undefined) process.closed = true
      this.goneAndClosed(process)
      return
    }
    const text = Buffer.from(message.bytes).toString('utf8')
    if (message.stream === 'stderr')
      process.lastWords = `${process.lastWords}${text}`.slice(-LAST_WORDS_LENGTH)
    const [only] = process.running
    if (only !== undefined && process.role === 'process') {
      this.events.onOutput(only.token, message.stream, message.bytes)
    }
  }

  onAllGone(): void {
    for (const process of [...this.lanes.process.processes(), ...this.lanes.thread.processes()]) {
      process.channel?.close()
      this.processGone(process, true)
    }
    for (const run of [...this.runs.values()]) {
      this.laneOf(run).withdraw(run.attempt)
      this.perform(this.table.withdrawn(run.attempt.token, 'lease'))
    }
  }

  close(): void {
    clearInterval(this.housekeeping)
    this.lanes.process.close()
    this.lanes.thread.close()
  }

  private assign(attempt: AttemptStart, process: PoolProcess): boolean {
    const run = this.runs.get(attempt.token)
    if (run === undefined) return false
    run.process = process
    run.assignedAt = systemMonotonicMs()
    this.silent.add(run)
    return true
  }

  private performOne(effect: Effect<number>, run: Run): void {
    switch (effect.type) {
      case 'ask':
        run.asked = true
        if (run.process === undefined) this.withdraw(run)
        else run.process.channel?.send({ type: 'abort', token: effect.key, reason: effect.reason })
        return
      case 'kill':
        run.asked = true
        if (run.process === undefined) this.withdraw(run)
        else this.kill(run, run.process)
        return
      case 'exit':
        this.runs.delete(effect.key)
        this.silent.delete(run)
        this.events.onExit(toExit(run, effect.ending))
        return
      case 'launch':
      case 'watch':
    }
  }

  private withdraw(run: Run): void {
    this.laneOf(run).withdraw(run.attempt)
    this.perform(this.table.withdrawn(run.attempt.token))
  }

  private kill(run: Run, process: PoolProcess): void {
    if (process.role === 'process' || process.channel === undefined) {
      this.laneOf(run).retire(process)
      return
    }
    const { token } = run.attempt
    process.channel.send({ type: 'terminate', token })
    const killHost = (): void => {
      if (this.runs.has(token)) this.laneOf(run).retire(process)
    }
    setTimeout(killHost, TERMINATE_MS).unref()
  }

  private onPoolMessage(process: PoolProcess, message: FromPool): void {
    if (message.type === 'hello' || message.type === 'discovered') return
    const run = this.runs.get(message.token)
    if (run?.process !== process) return
    if (message.type === 'done') this.done(run, process, message)
    else if (message.type === 'started') this.started(run, message.startedAt)
    else {
      this.started(run, Date.now())
      this.events.onOutput(run.attempt.token, message.stream, message.bytes)
    }
  }

  private started(run: Run, startedAt: number): void {
    this.silent.delete(run)
    if (run.startedAt !== 0) return
    run.startedAt = startedAt
    this.table.launched(run.attempt.token, this.options.clock.monotonicNow())
    this.events.onStarted(run.attempt.token, startedAt)
  }

  private done(run: Run, process: PoolProcess, message: DoneMessage): void {
    const { token } = message
    if (message.outcome === 'recalled') {
      run.process = undefined
      this.silent.delete(run)
      process.recalling = false
      this.laneOf(run).takeBack(process, run.attempt)
      // The request to stop crossed with it on the way: it must not be handed to anybody else.
      if (run.asked) this.perform(this.table.withdrawn(token))
      else this.laneOf(run).add(run.attempt)
      return
    }
    if (message.outcome === 'not-started' && run.startedAt === 0) {
      this.perform(this.table.withdrawn(token, message.aborted ? undefined : 'lease'))
      this.laneOf(run).release(process, run.attempt, message)
      return
    }
    this.started(run, message.startedAt)
    run.done = message
    if (message.outcome === 'succeeded') {
      // A copy, so that a small result does not keep the whole frame in memory.
      run.natural = { outcome: 'succeeded', result: new Uint8Array(message.result) }
    } else if (message.error !== undefined) run.natural = { outcome: 'failed', error: message.error }
    // A thread that was ended, or a start that came too late: both for reasons that the table knows.
    else this.table.lapsed(token)
    this.table.ended(token, { beforeAsk: !message.aborted && message.outcome !== 'terminated' })
    if (message.dirty) {
      this.laneOf(run).retire(process)
      return
    }
    this.perform(this.table.gone(token))
    this.laneOf(run).release(process, run.attempt, message)
  }

  private goneAndClosed(process: PoolProcess): void {
    // What it said last may still be under way on its own socket.
    if (process.gone !== undefined && process.closed) this.processGone(process, process.gone.lapsed)
  }

  private processGone(process: PoolProcess, lapsed: boolean): void {
    for (const attempt of process.running) {
      const run = this.runs.get(attempt.token)
      if (run === undefined) continue
      if (this.waitsBehindAnother(run) && !process.unannounced.has(attempt)) {
        this.perform(this.table.withdrawn(attempt.token, lapsed ? 'lease' : undefined))
        continue
      }
      if (lapsed) this.table.lapsed(attempt.token)
      run.natural ??= { outcome: 'failed', error: crash(process) }
      this.table.ended(attempt.token)
      this.perform(this.table.gone(attempt.token))
    }
    this.laneFor(process).gone(process)
  }

  private keepHouse(): void {
    const before = systemMonotonicMs() - PRESUME_STARTED_MS
    for (const run of this.silent) {
      if (run.assignedAt > before) break
      if (this.waitsBehindAnother(run)) this.recall(run.process)
      else this.started(run, Math.round(Date.now() - (systemMonotonicMs() - run.assignedAt)))
    }
    this.lanes.process.shrink()
    this.lanes.thread.shrink()
    this.events.onChange()
  }

  /** Whether the attempt was handed over early and its process is still busy with an earlier one. */
  private waitsBehindAnother(run: Run): boolean {
    if (run.startedAt !== 0 || run.process?.role !== 'process') return false
    const [head] = run.process.running
    return head !== run.attempt
  }

  /** The running attempt is not as short as its handler's used to be: the others need not wait for it. */
  private recall(process: PoolProcess | undefined): void {
    if (process?.channel === undefined || process.recalling) return
    // One that blocks does not listen: asking it again would only fill its socket.
    process.recalling = true
    process.channel.send({ type: 'recall' })
  }

  private find(child: number): PoolProcess | undefined {
    return this.lanes.process.find(child) ?? this.lanes.thread.find(child)
  }

  private laneOf(run: Run): Lane {
    return this.lanes[run.attempt.isolation]
  }

  private laneFor(process: PoolProcess): Lane {
    return this.lanes[process.role === 'process' ? 'process' : 'thread']
  }
}

function toExit(run: Run, ending: Ending): AttemptExit {
  const { done } = run
  const finishedAt = done?.finishedAt ?? Date.now()
  const startedAt = done?.startedAt ?? (run.startedAt === 0 ? run.queuedAt : run.startedAt)
  const ranMs = run.process === undefined ? 0 : systemMonotonicMs() - run.assignedAt
  return attemptExit(
    {
      token: run.attempt.token,
      startedAt: timestampMs(startedAt),
      finishedAt: timestampMs(finishedAt),
      runMs: durationMs(done?.runMs ?? ranMs),
      peakMemoryBytes: done?.residentBytes ?? run.process?.gone?.peakMemoryBytes ?? 0
    },
    ending,
    run.natural
  )
}

function crash(process: PoolProcess): { code: string; message: string; retryable: boolean } {
  const { code = null, signal = null } = process.gone ?? {}
  const how = signal === null ? `exited with code ${code ?? 'unknown'}` : `was ended by ${signal}`
  const words = process.lastWords
    .trim()
    .split('\n')
    .find((line) => /Error|FATAL|fatal/.test(line))
  const message = words === undefined ? '' : `: ${words.slice(0, 500)}`
  return { code: 'CRASHED', message: `the handler's process ${how}${message}`, retryable: true }
}
