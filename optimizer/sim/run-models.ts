/**
 * Run models: what an attempt takes, from its task, its node and chance. Draws go by (seed, task, attempt), so policies
 * meet the same luck whatever order they start tasks in.
 */
import { quantileAt } from './quantile-table.ts'
import type { QuantileTable } from './quantile-table.ts'
import { uniform } from './draw.ts'
import type { RunModel, SimNode, SimTask, StartContext } from './types.ts'

/** Run times as recorded, divided by the node's speed for the task's kind. Nothing fails. */
export function fixedRunTimes(): RunModel {
  return {
    start: (task, node, _context, plan) => {
      plan.runMs = task.workMs / speedOf(task, node)
    }
  }
}

/** What may come between a task and its recorded run time. */
export interface Disturbances {
  readonly seed: number
  /** Relative speeds of cloud machines by a task's kind, drawn once an attempt. */
  readonly noise?: Readonly<Record<string, QuantileTable>>
  /** With this probability an attempt takes `factor` times as long. */
  readonly stragglers?: { readonly probability: number; readonly factor: number }
  /** Probability that an attempt fails, at a uniform point of its run. */
  readonly failureProbability?: number
  /** Cost of reading an input from another node. */
  readonly transfer?: { readonly latencyMs: number; readonly bytesPerMs: number }
}

/** `fixedRunTimes` with disturbances. */
export function disturbedRunTimes(disturbances: Disturbances): RunModel {
  const { seed, noise, stragglers, failureProbability = 0 } = disturbances
  return {
    start: (task, node, context, plan) => {
      const draw = (salt: number): number => uniform(seed, task.id, context.attempt, salt)
      const table = noise?.[task.kind]
      const speed = speedOf(task, node) * (table === undefined ? 1 : quantileAt(table, draw(1)))
      const slowed = stragglers !== undefined && draw(2) < stragglers.probability ? stragglers.factor : 1
      plan.setupMs = transferMs(task, node, context, disturbances)
      plan.runMs = (task.workMs / speed) * slowed
      if (draw(3) >= failureProbability) return
      plan.succeeds = false
      plan.runMs *= draw(4)
    }
  }
}

/** The node's speed for this task; 1 when the node says nothing of its kind. */
function speedOf(task: SimTask, node: SimNode): number {
  return node.speeds[task.kind] ?? 1
}

/** Inputs are read side by side, so the slowest one counts. */
function transferMs(task: SimTask, node: SimNode, context: StartContext, { transfer }: Disturbances): number {
  if (transfer === undefined || task.transferBytes.length === 0) return 0
  let longest = 0
  task.needs.forEach((need, index) => {
    if (context.nodeOf(need) === node.id) return
    const bytes = task.transferBytes[index] ?? 0
    longest = Math.max(longest, transfer.latencyMs + bytes / transfer.bytesPerMs)
  })
  return longest
}
