/**
 * The real `AttemptHost`: `shell` attempts run under the supervisor process, `js` attempts in pool processes that the
 * supervisor spawns and this process feeds. It wires the two and keeps the account of what was begun.
 *
 * 1. Each `begin` is answered by exactly one `onExit`, never from within `begin`.
 * 2. The supervisor has the deadline before anything runs under it. It is converted to the system's monotonic clock so
 *    that a delay anywhere can only make it earlier.
 * 3. When the supervisor dies, a new one first kills what is left; then attempts are reported and `onLost` follows.
 */
import { availableParallelism } from 'node:os'
import { join, resolve as resolvePath } from 'node:path'
import type { FencingToken, Incarnation } from '../../base/ids.ts'
import { MiB, durationMs, timestampMs } from '../../base/units.ts'
import type { MonotonicMs } from '../../base/units.ts'
import type {
  AttemptExit,
  AttemptHandlers,
  AttemptHost,
  AttemptStart
} from '../../runtime/ports/attempt-host.ts'
import { createAttemptTable } from '../../runtime/supervisor/attempt-table.ts'
import type { AttemptTable, Effect, Ending } from '../../runtime/supervisor/attempt-table.ts'
import { attemptExit } from '../../runtime/supervisor/exit.ts'
import type { StopReason, TaskError } from '../../scheduler/types.ts'
import { createJsPool } from '../executors/js/pool.ts'
import type { JsPool } from '../executors/js/pool.ts'
import type { HandlerEntry } from '../executors/js/protocol.ts'
import { discoverInProcess } from './discovery.ts'
import type { Discoverer } from './discovery.ts'
import { DEFAULT_ENVIRONMENT } from './options.ts'
import type { AttemptHostOptions } from './options.ts'
import { openPoolSocket } from './pool-socket.ts'
import type { PoolSocket } from './pool-socket.ts'
import type { FromSupervisor, ToSupervisor } from './protocol.ts'
import { startSupervisor } from './supervisor-client.ts'
import type { SupervisorClient } from './supervisor-client.ts'
import { systemMonotonicMs } from './system-monotonic.ts'

const DEFAULT_LEASE_MARGIN_MS = 250
const RESTART_MS = 1000
/** Node's timers count in 31 bits. */
const MAX_TIMER_MS = 2 ** 31 - 1
const DEFAULT_POOL = { growAfterMs: 50, recycleAfterAttempts: 100_000, recycleAboveBytes: 512 * MiB }

/** A host that has not started. It offers nothing before `start`. */
export function createAttemptHost(options: AttemptHostOptions): AttemptHost {
  return new RealAttemptHost(options)
}

class RealAttemptHost implements AttemptHost {
  private readonly options: AttemptHostOptions
  private readonly folder: string
  private readonly leaseMarginMs: number
  private readonly table: AttemptTable<number>
  private readonly pool: JsPool
  /** `shell` attempts that were begun and not reported, by token. */
  private readonly shell = new Map<number, AttemptStart>()
  private readonly ending = new Set<{ readonly incarnation: number; readonly done: () => void }>()
  private handlers: AttemptHandlers | undefined
  private handlerEntries: readonly HandlerEntry[] = []
  private client: SupervisorClient | undefined
  private socket: PoolSocket | undefined
  private discoverer: Discoverer | undefined
  private lastChild = 0
  private closed = false
  private lastIncarnation = 0
  private reports: AttemptExit[] = []
  private reportsScheduled = false
  private wakeTimer: NodeJS.Timeout | undefined
  private wakeAt = Infinity

  constructor(options: AttemptHostOptions) {
    this.options = options
    this.folder = join(resolvePath(options.dataFolder), 'attempts')
    this.leaseMarginMs = options.leaseMarginMs ?? DEFAULT_LEASE_MARGIN_MS
    this.table = createAttemptTable({ leaseMarginMs: this.leaseMarginMs })
    this.pool = createJsPool(
      {
        ...DEFAULT_POOL,
        warm: Math.min(options.slots, availableParallelism()),
        ...options.pool,
        slots: options.slots,
        clock: options.clock,
        log: options.log,
        supervisor: {
          send: (message) => {
            this.tell(message)
          },
          flush: () => this.client?.channel.flush()
        },
        nextChild: () => ++this.lastChild,
        notAfter: (incarnation) => this.toSystem(this.table.mayStartUntil(incarnation) ?? -Infinity)
      },
      this.table,
      {
        onStarted: (token, startedAt) => this.handlers?.onStarted(token, timestampMs(startedAt)),
        onOutput: (token, stream, bytes) => this.handlers?.onOutput(token, stream, bytes),
        onExit: (exit) => {
          this.report(exit)
        },
        onChange: () => {
          this.rearm()
        }
      }
    )
  }

  get offer(): AttemptHost['offer'] {
    const handlers = Object.fromEntries(this.handlerEntries.map(({ name, hash }) => [name, hash]))
    return { executors: this.options.executors, handlers }
  }

  async start(handlers: AttemptHandlers): Promise<void> {
    this.handlers = handlers
    this.socket = await openPoolSocket(this.folder, {
      onHello: (child, secret, channel) => {
        if (this.discoverer?.child === child) return this.discoverer.connect(secret, channel)
        return this.pool.connect(child, secret, channel)
      }
    })
    await this.startSupervisor()
    const { handlersFolder } = this.options
    if (!this.options.executors.includes('js') || handlersFolder === undefined) return
    this.discoverer = discoverInProcess(
      ++this.lastChild,
      resolvePath(handlersFolder),
      this.folder,
      (message) => {
        this.tell(message)
      }
    )
    const { handlers: found, problems } = await this.discoverer.result
    for (const problem of problems) {
      this.options.log.error(problem, 'a handler module cannot be loaded')
      this.options.onProblem?.(problem)
    }
    this.handlerEntries = found
    this.pool.setHandlers(found)
  }

  begin(attempt: AttemptStart): void {
    const { token, incarnation, startToCloseMs, killGraceMs, onLeaseLoss, executor } = attempt
    if (!this.options.executors.some((offered) => offered === executor)) {
      const message = `this node has no executor "${executor}"`
      this.refuse(attempt, { type: 'itself' }, { code: 'UNKNOWN_EXECUTOR', message, retryable: false })
      return
    }
    if (this.closed || this.client === undefined) {
      this.refuse(attempt, { type: 'not-started', reason: 'lease' })
      return
    }
    if (executor === 'shell') {
      this.shell.set(token, attempt)
      this.tell({ type: 'begin', attempt })
      return
    }
    const [first] = this.table.begin(
      { key: token, incarnation, startToCloseMs, killGraceMs, onLeaseLoss },
      this.options.clock.monotonicNow()
    )
    if (first?.type === 'exit') this.refuse(attempt, first.ending)
    else this.pool.launch(attempt)
    this.rearm()
  }

  stop(token: FencingToken, reason: StopReason): void {
    if (this.shell.has(token)) this.tell({ type: 'stop', token, reason })
    else this.perform(this.table.stop(token, reason, this.options.clock.monotonicNow()))
  }

  extendLease(incarnation: Incarnation, deadline: MonotonicMs): void {
    this.lastIncarnation = Math.max(this.lastIncarnation, incarnation)
    this.tell({ type: 'lease', incarnation, deadline: this.toSystem(deadline) })
    this.perform(this.table.extendLease(incarnation, deadline, this.options.clock.monotonicNow()))
  }

  endIncarnation(incarnation: Incarnation): Promise<void> {
    this.tell({ type: 'end', incarnation })
    this.perform(this.table.endIncarnation(incarnation))
    return new Promise((resolve) => {
      this.ending.add({ incarnation, done: resolve })
      this.scheduleReports()
    })
  }

  async close(): Promise<void> {
    if (this.closed) return
    this.closed = true
    this.pool.close()
    await this.client?.close()
    this.reportAllGone()
    this.flushReports()
    clearTimeout(this.wakeTimer)
    this.socket?.close()
  }

  private async startSupervisor(): Promise<void> {
    const { environment = DEFAULT_ENVIRONMENT, log } = this.options
    const settings = {
      folder: this.folder,
      leaseMarginMs: this.leaseMarginMs,
      environment,
      socketPath: this.socket?.path ?? ''
    }
    this.client = await startSupervisor(settings, log, {
      onMessage: (message) => {
        this.onMessage(message)
      },
      onLost: (error) => {
        this.client = undefined
        // Nothing new may start under the old leases; what ran is reported when it is known to be gone.
        this.table.endIncarnation(this.lastIncarnation)
        void this.replaceSupervisor(error)
      }
    })
    const { leftovers, pid } = this.client
    if (leftovers > 0) log.warn({ leftovers, pid }, 'processes that a predecessor left behind were killed')
  }

  private async replaceSupervisor(lost: Error): Promise<void> {
    this.options.log.error(
      { error: lost },
      'the supervisor process is gone; its successor kills what is left'
    )
    while (this.client === undefined && !this.closed) {
      try {
        await this.startSupervisor()
      } catch (error) {
        this.options.log.error({ error }, 'no supervisor process can be started; trying again')
        await new Promise((resolve) => setTimeout(resolve, RESTART_MS))
      }
    }
    this.reportAllGone()
    this.flushReports()
    if (!this.closed) this.handlers?.onLost(lost)
  }

  private onMessage(message: FromSupervisor): void {
    switch (message.type) {
      case 'started':
        this.handlers?.onStarted(message.token as FencingToken, timestampMs(message.startedAt))
        return
      case 'output':
        this.handlers?.onOutput(message.token as FencingToken, message.stream, message.bytes)
        return
      case 'exit':
        // A copy, so that a small result does not keep the whole frame in memory.
        if (this.shell.delete(message.exit.token)) {
          this.report({ ...message.exit, result: new Uint8Array(message.exit.result) })
        }
        return
      case 'child-gone':
        if (this.discoverer?.child === message.child) this.discoverer.gone()
        this.pool.onSupervisorMessage(message)
        this.rearm()
        return
      case 'child-output':
        this.pool.onSupervisorMessage(message)
        return
      case 'ready':
    }
  }

  /** No process that this host ever started runs any more. */
  private reportAllGone(): void {
    for (const attempt of this.shell.values()) this.refuse(attempt, { type: 'stopped', reason: 'lease' })
    this.shell.clear()
    this.pool.onAllGone()
  }

  private refuse(attempt: AttemptStart, ending: Ending, error?: TaskError): void {
    const now = timestampMs(this.options.clock.wallNow())
    const facts = { startedAt: now, finishedAt: now, runMs: durationMs(0), peakMemoryBytes: 0 }
    const natural = error === undefined ? undefined : ({ outcome: 'failed', error } as const)
    this.report(attemptExit({ token: attempt.token, ...facts }, ending, natural))
  }

  private report(exit: AttemptExit): void {
    this.reports.push(exit)
    this.scheduleReports()
  }

  /** Reports follow the call that caused them, so that nobody is called back from within `begin`. */
  private scheduleReports(): void {
    if (this.reportsScheduled) return
    this.reportsScheduled = true
    queueMicrotask(() => {
      this.flushReports()
    })
  }

  private flushReports(): void {
    this.reportsScheduled = false
    const reports = this.reports
    this.reports = []
    for (const exit of reports) this.handlers?.onExit(exit)
    for (const ending of this.ending) {
      if (this.hasIncarnation(ending.incarnation)) continue
      this.ending.delete(ending)
      ending.done()
    }
  }

  private hasIncarnation(incarnation: number): boolean {
    if (this.table.hasIncarnation(incarnation)) return true
    for (const attempt of this.shell.values()) if (attempt.incarnation <= incarnation) return true
    return false
  }

  private perform(effects: readonly Effect<number>[]): void {
    this.pool.perform(effects)
    this.rearm()
  }

  /** A timer that fires early finds nothing to do; so it is set anew only for an earlier moment. */
  private rearm(): void {
    const wakeAt = this.table.nextWake()
    if (this.closed || wakeAt === undefined || wakeAt >= this.wakeAt) return
    clearTimeout(this.wakeTimer)
    this.wakeAt = wakeAt
    this.wakeTimer = setTimeout(
      () => {
        this.wakeAt = Infinity
        this.perform(this.table.tick(this.options.clock.monotonicNow()))
      },
      Math.min(MAX_TIMER_MS, Math.max(0, Math.ceil(wakeAt - this.options.clock.monotonicNow())))
    )
  }

  private tell(message: ToSupervisor): void {
    this.client?.channel.send(message)
  }

  /** The clocks are read in this order so that a pause between the two makes the moment earlier, never later. */
  private toSystem(moment: number): number {
    const system = systemMonotonicMs()
    return system + (moment - this.options.clock.monotonicNow())
  }
}
