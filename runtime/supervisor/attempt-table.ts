/**
 * The rules by which attempts live and die on one node: when one may start, when it is asked to stop, when it is
 * killed, and that it is reported exactly once. The supervisor process, the `js` pool and the simulator drive the same
 * table; it owns the rules and the clocks' moments, they own processes, threads or virtual time.
 *
 * 1. Nothing starts unless its incarnation has a deadline whose margin is not reached, and was not ended.
 * 2. At deadline − margin everything of the incarnation is killed, except what may outlive a lease.
 * 3. A stop asks first and kills after the grace. A kill is never taken back and never becomes a mere request.
 * 4. Each `begin` yields exactly one `exit` effect, and not before the driver said that nothing of it runs any more.
 *
 * All moments are milliseconds on one monotonic clock, the caller's.
 */
import { invariant } from '../../base/invariant.ts'
import type { StopReason } from '../../scheduler/types.ts'
import { createDueQueue } from './due-queue.ts'
import { createLeaseBook } from './lease-book.ts'
import type { LeaseBook } from './lease-book.ts'

export interface TableOptions {
  /** How long before the deadline kills begin; ≥ 0. */
  readonly leaseMarginMs: number
}

export interface Supervised<K> {
  readonly key: K
  /** 0 when no lease limits it. */
  readonly incarnation: number
  /** Longest run, from `launched` on; 0 for no limit. */
  readonly startToCloseMs: number
  readonly killGraceMs: number
  readonly onLeaseLoss: 'kill' | 'continue'
}

/** How an attempt ended: by itself, because it was told to, or never having begun. */
export type Ending =
  | { readonly type: 'itself' }
  | { readonly type: 'stopped'; readonly reason: StopReason | 'lease' }
  | { readonly type: 'not-started'; readonly reason: StopReason | 'lease' | undefined }

/** What the driver must do, in order. */
export type Effect<K> =
  /** Start it, then call `launched`. */
  | { readonly type: 'launch'; readonly key: K }
  /** Ask it to stop: SIGTERM, an abort signal; or `withdrawn` when it had not begun. */
  | { readonly type: 'ask'; readonly key: K; readonly reason: StopReason | 'lease' }
  /** SIGKILL all that is left of it, then call `gone` when nothing is. */
  | { readonly type: 'kill'; readonly key: K }
  /** Its main process ended while it has time left to stop: call `gone` when nothing else of it runs. */
  | { readonly type: 'watch'; readonly key: K }
  | { readonly type: 'exit'; readonly key: K; readonly ending: Ending }

export interface AttemptTable<K> {
  readonly size: number
  has(key: K): boolean
  begin(attempt: Supervised<K>, now: number): readonly Effect<K>[]
  /** It runs now. */
  launched(key: K, now: number): readonly Effect<K>[]
  /** It never began and never will. `reason` when a lease was missing. */
  withdrawn(key: K, reason?: 'lease'): readonly Effect<K>[]
  /** Its main process ended; others of its tree may run. `beforeAsk`: it had ended before a request could reach it. */
  ended(key: K, options?: { readonly beforeAsk?: boolean }): readonly Effect<K>[]
  /** Nothing of it runs any more. */
  gone(key: K): readonly Effect<K>[]
  /** Does nothing for unknown keys and for what is stopping already. */
  stop(key: K, reason: StopReason, now: number): readonly Effect<K>[]
  /** It was killed for its lease by someone else; `gone` follows. */
  lapsed(key: K): void
  /** Moves an attempt to another incarnation's lease. */
  rebind(key: K, incarnation: number, onLeaseLoss: 'kill' | 'continue'): void
  extendLease(incarnation: number, deadline: number, now: number): readonly Effect<K>[]
  /** Kills all that belong to it or to earlier ones, whatever they may outlive, and refuses them for good. */
  endIncarnation(incarnation: number): readonly Effect<K>[]
  /** Kills everything, as when the node is gone. */
  killAll(): readonly Effect<K>[]
  /** The moment up to which an attempt of this incarnation may start; undefined for never. */
  mayStartUntil(incarnation: number): number | undefined
  /** Whether attempts of this incarnation are left. */
  hasIncarnation(incarnation: number): boolean
  tick(now: number): readonly Effect<K>[]
  /** When `tick` has something to do next; undefined for never. */
  nextWake(): number | undefined
}

interface Entry<K> {
  spec: Supervised<K>
  /** `begun` → `running` → `asked` → `killed`, skipping as needed. */
  phase: 'begun' | 'running' | 'asked' | 'killed'
  started: boolean
  /** The main process ended; `itself` when nobody had asked for it. */
  end: 'itself' | 'told' | undefined
  reason: StopReason | 'lease' | undefined
  /** The timeout while running, the end of the grace once asked; undefined for none. */
  wakeAt: number | undefined
}

const NOTHING: readonly never[] = []
/** Outdated moments that may wait without being looked for. */
const SPARE_WAKES = 64

/** An empty table: no attempts, no leases. */
export function createAttemptTable<K>(options: TableOptions): AttemptTable<K> {
  return new Table<K>(options.leaseMarginMs)
}

class Table<K> implements AttemptTable<K> {
  private readonly entries = new Map<K, Entry<K>>()
  private readonly wakes = createDueQueue<K>()
  private readonly leases: LeaseBook

  constructor(leaseMarginMs: number) {
    this.leases = createLeaseBook(leaseMarginMs)
  }

  get size(): number {
    return this.entries.size
  }

  has(key: K): boolean {
    return this.entries.has(key)
  }

  begin(spec: Supervised<K>, now: number): readonly Effect<K>[] {
    const { key, incarnation } = spec
    invariant(!this.entries.has(key), () => `an attempt was begun twice: ${String(key)}`)
    const until = this.leases.mayStartUntil(incarnation)
    if (until === undefined || now >= until) {
      return [{ type: 'exit', key, ending: { type: 'not-started', reason: 'lease' } }]
    }
    this.entries.set(key, {
      spec,
      phase: 'begun',
      started: false,
      end: undefined,
      reason: undefined,
      wakeAt: undefined
    })
    this.leases.hold(incarnation)
    return [{ type: 'launch', key }]
  }

  launched(key: K, now: number): readonly Effect<K>[] {
    const entry = this.entries.get(key)
    if (entry === undefined || entry.started) return NOTHING
    entry.started = true
    if (entry.phase !== 'begun') return NOTHING
    entry.phase = 'running'
    if (entry.spec.startToCloseMs > 0) this.wake(entry, now + entry.spec.startToCloseMs)
    return NOTHING
  }

  withdrawn(key: K, reason?: 'lease'): readonly Effect<K>[] {
    const entry = this.entries.get(key)
    if (entry === undefined) return NOTHING
    return this.exit(entry, { type: 'not-started', reason: entry.reason ?? reason })
  }

  ended(key: K, { beforeAsk = false } = {}): readonly Effect<K>[] {
    const entry = this.entries.get(key)
    if (entry === undefined || entry.end !== undefined) return NOTHING
    const wasTold = entry.phase === 'asked' || entry.phase === 'killed'
    entry.end = wasTold && !beforeAsk ? 'told' : 'itself'
    if (entry.phase === 'killed') return NOTHING
    // Others of its process group received the same request and have the same time to answer it.
    if (entry.phase === 'asked') return [{ type: 'watch', key }]
    entry.phase = 'killed'
    entry.wakeAt = undefined
    return [{ type: 'kill', key }]
  }

  gone(key: K): readonly Effect<K>[] {
    const entry = this.entries.get(key)
    if (entry === undefined) return NOTHING
    if (entry.end === 'itself' || entry.reason === undefined) return this.exit(entry, { type: 'itself' })
    return this.exit(entry, { type: 'stopped', reason: entry.reason })
  }

  stop(key: K, reason: StopReason, now: number): readonly Effect<K>[] {
    const entry = this.entries.get(key)
    return entry === undefined ? NOTHING : this.ask(entry, reason, now)
  }

  lapsed(key: K): void {
    const entry = this.entries.get(key)
    if (entry !== undefined) this.kill(entry)
  }

  rebind(key: K, incarnation: number, onLeaseLoss: 'kill' | 'continue'): void {
    const entry = this.entries.get(key)
    if (entry === undefined) return
    this.leases.release(entry.spec.incarnation)
    this.leases.hold(incarnation)
    entry.spec = { ...entry.spec, incarnation, onLeaseLoss }
  }

  extendLease(incarnation: number, deadline: number, now: number): readonly Effect<K>[] {
    // What lapsed before the extension arrived has lapsed, even if nobody had looked.
    const effects = this.lapse(now)
    this.leases.extend(incarnation, deadline)
    return effects
  }

  endIncarnation(incarnation: number): readonly Effect<K>[] {
    this.leases.end(incarnation)
    return this.killWhere(({ spec }) => spec.incarnation > 0 && spec.incarnation <= incarnation)
  }

  killAll(): readonly Effect<K>[] {
    return this.killWhere(() => true)
  }

  mayStartUntil(incarnation: number): number | undefined {
    return this.leases.mayStartUntil(incarnation)
  }

  hasIncarnation(incarnation: number): boolean {
    return this.leases.holds(incarnation) > 0
  }

  tick(now: number): readonly Effect<K>[] {
    const effects = [...this.lapse(now)]
    for (let due = this.wakes.peek(); due !== undefined && due.at <= now; due = this.wakes.peek()) {
      this.wakes.take()
      const entry = this.entries.get(due.key)
      if (entry?.wakeAt !== due.at) continue
      entry.wakeAt = undefined
      effects.push(...(entry.phase === 'asked' ? this.kill(entry) : this.ask(entry, 'timeout', now)))
    }
    return effects
  }

  nextWake(): number | undefined {
    let due = this.wakes.peek()
    while (due !== undefined && this.entries.get(due.key)?.wakeAt !== due.at) {
      this.wakes.take()
      due = this.wakes.peek()
    }
    const lease = this.leases.nextLapse()
    if (due === undefined) return lease
    return lease === undefined ? due.at : Math.min(due.at, lease)
  }

  private wake(entry: Entry<K>, at: number): void {
    entry.wakeAt = at
    this.wakes.add(at, entry.spec.key)
    // Outdated moments stay in the queue until they come up; long timeouts of short attempts would pile up.
    if (this.wakes.size <= 2 * this.entries.size + SPARE_WAKES) return
    this.wakes.prune((due, key) => this.entries.get(key)?.wakeAt === due)
  }

  private ask(entry: Entry<K>, reason: StopReason, now: number): readonly Effect<K>[] {
    if (entry.phase === 'asked' || entry.phase === 'killed') return NOTHING
    entry.phase = 'asked'
    entry.reason = reason
    this.wake(entry, now + entry.spec.killGraceMs)
    return [{ type: 'ask', key: entry.spec.key, reason }]
  }

  /** Whoever was asked before keeps that reason; else it is the lease that kills. */
  private kill(entry: Entry<K>): readonly Effect<K>[] {
    if (entry.phase === 'killed') return NOTHING
    entry.phase = 'killed'
    entry.reason ??= 'lease'
    entry.wakeAt = undefined
    return [{ type: 'kill', key: entry.spec.key }]
  }

  private killWhere(match: (entry: Entry<K>) => boolean): readonly Effect<K>[] {
    const effects: Effect<K>[] = []
    for (const entry of this.entries.values()) if (match(entry)) effects.push(...this.kill(entry))
    return effects
  }

  private lapse(now: number): readonly Effect<K>[] {
    const lapsed = this.leases.takeLapsed(now)
    if (lapsed.length === 0) return NOTHING
    return this.killWhere(({ spec }) => spec.onLeaseLoss === 'kill' && lapsed.includes(spec.incarnation))
  }

  private exit(entry: Entry<K>, ending: Ending): readonly Effect<K>[] {
    this.entries.delete(entry.spec.key)
    this.leases.release(entry.spec.incarnation)
    return [{ type: 'exit', key: entry.spec.key, ending }]
  }
}
