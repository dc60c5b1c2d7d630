/**
 * The deadlines of incarnations. A deadline only rises. A lapse is reported once per deadline; a later extension makes
 * the incarnation usable again (what ran was killed in between), an ended incarnation stays unusable. Incarnation 0
 * stands for none: no lease limits it.
 */
export interface LeaseBook {
  extend(incarnation: number, deadline: number): void
  /** Every incarnation up to and including this one is over: numbers only rise. */
  end(incarnation: number): void
  /** Counts what depends on the incarnation; a lease that nothing depends on needs no wake-up. */
  hold(incarnation: number): void
  release(incarnation: number): void
  holds(incarnation: number): number
  /** Deadline − margin; undefined when there is no lease, it was ended, or its lapse was reported. */
  mayStartUntil(incarnation: number): number | undefined
  /** Incarnations whose margin was reached since the last call and that something depends on. */
  takeLapsed(now: number): readonly number[]
  /** When `takeLapsed` has something to say next. */
  nextLapse(): number | undefined
}

interface Lease {
  deadline: number
  lapsed: boolean
}

/** An empty book. `marginMs` ≥ 0. */
export function createLeaseBook(marginMs: number): LeaseBook {
  const leases = new Map<number, Lease>()
  const holds = new Map<number, number>()
  let endedUpTo = 0

  return {
    extend: (incarnation, deadline) => {
      if (incarnation <= endedUpTo) return
      const lease = leases.get(incarnation)
      if (lease === undefined) leases.set(incarnation, { deadline, lapsed: false })
      else if (deadline > lease.deadline) {
        lease.deadline = deadline
        lease.lapsed = false
      }
    },
    end: (incarnation) => {
      endedUpTo = Math.max(endedUpTo, incarnation)
      for (const known of leases.keys()) if (known <= endedUpTo) leases.delete(known)
    },
    hold: (incarnation) => {
      holds.set(incarnation, (holds.get(incarnation) ?? 0) + 1)
    },
    release: (incarnation) => {
      const left = (holds.get(incarnation) ?? 0) - 1
      if (left > 0) holds.set(incarnation, left)
      else holds.delete(incarnation)
    },
    holds: (incarnation) => holds.get(incarnation) ?? 0,
    mayStartUntil: (incarnation) => {
      if (incarnation === 0) return Infinity
      const lease = leases.get(incarnation)
      return lease === undefined || lease.lapsed ? undefined : lease.deadline - marginMs
    },
    takeLapsed: (now) => {
      const lapsed: number[] = []
      for (const [incarnation, lease] of leases) {
        if (lease.lapsed || !holds.has(incarnation) || now < lease.deadline - marginMs) continue
        lease.lapsed = true
        lapsed.push(incarnation)
      }
      return lapsed
    },
    nextLapse: () => {
      let next: number | undefined
      for (const [incarnation, lease] of leases) {
        if (lease.lapsed || !holds.has(incarnation)) continue
        const at = lease.deadline - marginMs
        if (next === undefined || at < next) next = at
      }
      return next
    }
  }
}
