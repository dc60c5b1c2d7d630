/** Which policies a report needs, and how many runs that makes. */
import { defaultPolicies, findPolicies } from './catalog.ts'
import type { PolicyEntry } from './catalog.ts'
import { BASE_POLICY } from './policy-report.ts'
import type { Trace } from './trace.ts'

/**
 * What was asked for (without names: what suits the trace), with the base and the clairvoyant counterparts that the gap
 * needs. Throws `INVALID_REQUEST` for a name that is not among them.
 */
export function choosePolicies(
  trace: Trace,
  names: readonly string[] | undefined,
  among: readonly PolicyEntry[]
): PolicyEntry[] {
  const asked = names === undefined ? defaultPolicies(trace.family, among) : findPolicies(names, among)
  const needed = asked.flatMap((entry) => (entry.clairvoyant === undefined ? [] : [entry.clairvoyant]))
  const base = asked.some((entry) => entry.clairvoyant !== undefined) ? [BASE_POLICY] : []
  const all = [...base, ...asked.map((entry) => entry.name), ...needed]
  return findPolicies([...new Set(all)], among)
}

/** Instances of all seeds. Making them costs little beside running them. */
export function instancesOf(trace: Trace, seeds: number, load: number | undefined): number {
  let perSeed = 0
  for (const instance of trace.instances(0, load ?? trace.defaultLoad))
    if (instance.workload.tasks.length > 0) perSeed++
  return perSeed * seeds
}
