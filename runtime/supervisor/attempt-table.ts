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

/** An empty table: no attempts, no leases. */
export function createAttemptTable<K>(options: TableOptions): AttemptTable<K> {
  const entries = new Map<K, Entry<K>>()
  const wakes = createDueQueue<K>()
  const leases = createLeaseBook(options.leaseMarginMs)

  const wake = (entry: Entry<K>, at: number): void => {
    entry.wakeAt = at
    wakes.add(at, entry.spec.key)
    // Outdated moments stay in the queue until they come up; long timeouts of short attempts would pile up.
    if (wakes.size > 2 * entries.size + 64) wakes.prune((due, key) => entries.get(key)?.wakeAt === due)
  }
  const kill = (entry: Entry<K>, reason: StopReason | 'lease'): readonly Effect<K>[] => {
    if (entry.phase === 'killed') return NOTHING
    entry.phase = 'killed'
    entry.reason ??= reason
    entry.wakeAt = undefined
    return [{ type: 'kill', key: entry.spec.key }]
  }
  const ask = (entry: Entry<K>, reason: StopReason, now: number): readonly Effect<K>[] => {
    if (entry.phase === 'asked' || entry.phase === 'killed') return NOTHING
    entry.phase = 'asked'
    entry.reason = reason
    wake(entry, now + entry.spec.killGraceMs)
    return [{ type: 'ask', key: entry.spec.key, reason }]
  }
  const exit = (entry: Entry<K>, ending: Ending): readonly Effect<K>[] => {
    entries.delete(entry.spec.key)
    leases.release(entry.spec.incarnation)
    return [{ type: 'exit', key: entry.spec.key, ending }]
  }
  const killWhere = (reason: 'lease', match: (entry: Entry<K>) => boolean): Effect<K>[] => {
    const effects: Effect<K>[] = []
    for (const entry of entries.values()) if (match(entry)) effects.push(...kill(entry, reason))
    return effects
  }
  const lapse = (now: number): readonly Effect<K>[] => {
    const lapsed = leases.takeLapsed(now)
    if (lapsed.length === 0) return NOTHING
    return killWhere('lease', ({ spec }) => spec.onLeaseLoss === 'kill' && lapsed.includes(spec.incarnation))
  }

  return {
    get size() {
      return entries.size
    },
    has: (key) => entries.has(key),
    begin: (spec, now) => {
      invariant(!entries.has(spec.key), () => `an attempt was begun twice: ${String(spec.key)}`)
      const until = leases.mayStartUntil(spec.incarnation)
      if (until === undefined || now >= until) {
        return [{ type: 'exit', key: spec.key, ending: { type: 'not-started', reason: 'lease' } }]
      }
      const entry: Entry<K> = {
        spec,
        phase: 'begun',
        started: false,
        end: undefined,
        reason: undefined,
        wakeAt: undefined
      }
      entries.set(spec.key, entry)
      leases.hold(spec.incarnation)
      return [{ type: 'launch', key: spec.key }]
    },
    launched: (key, now) => {
      const entry = entries.get(key)
      if (entry === undefined || entry.started) return NOTHING
      entry.started = true
      if (entry.phase !== 'begun') return NOTHING
      entry.phase = 'running'
      if (entry.spec.startToCloseMs > 0) wake(entry, now + entry.spec.startToCloseMs)
      return NOTHING
    },
    withdrawn: (key, reason) => {
      const entry = entries.get(key)
      if (entry === undefined) return NOTHING
      return exit(entry, { type: 'not-started', reason: entry.reason ?? reason })
    },
    ended: (key, { beforeAsk = false } = {}) => {
      const entry = entries.get(key)
      if (entry === undefined || entry.end !== undefined) return NOTHING
      const toldSo = entry.phase === 'asked' || entry.phase === 'killed'
      entry.end = toldSo && !beforeAsk ? 'told' : 'itself'
      if (entry.phase === 'killed') return NOTHING
      // Others of its process group received the same request and have the same time to answer it.
      if (entry.phase === 'asked') return [{ type: 'watch', key }]
      entry.phase = 'killed'
      entry.wakeAt = undefined
      return [{ type: 'kill', key }]
    },
    gone: (key) => {
      const entry = entries.get(key)
      if (entry === undefined) return NOTHING
      if (entry.end === 'itself' || entry.reason === undefined) return exit(entry, { type: 'itself' })
      return exit(entry, { type: 'stopped', reason: entry.reason })
    },
    stop: (key, reason, now) => {
      const entry = entries.get(key)
      return entry === undefined ? NOTHING : ask(entry, reason, now)
    },
    lapsed: (key) => {
      const entry = entries.get(key)
      if (entry !== undefined) kill(entry, 'lease')
    },
    rebind: (key, incarnation, onLeaseLoss) => {
      const entry = entries.get(key)
      if (entry === undefined) return
      leases.release(entry.spec.incarnation)
      leases.hold(incarnation)
      entry.spec = { ...entry.spec, incarnation, onLeaseLoss }
    },
    extendLease: (incarnation, deadline, now) => {
      // What lapsed before the extension arrived has lapsed, even if nobody had looked.
      const effects = lapse(now)
      leases.extend(incarnation, deadline)
      return effects
    },
    endIncarnation: (incarnation) => {
      leases.end(incarnation)
      return killWhere('lease', ({ spec }) => spec.incarnation > 0 && spec.incarnation <= incarnation)
    },
    killAll: () => killWhere('lease', () => true),
    mayStartUntil: (incarnation) => leases.mayStartUntil(incarnation),
    hasIncarnation: (incarnation) => leases.holds(incarnation) > 0,
    tick: (now) => {
      const effects = [...lapse(now)]
      for (let due = wakes.peek(); due !== undefined && due.at <= now; due = wakes.peek()) {
        wakes.take()
        const entry = entries.get(due.key)
        if (entry?.wakeAt !== due.at) continue
        entry.wakeAt = undefined
        effects.push(
          ...(entry.phase === 'asked' ? kill(entry, entry.reason ?? 'lease') : ask(entry, 'timeout', now))
        )
      }
      return effects
    },
    nextWake: () => {
      let due = wakes.peek()
      while (due !== undefined && entries.get(due.key)?.wakeAt !== due.at) {
        wakes.take()
        due = wakes.peek()
      }
      const lease = leases.nextLapse()
      if (due === undefined) return lease
      return lease === undefined ? due.at : Math.min(due.at, lease)
    }
  }
}
