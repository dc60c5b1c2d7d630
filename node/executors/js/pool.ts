/**
 * The `js` executor as the node sees it: which pool process runs which attempt. Attempts travel straight between this
 * process and the pool processes; the supervisor only spawns those, ends them, and holds their lease.
 *
 * 1. A process runs one attempt at a time (the thread host: one a thread). An attempt that waits for a process has not
 *    begun, and is `not-started` when it is stopped.
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

export interface PoolEvents {
  onStarted(token: FencingToken, startedAt: number): void
  onOutput(token: FencingToken, stream: 'stdout' | 'stderr', bytes: Uint8Array): void
  onExit(exit: AttemptExit): void
}

export interface JsPool {
  /** Takes over an attempt that the table has let begin. */
  launch(attempt: AttemptStart): void
  /** Carries out what the table decided about one of its attempts. */
  perform(effects: readonly Effect<number>[]): void
  setHandlers(handlers: readonly HandlerEntry[]): void
  /** A pool process has connected; undefined refuses it. `onChange`: the table may have something new to wait for. */
  connect(
    child: number,
    secret: string,
    channel: Channel<ToPool>,
    onChange: () => void
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
  done: DoneMessage | undefined
  natural: NaturalEnd | undefined
}

/** A pool that decides nothing about life and death: `table` does. */
export function createJsPool(options: LaneOptions, table: AttemptTable<number>, events: PoolEvents): JsPool {
  const runs = new Map<number, Run>()
  const waitingForWord = new Set<Run>()
  const known = new Set<string>()
  const assign = (attempt: AttemptStart, process: PoolProcess): boolean => {
    const run = runs.get(attempt.token)
    if (run === undefined) return false
    run.process = process
    run.assignedAt = systemMonotonicMs()
    waitingForWord.add(run)
    return true
  }
  const lanes: Readonly<Record<'process' | 'thread', Lane>> = {
    process: createLane('process', options, assign),
    thread: createLane('threads', options, assign)
  }
  const laneOf = (run: Run): Lane => lanes[run.attempt.isolation]
  const laneFor = (process: PoolProcess): Lane => lanes[process.role === 'process' ? 'process' : 'thread']
  const find = (child: number): PoolProcess | undefined =>
    lanes.process.find(child) ?? lanes.thread.find(child)

  const started = (run: Run, startedAt: number): void => {
    waitingForWord.delete(run)
    if (run.startedAt !== 0) return
    run.startedAt = startedAt
    table.launched(run.attempt.token, options.clock.monotonicNow())
    events.onStarted(run.attempt.token, startedAt)
  }
  const exit = (token: number, ending: Ending): void => {
    const run = runs.get(token)
    if (run === undefined) return
    runs.delete(token)
    waitingForWord.delete(run)
    events.onExit(toExit(run, ending))
  }
  const kill = (run: Run): void => {
    const { process, attempt } = run
    if (process === undefined) {
      laneOf(run).withdraw(attempt)
      perform(table.withdrawn(attempt.token))
    } else if (process.role === 'process' || process.channel === undefined) laneOf(run).retire(process)
    else {
      process.channel.send({ type: 'terminate', token: attempt.token })
      const killHost = (): void => {
        if (runs.has(attempt.token)) laneOf(run).retire(process)
      }
      setTimeout(killHost, TERMINATE_MS).unref()
    }
  }
  const performOne = (effect: Effect<number>): void => {
    const run = runs.get(effect.key)
    if (run === undefined) return
    switch (effect.type) {
      case 'ask':
        if (run.process === undefined) {
          laneOf(run).withdraw(run.attempt)
          perform(table.withdrawn(effect.key))
        } else run.process.channel?.send({ type: 'abort', token: effect.key, reason: effect.reason })
        return
      case 'kill':
        kill(run)
        return
      case 'exit':
        exit(effect.key, effect.ending)
        return
      case 'launch':
      case 'watch':
    }
  }
  const perform = (effects: readonly Effect<number>[]): void => {
    for (const effect of effects) performOne(effect)
  }
  const done = (run: Run, process: PoolProcess, message: DoneMessage): void => {
    const { token } = message
    if (message.outcome === 'not-started' && run.startedAt === 0) {
      perform(table.withdrawn(token, 'lease'))
      laneOf(run).release(process, run.attempt, message.residentBytes)
      return
    }
    started(run, message.startedAt)
    run.done = message
    // What a thread's end or a late start leaves open, the table knows: it was told to.
    if (message.outcome === 'succeeded')
      run.natural = { outcome: 'succeeded', result: new Uint8Array(message.result) }
    else if (message.error !== undefined) run.natural = { outcome: 'failed', error: message.error }
    else table.lapsed(token)
    table.ended(token, { beforeAsk: !message.aborted && message.outcome !== 'terminated' })
    if (message.dirty) {
      laneOf(run).retire(process)
      return
    }
    perform(table.gone(token))
    laneOf(run).release(process, run.attempt, message.residentBytes)
  }
  const processGone = (process: PoolProcess, lapsed: boolean): void => {
    for (const attempt of process.running) {
      const run = runs.get(attempt.token)
      if (run === undefined) continue
      if (lapsed) table.lapsed(attempt.token)
      run.natural ??= { outcome: 'failed', error: crash(process) }
      table.ended(attempt.token)
      perform(table.gone(attempt.token))
    }
    laneFor(process).gone(process)
  }
  const onPoolMessage = (process: PoolProcess, message: FromPool): void => {
    if (message.type === 'hello' || message.type === 'discovered') return
    const run = runs.get(message.token)
    if (run?.process !== process) return
    if (message.type === 'done') done(run, process, message)
    else if (message.type === 'started') started(run, message.startedAt)
    else {
      started(run, Date.now())
      events.onOutput(run.attempt.token, message.stream, message.bytes)
    }
  }
  const goneAndClosed = (process: PoolProcess): void => {
    // What it said last may still be under way on its own socket.
    if (process.gone !== undefined && process.closed) processGone(process, process.gone.lapsed)
  }
  const housekeeping = setInterval(() => {
    const before = systemMonotonicMs() - PRESUME_STARTED_MS
    for (const run of waitingForWord) {
      if (run.assignedAt > before) break
      started(run, Math.round(Date.now() - (systemMonotonicMs() - run.assignedAt)))
    }
    lanes.process.shrink()
    lanes.thread.shrink()
  }, HOUSEKEEPING_MS)

  return {
    perform,
    setHandlers: (handlers) => {
      for (const { name } of handlers) known.add(name)
      lanes.process.setHandlers(handlers)
      lanes.thread.setHandlers(handlers)
      lanes.process.warm()
    },
    launch: (attempt) => {
      const run: Run = {
        attempt,
        queuedAt: Date.now(),
        process: undefined,
        assignedAt: 0,
        startedAt: 0,
        done: undefined,
        natural: undefined
      }
      runs.set(attempt.token, run)
      if (known.has(attempt.handler)) {
        laneOf(run).add(attempt)
        return
      }
      run.natural = { outcome: 'failed', error: unknownHandler(attempt.handler) }
      table.ended(attempt.token, { beforeAsk: true })
      perform(table.gone(attempt.token))
    },
    connect: (child, secret, channel, onChange) => {
      const process = find(child)
      if (process?.secret !== secret || process.channel !== undefined) return undefined
      laneFor(process).connected(process, channel)
      return {
        onMessage: (message) => {
          onPoolMessage(process, message)
          onChange()
        },
        onClose: () => {
          process.closed = true
          // It may have closed its channel and live on; without it, it is of no use.
          if (process.gone === undefined) laneFor(process).retire(process)
          goneAndClosed(process)
          onChange()
        }
      }
    },
    onSupervisorMessage: (message) => {
      const process = find(message.child)
      if (process === undefined) return
      if (message.type === 'child-gone') {
        process.gone = message
        if (process.channel === undefined) process.closed = true
        goneAndClosed(process)
        return
      }
      const text = Buffer.from(message.bytes).toString('utf8')
      if (message.stream === 'stderr') process.lastWords = `${process.lastWords}${text}`.slice(-2000)
      const [only] = process.running
      if (only !== undefined && process.role === 'process') {
        events.onOutput(only.token, message.stream, message.bytes)
      }
    },
    onAllGone: () => {
      for (const process of [...lanes.process.processes(), ...lanes.thread.processes()]) {
        process.channel?.close()
        processGone(process, true)
      }
      for (const run of [...runs.values()]) {
        laneOf(run).withdraw(run.attempt)
        perform(table.withdrawn(run.attempt.token, 'lease'))
      }
    },
    close: () => {
      clearInterval(housekeeping)
      lanes.process.close()
      lanes.thread.close()
    }
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
