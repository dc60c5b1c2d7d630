/**
 * An SWF log as a trace: jobs become tasks on one pool node.
 *
 * Without a load the pool has the log's own processors (header, or the widest job, whichever is more). With one it has
 * work ÷ (span × load) processors, rounded, but never fewer than the widest job needs: load is set by capacity, so that the
 * pattern of arrivals stays what it was. Where all jobs come at the same time it is as without a load. Seed 0 is the log itself; further
 * seeds shake it (§D of the method): each gap between submissions is multiplied by a uniform factor in [0.8, 1.2].
 *
 * With windows each seed has several instances: overlapping parts of the log at equal distances, each of which learners start
 * afresh. One log is one draw of luck; windows × shakes are the nearest to several. Each window is a part of its own: windows so long that
 * some would be the same are refused, and that neighbours overlap is noted.
 */
import { AppError } from '../../base/errors.ts'
import { nodeId, taskId } from '../../base/ids.ts'
import { createRng } from '../../base/prng.ts'
import { compileWorkload } from '../sim/workload.ts'
import { fixedRunTimes } from '../sim/run-models.ts'
import type { SimNode, SimTask } from '../sim/types.ts'
import { classMeans } from './class-means.ts'
import { fastestRuns, idealTimes } from './ideal.ts'
import { leftOutWhy } from './swf.ts'
import type { SwfJob } from './swf-job.ts'
import type { SwfLog } from './swf.ts'
import type { Instance, Trace } from './trace.ts'

const SLOWDOWN_BOUND_MS = 10_000
const SHAKE = 0.2
/** Windows of whole jobs do not fit exactly: what they share beyond is a matter of rounding. */
const SLIGHT_OVERLAP = 0.01

/** Parts of a log: the first begins with it, the last ends with it. */
export interface Windows {
  readonly count: number
  /** Jobs in each. Default: so that neighbours overlap by half. */
  readonly jobs?: number | undefined
}

/** The trace of a parsed log, whole or in windows. */
export function swfTrace(name: string, log: SwfLog, windows: Windows = { count: 1 }): Trace {
  if (log.jobs.length === 0) {
    throw new AppError('INVALID_REQUEST', `${name}: got no job that ran, expected at least one`)
  }
  const { count } = windows
  const total = log.jobs.length
  const length = lengthOf(windows, total)
  if (count > 1 && length > total - count + 1) {
    throw new AppError(
      'INVALID_REQUEST',
      `${name}: got ${count} windows of ${length} jobs, expected windows of at most ${Math.max(1, total - count + 1)} jobs ` +
        `(${Math.max(1, Math.floor(total / count))} without overlap): the log has ${total}`,
      { details: { field: 'windows', got: count, expected: `at most ${total - count + 1} jobs in each` } }
    )
  }
  return {
    name,
    family: 'independent',
    slowdownBoundMs: SLOWDOWN_BOUND_MS,
    defaultLoad: log.maxProcs > 0 ? undefined : 0.9,
    loadIsUsed: true,
    defaultSeeds: 1,
    overlap: overlapOf(total, windows),
    notes: [...log.notes, ...userNotes(log.jobs), ...overlapNotes(windows, total, length)],
    ...leftOutOf(log),
    instances: (seed, load) => instancesOf(name, log, windows, seed, load)
  }
}

function leftOutOf({ jobs, leftOut }: SwfLog): Pick<Trace, 'leftOut'> {
  if (leftOut.length === 0) return {}
  const workS = leftOut.reduce((sum, one) => sum + one.workS, 0)
  return {
    leftOut: {
      tasks: leftOut.length,
      of: jobs.length + leftOut.length,
      workShare: workS / Math.max(1, workS + workOf(jobs)),
      why: `that never ran, or came nobody knows when: ${leftOutWhy(leftOut)}`
    }
  }
}

function userNotes(jobs: SwfLog['jobs']): string[] {
  const unknown = jobs.filter(({ user }) => user < 0).length
  return unknown === 0 ? [] : [`${unknown} jobs name no user: they count as those of one tenant`]
}

/** In processor seconds. */
function workOf(jobs: SwfLog['jobs']): number {
  return jobs.reduce((sum, job) => sum + job.runS * job.processors, 0)
}

/** How many neighbouring windows a job may be in, but for a hundredth of the jobs. */
function overlapOf(total: number, windows: Windows): number {
  const { count } = windows
  const length = lengthOf(windows, total)
  const stride = count === 1 ? length : (total - length) / (count - 1)
  return stride <= 0 ? count : Math.max(1, Math.min(count, Math.ceil(length / stride - SLIGHT_OVERLAP)))
}

/** Jobs in each window. */
function lengthOf({ count, jobs }: Windows, total: number): number {
  return Math.min(total, jobs ?? Math.max(1, Math.floor((2 * total) / (count + 1))))
}

function overlapNotes({ count }: Windows, total: number, length: number): string[] {
  if (count === 1) return []
  const overlap = 1 - (total - length) / (count - 1) / length
  if (overlap <= 0) return []
  return [
    `each window shares ${(100 * overlap).toFixed(0)} % of its ${length} jobs with the next: windows are not independent`
  ]
}

function* instancesOf(
  name: string,
  log: SwfLog,
  windows: Windows,
  seed: number,
  load: number | undefined
): Generator<Instance> {
  const { count } = windows
  const total = log.jobs.length
  const length = lengthOf(windows, total)
  for (let index = 0; index < count; index++) {
    const from = count === 1 ? 0 : Math.round((index * (total - length)) / (count - 1))
    const window = { ...log, jobs: log.jobs.slice(from, from + length) }
    const instance = instanceOf(name, window, seed, load)
    yield count === 1 ? instance : { ...instance, sample: `window ${index + 1}` }
  }
}

function instanceOf(name: string, log: SwfLog, seed: number, load: number | undefined): Instance {
  const jobs = shake(log.jobs, seed)
  const tasks = jobs.map(taskOf)
  const workS = jobs.reduce((sum, job) => sum + job.runS * job.processors, 0)
  const firstS = jobs[0]?.submitS ?? 0
  const spanS = (jobs.at(-1)?.submitS ?? 0) - firstS
  const widest = jobs.reduce((most, job) => Math.max(most, job.processors), 1)
  // Work that comes all at once has no rate, so no number of processors has a load.
  const isLoaded = load !== undefined && spanS > 0
  const wanted = isLoaded ? Math.round(workS / (spanS * load)) : log.maxProcs
  const processors = Math.max(widest, wanted)
  const lastEndS = jobs.reduce((latest, job) => Math.max(latest, job.submitS - firstS + job.runS), 0)
  // Users are tenants, so that a name is what several of them may have in common; a class is one user's.
  const means = classMeans(tasks.map((task) => ({ ...task, name: `${task.tenant}/${task.name}` })))
  const workload = compileWorkload(name, tasks)
  const cluster = [pool(processors)]
  return {
    workload,
    cluster,
    outages: [],
    model: fixedRunTimes,
    truthMs: (id) => tasks[id - 1]?.workMs ?? 0,
    classMeanMs: means,
    speedOf: () => 1,
    idealMs: idealTimes(workload, 'task', fastestRuns(workload, cluster)),
    makespanBoundMs: Math.max(workS / processors, lastEndS) * 1000,
    load: workS / (processors * Math.max(1, spanS)),
    notes: [
      ...(log.maxProcs === 0 ? ['the log tells no size of its machine: the load sets the processors'] : []),
      ...(isLoaded || load === undefined
        ? widestNotes(log.maxProcs, widest, wanted, load)
        : atOnceNotes(processors))
    ]
  }
}

/** Whether the widest job made the pool larger than it was to be. */
function widestNotes(maxProcs: number, widest: number, wanted: number, load: number | undefined): string[] {
  if (load !== undefined) {
    if (wanted >= widest) return []
    return [
      `load ${load} would take ${wanted} processors, but the widest job asks for ${widest}: the load is lower`
    ]
  }
  if (maxProcs === 0 || widest <= maxProcs) return []
  return [`a job asks for ${widest} processors, but MaxProcs is ${maxProcs}: the machine has ${widest}`]
}

function atOnceNotes(processors: number): string[] {
  return [
    `all jobs come at the same time, so that no load can be set: the machine has ${processors} processors`
  ]
}

/** The one node that stands for a machine of so many processors. */
function pool(processors: number): SimNode {
  return {
    id: nodeId(1),
    labels: {},
    zone: '',
    profile: 'pool',
    slots: processors,
    resources: { cpu: processors * 1000 },
    speeds: {}
  }
}

function taskOf(job: SwfJob, index: number): SimTask {
  const id = taskId(index + 1)
  return {
    id,
    name: `g${job.group}/e${job.executable}/q${job.queue}`,
    tenant: `u${job.user}`,
    priority: 0,
    resources: { cpu: job.processors * 1000 },
    nodeSelector: {},
    inputBytes: 0,
    limitMs: job.requestedS > 0 ? job.requestedS * 1000 : 0,
    submittedAt: job.submitS * 1000,
    idempotent: false,
    needs: [],
    transferBytes: [],
    group: id,
    workMs: job.runS * 1000,
    kind: 'cpu',
    peakMemoryBytes: job.memoryKb > 0 ? job.memoryKb * 1024 * job.processors : 0
  }
}

function shake(jobs: readonly SwfJob[], seed: number): SwfJob[] {
  const start = jobs[0]?.submitS ?? 0
  const rng = createRng(seed)
  let before = start
  let at = 0
  return jobs.map((job) => {
    const gap = job.submitS - before
    before = job.submitS
    at += seed === 0 ? gap : gap * (1 - SHAKE + 2 * SHAKE * rng.nextFloat())
    return { ...job, submitS: at }
  })
}
