/**
 * A made-up workload for those who have no trace: classes of tasks with log-normal run times, tenants, small DAGs among
 * single tasks, nodes of different speed, stragglers and failing attempts. Everything follows from the seed.
 */
import { nodeId, taskId } from '../../base/ids.ts'
import { createRng } from '../../base/prng.ts'
import type { Rng } from '../../base/prng.ts'
import { disturbedRunTimes } from '../sim/run-models.ts'
import type { Disturbances } from '../sim/run-models.ts'
import { compileWorkload } from '../sim/workload.ts'
import type { SimNode, SimTask } from '../sim/types.ts'
import { classMeans } from './class-means.ts'
import { fastestRuns, idealTimes } from './ideal.ts'
import type { Instance, Trace } from './trace.ts'

export interface SyntheticOptions {
  readonly tasks: number
  readonly nodes: number
  readonly slotsPerNode: number
  readonly classes: number
  readonly tenants: number
  /** Share of submissions that are a DAG (fork and join) instead of a single task. */
  readonly dagShare: number
  readonly noise?: NonNullable<Disturbances['noise']>
}

export const SYNTHETIC_DEFAULTS: SyntheticOptions = {
  tasks: 10_000,
  nodes: 16,
  slotsPerNode: 4,
  classes: 40,
  tenants: 8,
  dagShare: 0.1
}

const DEFAULT_LOAD = 0.9
const STRAGGLERS = { probability: 0.02, factor: 4 }
const FAILURE_PROBABILITY = 0.01
const TRANSFER = { latencyMs: 20, bytesPerMs: 125_000 }
const SLOWDOWN_BOUND_MS = 10_000
const NODE_SPEEDS = [0.5, 0.75, 1, 1.25, 1.5]
const KINDS = ['cpu', 'memory']
const FORK = 6

/** The synthetic trace. */
export function syntheticTrace(options: SyntheticOptions = SYNTHETIC_DEFAULTS): Trace {
  return {
    name: 'synthetic',
    family: 'independent',
    slowdownBoundMs: SLOWDOWN_BOUND_MS,
    defaultLoad: DEFAULT_LOAD,
    loadIsUsed: true,
    defaultSeeds: 5,
    instances: (seed, load = DEFAULT_LOAD) => [instanceOf(options, seed, load)]
  }
}

interface TaskClass {
  readonly name: string
  readonly medianMs: number
  readonly sigma: number
  readonly tenant: string
  readonly kind: string
}

function instanceOf(options: SyntheticOptions, seed: number, load: number): Instance {
  const rng = createRng(seed)
  const classes = Array.from({ length: options.classes }, (_, index) =>
    drawClass(rng, index, options.tenants)
  )
  const cluster = Array.from({ length: options.nodes }, (_, index) => drawNode(rng, index + 1, options))
  const capacity = cluster.reduce((sum, node) => sum + node.slots * (node.speeds['cpu'] ?? 1), 0)
  const drafts = draftTasks(options, rng, classes)
  const totalMs = drafts.reduce((sum, task) => sum + task.workMs, 0)
  const spanMs = totalMs / (capacity * load)
  const tasks = drafts.map((task) => ({ ...task, submittedAt: Math.floor(task.submittedAt * spanMs) }))
  const workload = compileWorkload('synthetic', tasks)
  const lastMs = tasks.reduce((latest, task) => Math.max(latest, task.submittedAt), 0)
  return {
    workload,
    cluster,
    outages: [],
    model: () =>
      disturbedRunTimes({
        seed,
        stragglers: STRAGGLERS,
        failureProbability: FAILURE_PROBABILITY,
        transfer: TRANSFER,
        ...(options.noise !== undefined && { noise: options.noise })
      }),
    truthMs: (id) => tasks[id - 1]?.workMs ?? 0,
    classMeanMs: classMeans(tasks),
    speedOf: (node) => cluster[node - 1]?.speeds['cpu'] ?? 1,
    idealMs: idealTimes(workload, 'task', fastestRuns(workload, cluster)),
    makespanBoundMs: Math.max(totalMs / capacity, lastMs - (tasks[0]?.submittedAt ?? 0)),
    load: totalMs / (capacity * Math.max(1, lastMs))
  }
}

/** A standard normal variate (Box & Muller, 1958). */
function normal(rng: Rng): number {
  return Math.sqrt(-2 * Math.log(1 - rng.nextFloat())) * Math.cos(2 * Math.PI * rng.nextFloat())
}

function drawClass(rng: Rng, index: number, tenants: number): TaskClass {
  return {
    name: `class-${index}`,
    medianMs: Math.exp(Math.log(5000) + 1.5 * normal(rng)),
    sigma: 0.2 + 0.8 * rng.nextFloat(),
    tenant: `tenant-${rng.nextInt(tenants)}`,
    kind: KINDS[rng.nextInt(KINDS.length)] ?? 'cpu'
  }
}

function drawNode(rng: Rng, number: number, options: SyntheticOptions): SimNode {
  const speed = NODE_SPEEDS[rng.nextInt(NODE_SPEEDS.length)] ?? 1
  return {
    id: nodeId(number),
    labels: {},
    zone: '',
    profile: `speed-${speed}`,
    slots: options.slotsPerNode,
    resources: {},
    speeds: { cpu: speed, memory: speed }
  }
}

/** Tasks with their submission as a fraction of the span, rising. */
function draftTasks(options: SyntheticOptions, rng: Rng, classes: readonly TaskClass[]): SimTask[] {
  const tasks: SimTask[] = []
  while (tasks.length < options.tasks) {
    const room = options.tasks - tasks.length
    if (room >= FORK + 2 && rng.nextFloat() < options.dagShare) forkJoin(tasks, rng, classes)
    else tasks.push(draft(tasks.length + 1, tasks.length + 1, [], rng, classes))
  }
  // Groups arrive in order at uniform points of the span: a Poisson process given its number of events.
  const groups = new Set(tasks.map((task) => task.group))
  const at = Array.from(groups, () => rng.nextFloat()).sort((a, b) => a - b)
  const arrival = new Map([...groups].map((group, index) => [group, at[index] ?? 0]))
  return tasks.map((task) => ({ ...task, submittedAt: arrival.get(task.group) ?? 0 }))
}

function forkJoin(tasks: SimTask[], rng: Rng, classes: readonly TaskClass[]): void {
  const first = tasks.length + 1
  tasks.push(draft(first, first, [], rng, classes))
  const middle: number[] = []
  for (let index = 0; index < FORK; index++) {
    const id = tasks.length + 1
    tasks.push(draft(id, first, [first], rng, classes))
    middle.push(id)
  }
  tasks.push(draft(tasks.length + 1, first, middle, rng, classes))
}

function draft(
  id: number,
  group: number,
  needs: readonly number[],
  rng: Rng,
  classes: readonly TaskClass[]
): SimTask {
  const { name, medianMs, sigma, tenant, kind } = classes[rng.nextInt(classes.length)] ?? drawClass(rng, 0, 1)
  return {
    id: taskId(id),
    name,
    tenant,
    priority: 0,
    resources: {},
    nodeSelector: {},
    inputBytes: 0,
    limitMs: 0,
    submittedAt: 0,
    idempotent: true,
    needs: needs.map(taskId),
    transferBytes: needs.map(() => rng.nextInt(10_000_000)),
    group: taskId(group),
    workMs: Math.max(1, Math.round(medianMs * Math.exp(sigma * normal(rng)))),
    kind,
    peakMemoryBytes: 0
  }
}
