/** What a report says of its runs and of what they ran on, so that it can be made again and analysed anew. */
import type { RunMetrics } from '../../../optimizer/lab/metrics.ts'
import type { Run } from '../../../optimizer/lab/protocol.ts'
import type { Instance, Trace } from '../../../optimizer/lab/trace.ts'

export interface RunLine extends RunMetrics {
  readonly policy: string
  readonly seed: number
  /** The place of its instance among those of the seed, from 0. */
  readonly instance: number
  /** What the instance is a sample of: a window, a workflow; null where the seed alone makes it. */
  readonly sample: string | null
  readonly tasks: number
}

/** Sums over the nodes of an instance. */
export interface ClusterFacts {
  readonly nodes: number
  /** Of an SWF log: processors. */
  readonly slots: number
  readonly resources: Readonly<Record<string, number>>
}

/** Gathers facts run by run; keeps no run. */
export class RunFacts {
  readonly runs: RunLine[] = []
  readonly #notes: Set<string>
  readonly #clusters: ClusterFacts[] = []
  #policy: string | undefined

  constructor(trace: Trace) {
    this.#notes = new Set(trace.notes)
  }

  add({ policy, seed, index, instance, metrics }: Run): void {
    const tasks = instance.workload.tasks.length
    this.runs.push({ policy, seed, instance: index, sample: instance.sample ?? null, tasks, ...metrics })
    // Policies share instances: one of them sees all.
    this.#policy ??= policy
    if (policy !== this.#policy) return
    this.#clusters.push(clusterOf(instance))
    for (const note of instance.notes ?? []) this.#notes.add(note)
  }

  /** What whoever reads the figures must know, each said once. */
  notes(): string[] {
    return [...this.#notes]
  }

  /** Of the first instance, and of all in the mean. */
  cluster(): { readonly first: ClusterFacts | null; readonly mean: ClusterFacts | null } {
    const [first] = this.#clusters
    if (first === undefined) return { first: null, mean: null }
    const count = this.#clusters.length
    const average = (pick: (facts: ClusterFacts) => number): number =>
      this.#clusters.reduce((sum, facts) => sum + pick(facts), 0) / count
    const names = Object.keys(first.resources)
    return {
      first,
      mean: {
        nodes: average(({ nodes }) => nodes),
        slots: average(({ slots }) => slots),
        resources: Object.fromEntries(
          names.map((name) => [name, average((facts) => facts.resources[name] ?? 0)])
        )
      }
    }
  }
}

function clusterOf({ cluster }: Instance): ClusterFacts {
  const resources: Record<string, number> = {}
  for (const node of cluster) {
    for (const [name, amount] of Object.entries(node.resources)) {
      resources[name] = (resources[name] ?? 0) + amount
    }
  }
  return { nodes: cluster.length, slots: cluster.reduce((sum, { slots }) => sum + slots, 0), resources }
}
