/**
 * Workflow executions as a trace: one cluster of K nodes of one slot, whose speeds are drawn uniformly from [0.5, 1.5], runs one
 * workflow after another, each submitted when the one before is done. A seed is a draw of speeds and of the order; it makes one
 * instance per workflow, which is judged by itself. The order is drawn, since files are sorted by application.
 *
 * Moving data costs nothing unless asked for: with the recorded bytes and a gigabit it is below 1 % of the run time of most of
 * these workflows.
 */
import { nodeId, taskId } from '../../base/ids.ts'
import { createRng } from '../../base/prng.ts'
import type { Rng } from '../../base/prng.ts'
import { fixedRunTimes } from '../sim/run-models.ts'
import { compileWorkload } from '../sim/workload.ts'
import type { SimNode, SimTask } from '../sim/types.ts'
import { classMeans } from './class-means.ts'
import { fastestRuns, idealTimes } from './ideal.ts'
import type { Instance, Trace } from './trace.ts'
import type { Workflow } from './wfinstances.ts'

const SLOWDOWN_BOUND_MS = 10_000
const SLOWEST = 0.5
const FASTEST = 1.5
/** What the few tasks take that were recorded with 0 s. */
const SHORTEST_MS = 1
/** Keeps the order apart from the speeds. */
const ORDER_SALT = 0x0bde

/** The trace of these workflows on `nodes` nodes. */
export function workflowTrace(name: string, workflows: readonly Workflow[], nodes = 8): Trace {
  const told = toldApart(workflows)
  return {
    name: `${name} K=${nodes}`,
    family: 'one-dag',
    slowdownBoundMs: SLOWDOWN_BOUND_MS,
    defaultLoad: undefined,
    loadIsUsed: false,
    defaultSeeds: 3,
    sequential: true,
    notes: notesOf(workflows),
    *instances(seed) {
      const speeds = drawSpeeds(seed, nodes)
      for (const { workflow, sample } of shuffled(told, createRng(seed ^ ORDER_SALT)))
        yield instanceOf(workflow, sample, speeds)
    }
  }
}

/** Each with a name of its own: what is called alike would count as one measurement. */
function toldApart(
  workflows: readonly Workflow[]
): { readonly workflow: Workflow; readonly sample: string }[] {
  const ids = new Set(workflows.map(({ id }) => id))
  const numbers = new Map<string, number>()
  return workflows.map((workflow) => {
    const { id } = workflow
    let number = (numbers.get(id) ?? 0) + 1
    // One that is called as another would be when numbered.
    while (number > 1 && ids.has(`${id} (${number})`)) number++
    numbers.set(id, number)
    return { workflow, sample: number === 1 ? id : `${id} (${number})` }
  })
}

function notesOf(workflows: readonly Workflow[]): string[] {
  const tasks = workflows.flatMap((workflow) => workflow.tasks)
  const count = (is: (task: Workflow['tasks'][number]) => boolean): number => tasks.filter(is).length
  const timeless = count(({ runS }) => runS === 0)
  const wide = count(({ cores = 0 }) => cores > 1)
  const alike = workflows.length - new Set(workflows.map(({ id }) => id)).size
  return [
    ...(timeless === 0
      ? []
      : [`${timeless} of ${tasks.length} tasks have no run time: they take ${SHORTEST_MS} ms`]),
    ...(wide === 0
      ? []
      : [`${wide} of ${tasks.length} tasks had several cores: here each has a node of one slot`]),
    ...(alike === 0 ? [] : [`${alike} workflows have the id of another: they are numbered`])
  ]
}

/** Fisher and Yates. */
function shuffled<T>(items: readonly T[], rng: Rng): T[] {
  const order = [...items]
  for (let left = order.length; left > 1; left--) {
    const at = rng.nextInt(left)
    const chosen = order[at]
    const last = order[left - 1]
    if (chosen === undefined || last === undefined) continue
    order[at] = last
    order[left - 1] = chosen
  }
  return order
}

function drawSpeeds(seed: number, nodes: number): number[] {
  const rng = createRng(seed * 1000 + nodes)
  return Array.from({ length: nodes }, () => SLOWEST + (FASTEST - SLOWEST) * rng.nextFloat())
}

function instanceOf(workflow: Workflow, sample: string, speeds: readonly number[]): Instance {
  const tasks = workflow.tasks.map((_, index) => taskOf(workflow, index))
  const workload = compileWorkload(workflow.id, tasks)
  const total = tasks.reduce((sum, task) => sum + task.workMs, 0)
  const capacity = speeds.reduce((sum, speed) => sum + speed, 0)
  const cluster = speeds.map((speed, index) => nodeOf(index + 1, speed))
  const ideal = idealTimes(workload, 'group', fastestRuns(workload, cluster))
  return {
    workload,
    cluster,
    outages: [],
    model: fixedRunTimes,
    truthMs: (id) => tasks[id - 1]?.workMs ?? 0,
    classMeanMs: classMeans(tasks),
    speedOf: (node) => speeds[node - 1] ?? 1,
    idealMs: ideal,
    makespanBoundMs: Math.max(ideal[0] ?? 0, total / capacity),
    load: 1,
    sample
  }
}

function nodeOf(number: number, speed: number): SimNode {
  return {
    id: nodeId(number),
    labels: {},
    zone: '',
    profile: `speed-${speed.toFixed(2)}`,
    slots: 1,
    resources: {},
    speeds: { cpu: speed }
  }
}

function taskOf(workflow: Workflow, index: number): SimTask {
  const task = workflow.tasks[index]
  const parents = task?.parents ?? []
  return {
    id: taskId(index + 1),
    name: task?.name ?? '',
    tenant: workflow.app,
    priority: 0,
    resources: {},
    nodeSelector: {},
    inputBytes: task?.inputBytes ?? 0,
    limitMs: 0,
    submittedAt: 0,
    idempotent: true,
    needs: parents.map(([parent]) => taskId(parent + 1)),
    transferBytes: parents.map(([, bytes]) => bytes),
    group: taskId(1),
    workMs: Math.max(SHORTEST_MS, (task?.runS ?? 0) * 1000),
    kind: 'cpu',
    peakMemoryBytes: task?.memoryBytes ?? 0
  }
}
