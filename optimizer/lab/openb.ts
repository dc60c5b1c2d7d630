/**
 * Alibaba's GPU cluster of 2023 (clusterdata/cluster-trace-gpu-v2023): pods with CPU, memory and parts of GPUs, and the
 * nodes they ran on. Parsing, and the trace made of it.
 *
 * GPUs of a node are one pool of thousandths: that a share of one GPU cannot come from two is not modelled. A `gpu_spec`
 * that names several models becomes a label that all nodes with one of them carry. A pod's run time is the time from
 * being scheduled to being deleted; pods that were never scheduled, or not deleted by the end of the trace, are left out. Times count from
 * the first submission.
 *
 * With a load the cluster is a random part of the nodes, of such size that the scarcest resource has that load.
 */
import { nodeId, taskId } from '../../base/ids.ts'
import { MiB } from '../../base/units.ts'
import { createRng } from '../../base/prng.ts'
import { fixedRunTimes } from '../sim/run-models.ts'
import { compileWorkload } from '../sim/workload.ts'
import type { SimNode, SimTask } from '../sim/types.ts'
import { classMeans } from './class-means.ts'
import { parseCsv } from './csv.ts'
import { fastestRuns, idealTimes } from './ideal.ts'
import { empty, malformed } from './malformed.ts'
import type { Instance, Trace } from './trace.ts'

interface OpenbPod {
  readonly name: string
  readonly cpuMilli: number
  readonly memoryBytes: number
  readonly gpuMilli: number
  /** GPU models that will do, joined by `|`; empty for any. */
  readonly gpuSpec: string
  readonly qos: string
  readonly createdS: number
  readonly runS: number
  readonly line: number
}

/** A pod of which there is no run time. */
interface SkippedPod {
  readonly createdS: number
  readonly why: 'never scheduled' | 'deleted as they were scheduled' | 'never deleted'
}

export interface OpenbPods {
  readonly file: string
  /** In order of creation. */
  readonly pods: readonly OpenbPod[]
  readonly skipped: readonly SkippedPod[]
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
export function parseOpenbPods(text: string, file: string): OpenbPods {
  const pods: OpenbPod[] = []
  const skipped: SkippedPod[] = []
  for (const row of parseCsv(text, file)) {
    const gpus = row.amount('num_gpu')
    const scheduled = row.optionalSeconds('scheduled_time')
    const created = row.seconds('creation_time')
    const deleted = row.optionalSeconds('deletion_time')
    if (scheduled !== undefined && scheduled < created) {
      throw row.fail('scheduled_time', scheduled, `≥ creation_time, ${created}`)
    }
    if (scheduled !== undefined && deleted !== undefined && deleted < scheduled) {
      throw row.fail('deletion_time', deleted, `≥ scheduled_time, ${scheduled}`)
    }
    if (scheduled === undefined || deleted === undefined || deleted === scheduled) {
      const why =
        scheduled === undefined
          ? 'never scheduled'
          : deleted === undefined
            ? 'never deleted'
            : 'deleted as they were scheduled'
      skipped.push({ createdS: created, why })
      continue
    }
    pods.push({
      name: row.text('name'),
      cpuMilli: row.amount('cpu_milli'),
      memoryBytes: row.amount('memory_mib') * MiB,
      gpuMilli: gpus > 1 ? gpus * GPU : gpus * row.amount('gpu_milli'),
      gpuSpec: row.text('gpu_spec'),
      qos: row.text('qos'),
      createdS: created,
      runS: deleted - scheduled,
      line: row.line
    })
  }
  if (pods.length === 0) throw empty(file, 'pod that was scheduled')
  pods.sort((a, b) => a.createdS - b.createdS)
  return { file, pods, skipped }
}

/** Of these pods those that were created first, `count` at most, and what was skipped until then. */
export function firstPods(source: OpenbPods, count = Infinity): OpenbPods {
  if (count >= source.pods.length) return source
  const pods = source.pods.slice(0, count)
  const lastS = pods.at(-1)?.createdS ?? 0
  return { ...source, pods, skipped: source.skipped.filter(({ createdS }) => createdS <= lastS) }
}

/** Parses the nodes' table. */
export function parseOpenbNodes(text: string, file: string): OpenbNode[] {
  const nodes = parseCsv(text, file).map((row) => ({
    cpuMilli: row.amount('cpu_milli'),
    memoryBytes: row.amount('memory_mib') * MiB,
    gpuMilli: row.amount('gpu') * GPU,
    model: row.text('model')
  }))
  if (nodes.length === 0) throw empty(file, 'node')
  return nodes
}

/** The trace of these pods on (a part of) these nodes. Throws INVALID_REQUEST for a pod that no node holds. */
export function openbTrace(name: string, source: OpenbPods, nodes: readonly OpenbNode[]): Trace {
  const { pods } = source
  for (const pod of pods) checkHeld(source.file, pod, nodes)
  return {
    name,
    family: 'packing',
    slowdownBoundMs: SLOWDOWN_BOUND_MS,
    defaultLoad: 0.9,
    loadIsUsed: true,
    defaultSeeds: 3,
    ...leftOutOf(source),
    instances: (seed, load) => [instanceOf(name, pods, nodes, seed, load)]
  }
}

function leftOutOf({ pods, skipped }: OpenbPods): Pick<Trace, 'leftOut'> {
  if (skipped.length === 0) return {}
  const reasons = [...new Set(skipped.map(({ why }) => why))].sort()
  const told = reasons.map(
    (reason) => `${skipped.filter(({ why }) => why === reason).length} that were ${reason}`
  )
  return {
    leftOut: {
      tasks: skipped.length,
      of: pods.length + skipped.length,
      workShare: 0,
      why: told.join(', ')
    }
  }
}

function instanceOf(
  name: string,
  pods: readonly OpenbPod[],
  nodes: readonly OpenbNode[],
  seed: number,
  load: number | undefined
): Instance {
  const firstS = pods[0]?.createdS ?? 0
  const tasks = pods.map((pod, index) => taskOf(pod, index, firstS))
  const specs = [...new Set(pods.map((pod) => pod.gpuSpec).filter((spec) => spec !== ''))]
  const spanS = Math.max(1, (pods.at(-1)?.createdS ?? 0) - firstS)
  const chosen = load === undefined ? nodes : subset(pods, nodes, seed, load, spanS)
  const workload = compileWorkload(name, tasks)
  const cluster = chosen.map((node, index) => nodeOf(node, index + 1, specs))
  return {
    workload,
    cluster,
    outages: [],
    model: fixedRunTimes,
    truthMs: (id) => tasks[id - 1]?.workMs ?? 0,
    classMeanMs: classMeans(tasks),
    speedOf: () => 1,
    idealMs: idealTimes(workload, 'task', fastestRuns(workload, cluster)),
    makespanBoundMs:
      pods.reduce((latest, pod) => Math.max(latest, pod.createdS - firstS + pod.runS), 0) * 1000,
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
    hasModel(node, pod) &&
    node.cpuMilli >= pod.cpuMilli &&
    node.memoryBytes >= pod.memoryBytes &&
    node.gpuMilli >= pod.gpuMilli
  )
}

function hasModel(node: OpenbNode, { gpuSpec }: OpenbPod): boolean {
  return gpuSpec === '' || gpuSpec.split('|').includes(node.model)
}

/** Columns by the resource that they ask for, in the order in which nodes are narrowed down. */
const ASKED = [
  ['gpu_milli', 'gpuMilli', 1],
  ['memory_mib', 'memoryBytes', MiB],
  ['cpu_milli', 'cpuMilli', 1]
] as const

/** Blames the first column with which no node is left. */
function checkHeld(file: string, pod: OpenbPod, nodes: readonly OpenbNode[]): void {
  if (nodes.some((node) => holds(node, pod))) return
  const { line } = pod
  let left = nodes.filter((node) => hasModel(node, pod))
  if (left.length === 0) {
    throw malformed({
      file,
      line,
      field: 'gpu_spec',
      got: pod.gpuSpec,
      expected: 'a model that some node has'
    })
  }
  for (const [field, resource, unit] of ASKED) {
    const most = Math.max(...left.map((node) => node[resource])) / unit
    left = left.filter((node) => node[resource] >= pod[resource])
    if (left.length > 0) continue
    const expected = `at most ${most}, so that a node holds the pod`
    throw malformed({ file, line, field, got: pod[resource] / unit, expected })
  }
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

function taskOf(pod: OpenbPod, index: number, firstS: number): SimTask {
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
    submittedAt: (pod.createdS - firstS) * 1000,
    idempotent: false,
    needs: [],
    transferBytes: [],
    group: id,
    workMs: pod.runS * 1000,
    kind: 'cpu',
    peakMemoryBytes: 0
  }
}
