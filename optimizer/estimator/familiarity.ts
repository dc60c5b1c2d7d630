/** How well classes are known, as their levels are corrected by it (`conformal.ts`). */

/**
 * Least completions of a class at each familiarity, the first for tenants of whom nothing has ended, and where its correction begins: rounded
 * from what it came to on four logs of the Parallel Workloads Archive.
 */
export const FAMILIARITIES = [
  { least: -1, start: [0.5, 3] },
  { least: 0, start: [0.5, 2.5] },
  { least: 1, start: [0.3, 1.5] },
  { least: 3, start: [0.2, 1] },
  { least: 16, start: [0, 0.5] }
] as const

/** How well a class is known, for `Conformal`: by what has ended of its tenant and of itself. */
export function familiarityOf(ofTenant: number, ofClass: number): number {
  if (ofTenant === 0) return 0
  let familiarity = FAMILIARITIES.length - 1
  while (ofClass < (FAMILIARITIES[familiarity]?.least ?? 0)) familiarity--
  return familiarity
}
