/**
 * Pool processes of one kind and the attempts that wait for them: when to spawn one, which to use, when to let one go.
 *
 * `process`: one attempt at a time each (those of brisk handlers may be handed over ahead of their turn); the pool is kept warm, grows while attempts wait (long ones get a process of
 * their own, short ones share few) and shrinks when idle. `threads`: one process with a thread an attempt.
 */
import { randomBytes } from 'node:crypto'
import { availableParallelism } from 'node:os'
import type { Clock } from '../../../runtime/ports/clock.ts'
import type { Logger } from '../../../runtime/ports/log.ts'
import type { AttemptStart } from '../../../runtime/ports/attempt-host.ts'
import type { Channel } from '../../supervisor/channel.ts'
import type { FromSupervisor, PoolRole, ToSupervisor } from '../../supervisor/protocol.ts'
import { systemMonotonicMs } from '../../supervisor/system-monotonic.ts'
import { Briskness } from './briskness.ts'
import { toJsAttempt } from './js-attempt.ts'
import type { HandlerEntry, ToPool } from './protocol.ts'

const IDLE_MS = 30_000
/** More at once would only slow each other, and the attempts that run, down. */
const MAX_STARTING = Math.min(4, availableParallelism())
/** How many times longer brisk attempts wait before the pool grows for them. */
const BRISK_PATIENCE = 20
/** Attempts of a brisk handler that one process holds at once, the running one included. */
const PIPELINE_DEPTH = 32
const RESTART_BASE_MS = 100
const RESTART_MAX_MS = 5000

export interface LaneOptions {
  readonly slots: number
  readonly warm: number
  readonly growAfterMs: number
  readonly recycleAfterAttempts: number
  readonly recycleAboveBytes: number
  readonly clock: Clock
  readonly log: Logger
  readonly supervisor: { send(message: ToSupervisor): void; flush(): void }
  /** Numbers of pool processes, shared by all lanes. */
  readonly nextChild: () => number
  /** Until when an attempt of the incarnation may start, on the system's monotonic clock. */
  readonly notAfter: (incarnation: number) => number
}

export interface PoolProcess {
  readonly child: number
  readonly role: PoolRole
  readonly secret: string
  readonly capacity: number
  /** What it was handed and has not answered, in that order: the first one runs (of a thread host, all do). */
  readonly running: Set<AttemptStart>
  /** Those of them that may have begun without a word: see `Briskness`. */
  readonly unannounced: Set<AttemptStart>
  /** Undefined until it has connected. */
  channel: Channel<ToPool> | undefined
  closed: boolean
  gone: Extract<FromSupervisor, { type: 'child-gone' }> | undefined
  /** It gets no more attempts: it is being ended. */
  retired: boolean
  /** It has had its share, or has grown too large: it is ended once its hands are empty. */
  worn: boolean
  /** It was asked to give back what it has not begun, and has not answered. */
  recalling: boolean
  boundTo: string
  attempts: number
  /** Since when it has been working on the attempt that it works on; meaningless while it has none. */
  busySince: number
  idleSince: number
  lastWords: string
}

export interface Lane {
  add(attempt: AttemptStart): void
  /** Takes a waiting attempt out again. */
  withdraw(attempt: AttemptStart): void
  /** The process is done with the attempt. */
  release(process: PoolProcess, attempt: AttemptStart, used: { residentBytes: number; runMs: number }): void
  /** The process gave the attempt back, not begun. */
  takeBack(process: PoolProcess, attempt: AttemptStart): void
  /** Has the process killed. */
  retire(process: PoolProcess): void
  gone(process: PoolProcess): void
  connected(process: PoolProcess, channel: Channel<ToPool>): void
  setHandlers(handlers: readonly HandlerEntry[]): void
  warm(): void
  shrink(): void
  find(child: number): PoolProcess | undefined
  processes(): readonly PoolProcess[]
  close(): void
}

/** `assign` is told of each attempt before its process is; false when the attempt is no more. */
export function createLane(
  role: 'process' | 'threads',
  options: LaneOptions,
  assign: (attempt: AttemptStart, process: PoolProcess) => boolean
): Lane {
  return new PoolLane(role, options, assign)
}

class PoolLane implements Lane {
  private readonly role: 'process' | 'threads'
  private readonly options: LaneOptions
  private readonly assign: (attempt: AttemptStart, process: PoolProcess) => boolean
  private readonly children = new Map<number, PoolProcess>()
  /** In order of arrival; a set, so that one can be withdrawn at once. */
  private readonly waiting = new Set<AttemptStart>()
  private readonly most: number
  private readonly keep: number
  private readonly brisk = new Briskness()
  private free: PoolProcess[] = []
  private handlers: readonly HandlerEntry[] = []
  private starting = 0
  private growTimer: NodeJS.Timeout | undefined
  private restartMs = 0
  private closed = false

  constructor(role: 'process' | 'threads', options: LaneOptions, assign: PoolLane['assign']) {
    this.role = role
    this.options = options
    this.assign = assign
    this.most = role === 'process' ? options.slots : 1
    this.keep = role === 'process' ? Math.min(options.warm, options.slots) : 0
  }

  add(attempt: AttemptStart): void {
    this.waiting.add(attempt)
    this.pump()
  }

  withdraw(attempt: AttemptStart): void {
    this.waiting.delete(attempt)
  }

  release(process: PoolProcess, attempt: AttemptStart, used: { residentBytes: number; runMs: number }): void {
    process.running.delete(attempt)
    process.unannounced.delete(attempt)
    process.attempts += 1
    this.brisk.observe(attempt.handler, used.runMs)
    if (process.retired) return
    const { recycleAfterAttempts, recycleAboveBytes } = this.options
    process.worn ||= process.attempts >= recycleAfterAttempts || used.residentBytes > recycleAboveBytes
    if (process.worn && process.running.size === 0) {
      this.retire(process)
      this.warm()
      this.pump()
      return
    }
    process.idleSince = systemMonotonicMs()
    process.busySince = process.idleSince
    process.recalling = false
    if (process.running.size < process.capacity) this.free.push(process)
    this.pump()
  }

  takeBack(process: PoolProcess, attempt: AttemptStart): void {
    process.running.delete(attempt)
    process.unannounced.delete(attempt)
    this.brisk.observe(attempt.handler, Infinity)
  }

  retire(process: PoolProcess): void {
    if (process.retired) return
    process.retired = true
    this.free = this.free.filter((other) => other !== process)
    this.options.supervisor.send({ type: 'kill', child: process.child })
  }

  gone(process: PoolProcess): void {
    for (const { handler } of process.running) this.brisk.observe(handler, Infinity)
    this.children.delete(process.child)
    this.free = this.free.filter((other) => other !== process)
    if (process.channel === undefined) this.starting -= 1
    if (process.channel === undefined && !process.retired && !this.closed) {
      this.restartMs = Math.min(RESTART_MAX_MS, Math.max(RESTART_BASE_MS, 2 * this.restartMs))
      const { child, lastWords } = process
      this.options.log.error({ child, lastWords }, 'a pool process ended before it was ready')
    }
    if (this.closed) return
    if (this.restartMs === 0) this.refill()
    else
      setTimeout(() => {
        this.refill()
      }, this.restartMs).unref()
  }

  connected(process: PoolProcess, channel: Channel<ToPool>): void {
    process.channel = channel
    this.starting -= 1
    this.restartMs = 0
    if (process.retired) return
    channel.send({ type: 'handlers', handlers: this.handlers })
    process.idleSince = systemMonotonicMs()
    for (let slot = 0; slot < process.capacity; slot++) this.free.push(process)
    this.pump()
  }

  setHandlers(handlers: readonly HandlerEntry[]): void {
    this.handlers = handlers
  }

  warm(): void {
    while (!this.closed && this.usable() < this.keep) this.spawn()
  }

  shrink(): void {
    const before = systemMonotonicMs() - IDLE_MS
    for (const process of this.children.values()) {
      if (this.usable() <= this.keep) return
      const idle = process.channel !== undefined && process.running.size === 0 && !process.retired
      if (idle && process.idleSince < before) this.retire(process)
    }
  }

  find(child: number): PoolProcess | undefined {
    return this.children.get(child)
  }

  processes(): readonly PoolProcess[] {
    return [...this.children.values()]
  }

  close(): void {
    this.closed = true
    clearTimeout(this.growTimer)
  }

  private usable(): number {
    let count = 0
    for (const process of this.children.values()) if (!process.retired) count += 1
    return count
  }

  private refill(): void {
    this.warm()
    this.pump()
  }

  private pump(): void {
    for (const attempt of this.waiting) {
      const idle = this.free.pop()
      const process = idle ?? this.pipelineFor(attempt)
      if (process === undefined) {
        this.grow()
        return
      }
      this.waiting.delete(attempt)
      if (this.assign(attempt, process)) this.hand(attempt, process)
      else if (idle !== undefined) this.free.push(idle)
    }
  }

  /** A process that works on attempts of the same brisk handler and may hold one more of them. */
  private pipelineFor(attempt: AttemptStart): PoolProcess | undefined {
    if (this.role !== 'process' || !this.brisk.isBrisk(attempt.handler)) return undefined
    let best: PoolProcess | undefined
    let fewest = PIPELINE_DEPTH
    for (const process of this.children.values()) {
      if (process.retired || process.worn || process.channel === undefined) continue
      if (process.running.size >= fewest) continue
      const [head] = process.running
      if (head?.handler !== attempt.handler || head.incarnation !== attempt.incarnation) continue
      if (head.onLeaseLoss !== attempt.onLeaseLoss) continue
      fewest = process.running.size
      best = process
    }
    return best
  }

  private hand(attempt: AttemptStart, process: PoolProcess): void {
    if (process.running.size === 0) process.busySince = systemMonotonicMs()
    process.running.add(attempt)
    this.bind(attempt, process)
    const notAfter = this.options.notAfter(attempt.incarnation)
    const announce = !this.brisk.isTrusted(attempt.handler)
    if (!announce) process.unannounced.add(attempt)
    process.channel?.send({ type: 'run', attempt: toJsAttempt(attempt), notAfter, announce })
  }

  private bind(attempt: AttemptStart, process: PoolProcess): void {
    let hold = true
    for (const running of process.running) hold &&= running.onLeaseLoss === 'continue'
    const binding = `${attempt.incarnation} ${hold}`
    if (process.boundTo === binding) return
    process.boundTo = binding
    const { child } = process
    this.options.supervisor.send({ type: 'bind', child, incarnation: attempt.incarnation, hold })
    // The supervisor must know before the process does, also if this one stops right here.
    this.options.supervisor.flush()
  }

  /** An attempt waits and no process is free. */
  private grow(): void {
    if (this.closed || this.usable() >= this.most || this.restartMs > 0) return
    if (this.usable() < Math.max(1, this.keep)) {
      this.spawn()
      return
    }
    if (this.growTimer !== undefined) return
    this.growTimer = setTimeout(() => {
      this.growTimer = undefined
      this.growWhereStuck()
      this.pump()
    }, this.options.growAfterMs)
  }

  /**
   * Short attempts make room sooner than a process starts, however many wait: only when every process has been at one
   * attempt for a while does another process help.
   */
  private growWhereStuck(): void {
    const [first] = this.waiting
    // On a busy machine a short attempt takes long too, and another process would only make it take longer.
    const patience = first !== undefined && this.brisk.isBrisk(first.handler) ? BRISK_PATIENCE : 1
    const before = systemMonotonicMs() - patience * this.options.growAfterMs
    for (const process of this.children.values()) {
      const stuck = process.running.size > 0 && process.busySince <= before
      if (!process.retired && process.channel !== undefined && !stuck) return
    }
    const room = Math.min(
      this.most - this.usable(),
      MAX_STARTING - this.starting,
      this.waiting.size - this.starting
    )
    for (let count = 0; count < room; count++) this.spawn()
  }

  private spawn(): void {
    const process: PoolProcess = {
      child: this.options.nextChild(),
      role: this.role,
      secret: randomBytes(16).toString('hex'),
      capacity: this.role === 'process' ? 1 : this.options.slots,
      running: new Set(),
      unannounced: new Set(),
      channel: undefined,
      closed: false,
      gone: undefined,
      retired: false,
      worn: false,
      recalling: false,
      boundTo: '',
      attempts: 0,
      busySince: 0,
      idleSince: 0,
      lastWords: ''
    }
    this.children.set(process.child, process)
    this.starting += 1
    const { child, role, secret } = process
    this.options.supervisor.send({ type: 'spawn', child, role, secret })
  }
}
