/**
 * A slice of a trace of independent jobs, compressed in time, for a cluster of a few real nodes: what is replayed live and
 * simulated alike.
 *
 * Times are divided by `speedup`. Jobs that would run longer than `longestMs` then, or are wider than a node, are left
 * out and counted. Nodes get as many slots as the load asks for. Each job is submitted by itself, so it waits for no other: what the
 * trace says of needs is dropped.
 */
import { AppError } from '../../base/errors.ts'
import { nodeId, taskId } from '../../base/ids.ts'
import type { Trace } from '../../optimizer/lab/trace.ts'
import type { SimNode, SimTask, Workload } from '../../optimizer/sim/types.ts'
import { compileWorkload } from '../../optimizer/sim/workload.ts'

export interface SliceOptions {
  /** The first job of the slice, counted from 0 in the trace. */
  readonly from: number
  /** Length of the slice, compressed. */
  readonly seconds: number
  readonly speedup: number
  readonly nodes: number
  /** Work ÷ (slots × length). */
  readonly load: number
  readonly longestMs: number
  readonly widest: number
}

export interface Slice {
  /** Ids from 1; times in milliseconds, compressed, from 0. */
  readonly workload: Workload
  readonly cluster: readonly SimNode[]
  readonly slots: number
  readonly leftOut: number
}

/** A run time below this is a few forks of the shell and nothing else. */
const SHORTEST_MS = 20
/** Jobs that ran up to their limit in the log must not be killed here for the time it takes to start a shell. */
const SLACK_MS = 2_000

export function sliceOf(trace: Trace, options: SliceOptions): Slice {
  const { from, seconds, speedup, nodes, load, longestMs, widest } = options
  const [instance] = [...trace.instances(0, undefined)]
  const all = instance?.workload.tasks ?? []
  const start = all[from]?.submittedAt
  if (start === undefined) {
    throw new AppError('INVALID_REQUEST', `--from: got ${from}, expected less than ${all.length} jobs`)
  }
  const within = all.slice(from).filter((task) => (task.submittedAt - start) / speedup < seconds * 1000)
  const kept = within.filter((task) => task.workMs / speedup <= longestMs && coresOf(task) <= widest)
  const tasks = kept.map((task, index) => compress(task, index, start, speedup))
  const workMs = tasks.reduce((sum, task) => sum + task.workMs * coresOf(task), 0)
  const slots = Math.max(widest, Math.round(workMs / (seconds * 1000 * load * nodes)))
  return {
    workload: compileWorkload(`${trace.name} ×${speedup}`, tasks),
    cluster: Array.from({ length: nodes }, (_, index) => nodeOf(index + 1, slots)),
    slots,
    leftOut: within.length - kept.length
  }
}

/** Cores that a job asks for; 1 when it does not say. */
function coresOf(task: SimTask): number {
  return (task.resources['cpu'] ?? 1000) / 1000
}

function compress(task: SimTask, index: number, start: number, speedup: number): SimTask {
  const id = taskId(index + 1)
  const workMs = Math.max(SHORTEST_MS, Math.round(task.workMs / speedup))
  return {
    ...task,
    id,
    group: id,
    needs: [],
    transferBytes: [],
    submittedAt: Math.round((task.submittedAt - start) / speedup),
    limitMs: task.limitMs > 0 ? Math.max(Math.round(task.limitMs / speedup), workMs + SLACK_MS) : 0,
    workMs
  }
}

function nodeOf(id: number, slots: number): SimNode {
  return {
    id: nodeId(id),
    labels: {},
    zone: `zone-${id}`,
    profile: '',
    slots,
    resources: { cpu: slots * 1000 },
    speeds: {}
  }
}
