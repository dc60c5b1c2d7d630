/**
 * Alibaba's GPU cluster of 2023 (clusterdata/cluster-trace-gpu-v2023): pods with CPU, memory and parts of GPUs, and the
 * nodes they ran on. Parsing, and the trace made of it.
 *
 * GPUs of a node are one pool of thousandths: that a share of one GPU cannot come from two is not modelled. A `gpu_spec`
 * that names several models becomes a label that all nodes with one of them carry. A pod's run time is the time from
 * being scheduled to being deleted; pods that were never scheduled are left out.
 *
 * With a load the cluster is a random part of the nodes, of such size that the scarcest resource has that load.
 */
import { AppError } from '../../base/errors.ts'
import { nodeId, taskId } from '../../base/ids.ts'
import { MiB } from '../../base/units.ts'
import { createRng } from '../../base/prng.ts'
import { fixedRunTimes } from '../sim/run-models.ts'
import { compileWorkload } from '../sim/workload.ts'
import type { SimNode, SimTask } from '../sim/types.ts'
import { classMeans } from './class-means.ts'
import { parseCsv } from './csv.ts'
import { empty } from './malformed.ts'
import type { Instance, Trace } from './trace.ts'

export interface OpenbPod {
  readonly name: string
  readonly cpuMilli: number
  readonly memoryBytes: number
  readonly gpuMilli: number
  /** GPU models that will do, joined by `|`; empty for any. */
  readonly gpuSpec: string
  readonly qos: string
  readonly createdS: number
  readonly runS: number
}

export interface OpenbNode {
  readonly cpuMilli: number
  readonly memoryBytes: number
  readonly gpuMilli: number
  readonly model: string
}

const GPU = 1000
const RESOURCES = ['cpuMilli', 'memoryBytes', 'gpuMilli'] as const
/** Pods that a node runs at once, as Kubernetes counts: high enough not to bind. */
const NODE_SLOTS = 256
const SLOWDOWN_BOUND_MS = 10_000

/** Parses the pods' table. */
export function parseOpenbPods(text: string, file: string): OpenbPod[] {
  const pods: OpenbPod[] = []
  for (const row of parseCsv(text, file)) {
    const gpus = row.number('num_gpu')
    const scheduled = row.optionalSeconds('scheduled_time')
    const created = row.seconds('creation_time')
    const runS = row.seconds('deletion_time') - (scheduled ?? 0)
    if (scheduled === undefined || runS <= 0) continue
    pods.push({
      name: row.text('name'),
      cpuMilli: row.number('cpu_milli'),
      memoryBytes: row.number('memory_mib') * MiB,
      gpuMilli: gpus > 1 ? gpus * GPU : gpus * row.number('gpu_milli'),
      gpuSpec: row.text('gpu_spec'),
      qos: row.text('qos'),
      createdS: created,
      runS
    })
  }
  if (pods.length === 0) throw empty(file, 'pod that was scheduled')
  return pods.sort((a, b) => a.createdS - b.createdS)
}

/** Parses the nodes' table. */
export function parseOpenbNodes(text: string, file: string): OpenbNode[] {
  const nodes = parseCsv(text, file).map((row) => ({
    cpuMilli: row.number('cpu_milli'),
    memoryBytes: row.number('memory_mib') * MiB,
    gpuMilli: row.number('gpu') * GPU,
    model: row.text('model')
  }))
  if (nodes.length === 0) throw empty(file, 'node')
  return nodes
}

/** The trace of these pods on (a part of) these nodes. */
export function openbTrace(name: string, pods: readonly OpenbPod[], nodes: readonly OpenbNode[]): Trace {
  if (pods.length === 0) {
    throw new AppError('INVALID_REQUEST', `${name}: got no pod that was scheduled, expected at least one`)
  }
  return {
    name,
    family: 'packing',
    slowdownBoundMs: SLOWDOWN_BOUND_MS,
    defaultLoad: 0.9,
    loadIsUsed: true,
    defaultSeeds: 3,
    instances: (seed, load) => [instanceOf(name, pods, nodes, seed, load)]
  }
}

function instanceOf(
  name: string,
  pods: readonly OpenbPod[],
  nodes: readonly OpenbNode[],
  seed: number,
  load: number | undefined
): Instance {
  const tasks = pods.map(taskOf)
  const specs = [...new Set(pods.map((pod) => pod.gpuSpec).filter((spec) => spec !== ''))]
  const spanS = Math.max(1, (pods.at(-1)?.createdS ?? 0) - (pods[0]?.createdS ?? 0))
  const chosen = load === undefined ? nodes : subset(pods, nodes, seed, load, spanS)
  return {
    workload: compileWorkload(name, tasks),
    cluster: chosen.map((node, index) => nodeOf(node, index + 1, specs)),
    outages: [],
    model: fixedRunTimes,
    truthMs: (id) => tasks[id - 1]?.workMs ?? 0,
    classMeanMs: classMeans(tasks),
    speedOf: () => 1,
    idealMs: Float64Array.from(tasks, (task) => task.workMs),
    makespanBoundMs: tasks.reduce((latest, task) => Math.max(latest, task.submittedAt + task.workMs), 0),
    load: loadOn(pods, chosen, spanS)
  }
}

/** The load of the scarcest resource. */
function loadOn(pods: readonly OpenbPod[], nodes: readonly OpenbNode[], spanS: number): number {
  const shares = RESOURCES.map((resource) => {
    const work = pods.reduce((sum, pod) => sum + pod[resource] * pod.runS, 0)
    const capacity = nodes.reduce((sum, node) => sum + node[resource], 0)
    if (work === 0) return 0
    return capacity === 0 ? Infinity : work / (capacity * spanS)
  })
  return Math.max(...shares)
}

/** A random part of the nodes with about this load, on which every pod could run if it were alone. */
function subset(
  pods: readonly OpenbPod[],
  nodes: readonly OpenbNode[],
  seed: number,
  load: number,
  spanS: number
): OpenbNode[] {
  const rng = createRng(seed)
  const shuffled = [...nodes]
  for (let index = shuffled.length - 1; index > 0; index--) {
    const other = rng.nextInt(index + 1)
    const swapped = shuffled[index]
    const value = shuffled[other]
    if (swapped === undefined || value === undefined) continue
    shuffled[index] = value
    shuffled[other] = swapped
  }
  const chosen = new Set<OpenbNode>()
  for (const pod of pods) {
    if ([...chosen].some((node) => holds(node, pod))) continue
    const needed = shuffled.find((node) => holds(node, pod))
    if (needed !== undefined) chosen.add(needed)
  }
  for (const node of shuffled) {
    if (chosen.size > 0 && loadOn(pods, [...chosen], spanS) <= load) break
    chosen.add(node)
  }
  return [...chosen]
}

function holds(node: OpenbNode, pod: OpenbPod): boolean {
  return (
    node.cpuMilli >= pod.cpuMilli &&
    node.memoryBytes >= pod.memoryBytes &&
    node.gpuMilli >= pod.gpuMilli &&
    (pod.gpuSpec === '' || pod.gpuSpec.split('|').includes(node.model))
  )
}

function nodeOf(node: OpenbNode, number: number, specs: readonly string[]): SimNode {
  const labels: Record<string, string> = {}
  for (const spec of specs) if (spec.split('|').includes(node.model)) labels[`gpu:${spec}`] = 'yes'
  return {
    id: nodeId(number),
    labels,
    zone: '',
    profile: node.model === '' ? 'cpu' : node.model,
    slots: NODE_SLOTS,
    resources: { cpu: node.cpuMilli, memory: node.memoryBytes, gpu: node.gpuMilli },
    speeds: {}
  }
}

function taskOf(pod: OpenbPod, index: number): SimTask {
  const id = taskId(index + 1)
  return {
    id,
    // Pods carry no application; those that ask for the same are the closest to a class.
    name: `${pod.cpuMilli}m/${pod.memoryBytes / MiB}Mi/${pod.gpuMilli}g`,
    tenant: pod.qos,
    priority: 0,
    resources: { cpu: pod.cpuMilli, memory: pod.memoryBytes, ...(pod.gpuMilli > 0 && { gpu: pod.gpuMilli }) },
    nodeSelector: pod.gpuSpec === '' ? {} : { [`gpu:${pod.gpuSpec}`]: 'yes' },
    inputBytes: 0,
    limitMs: 0,
    submittedAt: pod.createdS * 1000,
    idempotent: false,
    needs: [],
    transferBytes: [],
    group: id,
    workMs: pod.runS * 1000,
    kind: 'cpu',
    peakMemoryBytes: 0
  }
}
