/**
 * The account of every attempt in a simulated cluster, kept outside all nodes: what no node can know of another. It
 * judges the promise that fencing tokens are the fallback for: no two attempts of a task run at once, except for one that
 * the log placed as the copy of the other, on another machine.
 */
import type { AttemptStart } from '../runtime/ports/attempt-host.ts'

interface LedgerEntry {
  readonly taskId: number
  readonly token: number
  readonly machine: string
  readonly startedAt: number
  /** Undefined while it runs. */
  endedAt: number | undefined
}

/** A broken promise. `overlap`: two attempts of a task at once; `restart`: one token started twice. */
interface LedgerViolation {
  readonly type: 'overlap' | 'restart'
  readonly at: number
  readonly entries: readonly [LedgerEntry, LedgerEntry]
}

export interface AttemptLedger {
  readonly entries: readonly LedgerEntry[]
  readonly violations: readonly LedgerViolation[]
  /** The log placed `copy` beside the live attempt `of`. Said before the copy can start. */
  copied(copy: number, of: number): void
  started(attempt: AttemptStart, machine: string): void
  ended(attempt: AttemptStart, machine: string): void
}

/** An empty ledger; `now` is the simulation's own time, which no node's clock skews. */
export function createAttemptLedger(now: () => number): AttemptLedger {
  const entries: LedgerEntry[] = []
  const violations: LedgerViolation[] = []
  const live = new Map<number, Set<LedgerEntry>>()
  const byToken = new Map<number, LedgerEntry>()
  const copyOf = new Map<number, number>()
  const mayOverlap = (a: LedgerEntry, b: LedgerEntry): boolean =>
    a.machine !== b.machine && (copyOf.get(a.token) === b.token || copyOf.get(b.token) === a.token)
  return {
    entries,
    violations,
    copied: (copy, of) => {
      copyOf.set(copy, of)
    },
    started: ({ taskId, token }, machine) => {
      const entry: LedgerEntry = { taskId, token, machine, startedAt: now(), endedAt: undefined }
      const others = live.get(taskId) ?? new Set()
      for (const other of others) {
        if (!mayOverlap(other, entry))
          violations.push({ type: 'overlap', at: now(), entries: [other, entry] })
      }
      const former = byToken.get(token)
      if (former !== undefined) violations.push({ type: 'restart', at: now(), entries: [former, entry] })
      entries.push(entry)
      byToken.set(token, entry)
      live.set(taskId, others.add(entry))
    },
    ended: ({ taskId, token }, machine) => {
      const running = live.get(taskId)
      for (const entry of running ?? []) {
        if (entry.token !== token || entry.machine !== machine) continue
        entry.endedAt = now()
        running?.delete(entry)
      }
      if (running?.size === 0) live.delete(taskId)
    }
  }
}
