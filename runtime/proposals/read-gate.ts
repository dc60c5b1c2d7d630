/**
 * Linearizable reads on any node: a read is answered from local state once this node has applied what was committed when
 * the read arrived (Raft thesis §6.4, ReadIndex).
 *
 * All reads that arrive between two rounds share one; a round that gets no answer (no leader, a lost message) is begun
 * again until each waiter's own time limit.
 */
import { AppError } from '../../base/errors.ts'
import type { StepResult } from '../../consensus/index.ts'
import type { Clock } from '../ports/clock.ts'

interface Waiter {
  readonly expiresAt: number
  readonly resolve: () => void
  readonly reject: (error: AppError) => void
}

interface Round {
  readonly waiters: Waiter[]
  readonly begunAt: number
}

interface AppliedWaiter {
  readonly index: number
  readonly expiresAt: number
  readonly done: (reached: boolean) => void
}

export interface ReadGateInput {
  readonly clock: Clock
  /**
   * Drawn at random: sets this life's rounds apart from those of a former one, whose answers, still on their way, must
   * not confirm a read of this one. 32 bits.
   */
  readonly seed: number
  readonly readIndex: (context: Uint8Array) => StepResult
  readonly retryMs: number
}

/** Rounds that one life may begin before its numbers could meet those of another. */
const ROUNDS_OF_A_LIFE = 2 ** 20

/** First byte of a read's context, so that lease rounds and reads cannot be mistaken for each other. */
export const READ_CONTEXT = 0x52

export class ReadGate {
  readonly #input: ReadGateInput
  #next: Waiter[] = []
  readonly #rounds = new Map<number, Round>()
  #roundNumber: number
  #applied: AppliedWaiter[] = []
  #appliedIndex: number

  constructor(input: ReadGateInput, appliedIndex: number) {
    this.#input = input
    this.#roundNumber = input.seed * ROUNDS_OF_A_LIFE
    this.#appliedIndex = appliedIndex
  }

  /** Resolves when reading local state is linearizable with everything acknowledged before the call. */
  barrier(timeoutMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#next.push({ expiresAt: this.#input.clock.monotonicNow() + timeoutMs, resolve, reject })
    })
  }

  /** Resolves to whether `index` was applied in time. */
  waitApplied(index: number, timeoutMs: number): Promise<boolean> {
    if (this.#appliedIndex >= index) return Promise.resolve(true)
    return new Promise((done) => {
      this.#applied.push({ index, expiresAt: this.#input.clock.monotonicNow() + timeoutMs, done })
    })
  }

  /** At the end of a turn: one round for all reads that gathered. */
  flush(): void {
    if (this.#next.length === 0) return
    const waiters = this.#next
    this.#next = []
    this.#roundNumber += 1
    this.#rounds.set(this.#roundNumber, { waiters, begunAt: this.#input.clock.monotonicNow() })
    this.#input.readIndex(contextOf(this.#roundNumber))
  }

  /** Raft confirmed a round at `index`. */
  confirmed(index: number, context: Uint8Array): void {
    const number = roundOf(context)
    const round = this.#rounds.get(number)
    if (round === undefined) return
    this.#rounds.delete(number)
    for (const waiter of round.waiters) {
      if (this.#appliedIndex >= index) waiter.resolve()
      else this.#applied.push({ index, expiresAt: waiter.expiresAt, done: settle(waiter) })
    }
  }

  applied(index: number): void {
    this.#appliedIndex = index
    if (this.#applied.length === 0) return
    const waiting: AppliedWaiter[] = []
    for (const waiter of this.#applied) {
      if (waiter.index <= index) waiter.done(true)
      else waiting.push(waiter)
    }
    this.#applied = waiting
  }

  /** Once per tick: begins unanswered rounds again, and gives up what is too old. */
  tick(): void {
    const now = this.#input.clock.monotonicNow()
    for (const [number, round] of this.#rounds) {
      if (now - round.begunAt < this.#input.retryMs) continue
      this.#rounds.delete(number)
      this.#next.push(...round.waiters)
    }
    this.#next = this.#next.filter((waiter) => {
      if (now < waiter.expiresAt) return true
      waiter.reject(noLeader())
      return false
    })
    this.#applied = this.#applied.filter((waiter) => {
      if (now < waiter.expiresAt) return true
      waiter.done(false)
      return false
    })
  }

  /** Rejects what waits: the node stops. */
  close(): void {
    const waiters = [...this.#next, ...[...this.#rounds.values()].flatMap((round) => round.waiters)]
    this.#next = []
    this.#rounds.clear()
    for (const waiter of waiters) waiter.reject(new AppError('SHUTTING_DOWN', 'the node is stopping'))
    for (const waiter of this.#applied) waiter.done(false)
    this.#applied = []
  }
}

function settle(waiter: Waiter): (reached: boolean) => void {
  return (reached) => {
    if (reached) waiter.resolve()
    else waiter.reject(noLeader())
  }
}

function noLeader(): AppError {
  return new AppError('NO_LEADER', 'no leader confirmed the read within the time limit')
}

function contextOf(round: number): Uint8Array {
  const context = new Uint8Array(9)
  context[0] = READ_CONTEXT
  new DataView(context.buffer).setFloat64(1, round)
  return context
}

function roundOf(context: Uint8Array): number {
  if (context.length !== 9 || context[0] !== READ_CONTEXT) return -1
  return new DataView(context.buffer, context.byteOffset, context.byteLength).getFloat64(1)
}
