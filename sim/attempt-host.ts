/**
 * Simulated execution: one machine's attempts in virtual time, under the same rules as real ones. What an attempt does
 * comes from a script; nothing is executed.
 *
 * A machine outlives the node process on it: `crash` ends the node's host without a word, the machine's supervisor
 * notices and kills what ran, and the next host's `start` waits for that.
 *
 * 1. Each `begin` is answered by exactly one `onExit`, never from within a call, unless the host crashed.
 * 2. The ledger learns of every start and every end, also of those that no host lives to report.
 */
import { invariant } from '../base/invariant.ts'
import { durationMs } from '../base/units.ts'
import type { MonotonicMs, TimestampMs } from '../base/units.ts'
import type { AttemptHandlers, AttemptHost, AttemptStart } from '../runtime/ports/attempt-host.ts'
import type { Clock } from '../runtime/ports/clock.ts'
import type { Timers } from '../runtime/ports/timers.ts'
import { createAttemptTable } from '../runtime/supervisor/attempt-table.ts'
import type { AttemptTable, Effect, Ending } from '../runtime/supervisor/attempt-table.ts'
import { attemptExit } from '../runtime/supervisor/exit.ts'
import type { NaturalEnd } from '../runtime/supervisor/exit.ts'
import type { AttemptLedger } from './attempt-ledger.ts'

/** What one attempt does. */
export interface SimBehaviour {
  /** How long it runs when nobody stops it; Infinity for ever. */
  readonly runMs: number
  readonly end: NaturalEnd
  /** How long it takes to obey a request to stop; Infinity when it ignores it. */
  readonly obeyMs: number
  readonly output?: readonly { readonly stream: 'stdout' | 'stderr'; readonly bytes: Uint8Array }[]
  readonly peakMemoryBytes?: number
}

export interface SimMachineOptions {
  /** The machine's clock, on which the node's deadlines are given too. */
  readonly clock: Clock
  /** The machine's timers: they go on when the node on it crashes or is paused. */
  readonly timers: Timers
  /** Names the machine in the ledger. */
  readonly name: string
  readonly offer: AttemptHost['offer']
  readonly leaseMarginMs: number
  /** From a kill to the end of the whole tree. Less than the margin, or a lease may be outlived. */
  readonly killMs: number
  /** From the node's death to the supervisor's noticing it. */
  readonly noticeMs: number
  readonly behaviour: (attempt: AttemptStart) => SimBehaviour
  readonly ledger: AttemptLedger
}

export interface SimMachine {
  /** A host for the node's next life. The former one must have crashed or been closed. */
  createHost(): AttemptHost
  /** The node process dies: its host is told nothing more, and what ran is killed soon after. */
  crash(): void
  /** The supervisor process dies, and everything with it; the host says so with `onLost`. */
  loseSupervisor(): void
  /** Attempts that run now. */
  running(): number
}

interface Run {
  readonly attempt: AttemptStart
  readonly behaviour: SimBehaviour
  readonly startedAt: TimestampMs
  readonly startedMono: MonotonicMs
  natural: NaturalEnd | undefined
  cancelTimer: () => void
}

/** A machine on which nothing runs. */
export function createSimMachine(options: SimMachineOptions): SimMachine {
  let supervisor: SimSupervisor | undefined
  return {
    createHost: () => {
      invariant(supervisor?.detached !== false, 'a machine has one node at a time')
      const predecessor = supervisor
      const next = new SimSupervisor(options, predecessor)
      supervisor = next
      return next
    },
    crash: () => supervisor?.crash(),
    loseSupervisor: () => supervisor?.lose(),
    running: () => supervisor?.running() ?? 0
  }
}

/** One life of a supervisor together with the host that its node sees. */
class SimSupervisor implements AttemptHost {
  /** The node is gone: nobody is told anything any more. */
  detached = false
  readonly offer: AttemptHost['offer']
  private readonly options: SimMachineOptions
  private readonly predecessor: SimSupervisor | undefined
  private readonly runs = new Map<number, Run>()
  private readonly waiters: (() => void)[] = []
  private table: AttemptTable<number>
  private handlers: AttemptHandlers | undefined
  private lastIncarnation = 0
  private cancelWake = (): void => undefined

  constructor(options: SimMachineOptions, predecessor: SimSupervisor | undefined) {
    this.options = options
    this.predecessor = predecessor
    this.offer = options.offer
    this.table = createAttemptTable({ leaseMarginMs: options.leaseMarginMs })
  }

  async start(handlers: AttemptHandlers): Promise<void> {
    this.handlers = handlers
    await this.predecessor?.whenIdle()
  }

  begin(attempt: AttemptStart): void {
    const { token, incarnation, startToCloseMs, killGraceMs, onLeaseLoss } = attempt
    const run: Run = {
      attempt,
      behaviour: this.options.behaviour(attempt),
      startedAt: this.options.clock.wallNow(),
      startedMono: this.now(),
      natural: undefined,
      cancelTimer: () => undefined
    }
    this.runs.set(token, run)
    const supervised = { key: token, incarnation, startToCloseMs, killGraceMs, onLeaseLoss }
    this.perform(this.table.begin(supervised, this.now()))
  }

  stop(token: AttemptStart['token'], reason: Parameters<AttemptHost['stop']>[1]): void {
    this.perform(this.table.stop(token, reason, this.now()))
  }

  extendLease(incarnation: AttemptStart['incarnation'], deadline: MonotonicMs): void {
    this.lastIncarnation = Math.max(this.lastIncarnation, incarnation)
    this.perform(this.table.extendLease(incarnation, deadline, this.now()))
  }

  async endIncarnation(incarnation: AttemptStart['incarnation']): Promise<void> {
    this.perform(this.table.endIncarnation(incarnation))
    while ([...this.runs.values()].some(({ attempt }) => attempt.incarnation <= incarnation)) {
      await this.whenNext()
    }
  }

  async close(): Promise<void> {
    this.perform(this.table.killAll())
    await this.whenIdle()
    this.detached = true
    this.cancelWake()
  }

  running(): number {
    return this.runs.size
  }

  crash(): void {
    this.detached = true
    this.options.timers.after(this.options.noticeMs, () => {
      this.perform(this.table.killAll())
    })
  }

  lose(): void {
    const lost = [...this.runs.values()]
    this.table.endIncarnation(this.lastIncarnation)
    for (const { attempt } of lost) {
      this.table.lapsed(attempt.token)
      this.perform(this.table.gone(attempt.token))
    }
    this.tell((handlers) => {
      handlers.onLost(new Error('the supervisor process is gone'))
    })
  }

  private whenNext(): Promise<void> {
    return new Promise((resolve) => {
      this.waiters.push(resolve)
    })
  }

  private async whenIdle(): Promise<void> {
    await this.predecessor?.whenIdle()
    while (this.runs.size > 0) await this.whenNext()
  }

  private now(): MonotonicMs {
    return this.options.clock.monotonicNow()
  }

  private tell(call: (handlers: AttemptHandlers) => void): void {
    this.options.timers.soon(() => {
      if (!this.detached && this.handlers !== undefined) call(this.handlers)
    })
  }

  private perform(effects: readonly Effect<number>[]): void {
    for (const effect of effects) {
      const run = this.runs.get(effect.key)
      if (run !== undefined) this.performOne(effect, run)
    }
    this.cancelWake()
    const wakeAt = this.table.nextWake()
    if (wakeAt === undefined) return
    this.cancelWake = this.options.timers.after(Math.max(0, wakeAt - this.now()), () => {
      this.perform(this.table.tick(this.now()))
    })
  }

  private performOne(effect: Effect<number>, run: Run): void {
    switch (effect.type) {
      case 'launch':
        this.launch(run)
        return
      case 'ask':
        this.endAfter(run, run.behaviour.obeyMs, undefined)
        return
      case 'kill':
      case 'watch': {
        const token = run.attempt.token
        run.cancelTimer()
        // What ended by itself leaves nothing behind here.
        const delayMs = run.natural === undefined && effect.type === 'kill' ? this.options.killMs : 0
        run.cancelTimer = this.options.timers.after(delayMs, () => {
          this.perform(this.table.gone(token))
        })
        return
      }
      case 'exit':
        this.exit(run, effect.ending)
    }
  }

  private launch(run: Run): void {
    const { attempt, behaviour } = run
    this.options.ledger.started(attempt, this.options.name)
    this.tell((handlers) => {
      handlers.onStarted(attempt.token, run.startedAt)
      for (const { stream, bytes } of behaviour.output ?? []) handlers.onOutput(attempt.token, stream, bytes)
    })
    this.perform(this.table.launched(attempt.token, this.now()))
    this.endAfter(run, behaviour.runMs, behaviour.end)
  }

  private endAfter(run: Run, delayMs: number, natural: NaturalEnd | undefined): void {
    run.cancelTimer()
    if (delayMs === Infinity) return
    run.cancelTimer = this.options.timers.after(delayMs, () => {
      run.natural = natural
      this.perform(this.table.ended(run.attempt.token))
    })
  }

  private exit(run: Run, ending: Ending): void {
    const { attempt, behaviour, natural, startedAt, startedMono } = run
    run.cancelTimer()
    if (ending.type !== 'not-started') this.options.ledger.ended(attempt, this.options.name)
    const facts = {
      token: attempt.token,
      startedAt,
      finishedAt: this.options.clock.wallNow(),
      runMs: durationMs(this.now() - startedMono),
      peakMemoryBytes: behaviour.peakMemoryBytes ?? 0
    }
    this.options.timers.soon(() => {
      // Whoever waits for the end of an attempt waits for its report.
      this.runs.delete(attempt.token)
      if (!this.detached) this.handlers?.onExit(attemptExit(facts, ending, natural))
      for (const wake of this.waiters.splice(0)) wake()
    })
  }
}
