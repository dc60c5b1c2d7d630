/**
 * TPC-H jobs as a trace, in the setting of ArchieGertsman/spark-sched-sim: executors are nodes of one slot, jobs arrive
 * in a Poisson stream, and a task's duration is drawn from what was measured with about as many executors on its job.
 *
 * - An executor that comes to a job it was not with pays `moveMs` first, and its first task there is `fresh`.
 * - `--load` sets the arrival rate, because durations depend on the number of executors.
 * - Draws depend on (seed, task, attempt) alone, so policies meet the same luck.
 * - A task says what its submitter knows: the query (tenant), the query's stage (name), and its equal part of the declared
 *   size of the data set (inputBytes). Nothing of durations.
 */
import type { NodeId, TaskId } from '../../base/ids.ts'
import { nodeId, taskId } from '../../base/ids.ts'
import { createRng } from '../../base/prng.ts'
import { uniform } from '../sim/draw.ts'
import { compileWorkload } from '../sim/workload.ts'
import type { RunModel, SimNode, SimTask, StartContext } from '../sim/types.ts'
import { idealTimes } from './ideal.ts'
import type { DurationLevels, TpchJob, TpchStage } from './tpch.ts'
import type { Instance, Trace } from './trace.ts'

export interface TpchOptions {
  readonly executors: number
  readonly jobs: number
  /** Mean gap between submissions, in milliseconds. */
  readonly gapMs: number
  /** Time that an executor takes to come to another job. */
  readonly moveMs: number
  /** Added to a first task for which no fresh duration was measured. */
  readonly warmUpMs: number
}

/** The setting that Decima's published checkpoint was trained in. */
export const TPCH_DEFAULTS: TpchOptions = {
  executors: 50,
  jobs: 200,
  gapMs: 25_000,
  moveMs: 2000,
  warmUpMs: 1000
}

const SLOWDOWN_BOUND_MS = 1000
/** Executor counts at which durations were measured. */
const LEVELS = [5, 10, 20, 40, 50, 60, 80, 100]

/** The trace that draws its jobs from these. */
export function tpchTrace(
  name: string,
  jobs: readonly TpchJob[],
  options: TpchOptions = TPCH_DEFAULTS
): Trace {
  const meanWorkMs = jobs.reduce((sum, job) => sum + workMs(job), 0) / Math.max(1, jobs.length)
  return {
    name,
    family: 'dags',
    slowdownBoundMs: SLOWDOWN_BOUND_MS,
    defaultLoad: undefined,
    loadIsUsed: true,
    defaultSeeds: 10,
    instances: (seed, load) => {
      const gapMs = load === undefined ? options.gapMs : meanWorkMs / (options.executors * load)
      return [instanceOf(name, jobs, seed, { ...options, gapMs })]
    }
  }
}

function workMs(job: TpchJob): number {
  return job.stages.reduce((sum, stage) => sum + stage.tasks * stage.meanMs, 0)
}

function instanceOf(name: string, jobs: readonly TpchJob[], seed: number, options: TpchOptions): Instance {
  const rng = createRng(seed)
  const tasks: SimTask[] = []
  const stages: TpchStage[] = []
  let at = 0
  for (let index = 0; index < options.jobs; index++) {
    const job = jobs[rng.nextInt(jobs.length)]
    if (job === undefined) break
    appendJob(tasks, stages, job, at)
    at += -Math.log(1 - rng.nextFloat()) * options.gapMs
  }
  const workload = compileWorkload(name, tasks)
  // Durations are yet to be drawn: only the shortest ones bound a schedule from below.
  const leastOf = (index: number): number => stages[index]?.leastMs ?? 0
  const ideal = idealTimes(workload, 'group', leastOf)
  const total = tasks.reduce((sum, task) => sum + task.workMs, 0)
  const least = tasks.reduce((sum, _, index) => sum + leastOf(index), 0)
  const lastMs = tasks.reduce(
    (latest, task) => Math.max(latest, task.submittedAt + (ideal[task.group - 1] ?? 0)),
    0
  )
  return {
    workload,
    cluster: Array.from({ length: options.executors }, (_, index) => executor(index + 1)),
    outages: [],
    model: () => new SparkModel(stages, seed, options),
    truthMs: (id) => tasks[id - 1]?.workMs ?? 0,
    classMeanMs: (id) => tasks[id - 1]?.workMs ?? 0,
    speedOf: () => 1,
    idealMs: ideal,
    makespanBoundMs: Math.max(lastMs, least / options.executors),
    load: total / (options.executors * Math.max(1, at))
  }
}

function executor(number: number): SimNode {
  return {
    id: nodeId(number),
    labels: {},
    zone: '',
    profile: 'executor',
    slots: 1,
    resources: {},
    speeds: {}
  }
}

function appendJob(tasks: SimTask[], stages: TpchStage[], job: TpchJob, submittedAt: number): void {
  const group = taskId(tasks.length + 1)
  // Ids follow the order of stages; parents may come later in that order, so all ids are known first.
  const idsOf: TaskId[][] = []
  let next = tasks.length + 1
  for (const stage of job.stages) {
    idsOf.push(Array.from({ length: stage.tasks }, () => taskId(next++)))
  }
  job.stages.forEach((stage, index) => {
    const needs = stage.parents.flatMap((parent) => idsOf[parent] ?? [])
    for (const id of idsOf[index] ?? []) {
      tasks.push({
        id,
        name: `${job.query}/s${index}`,
        tenant: job.query,
        priority: 0,
        resources: {},
        nodeSelector: {},
        inputBytes: Math.round(job.inputBytes / stage.tasks),
        limitMs: 0,
        submittedAt,
        idempotent: true,
        needs,
        transferBytes: [],
        group,
        workMs: stage.meanMs,
        kind: 'cpu',
        peakMemoryBytes: 0
      })
      stages.push(stage)
    }
  })
}

/** What an executor is attached to. */
interface Attachment {
  readonly group: TaskId
  readonly stage: TpchStage
  readonly freeSince: number
}

class SparkModel implements RunModel {
  readonly #stages: readonly TpchStage[]
  readonly #seed: number
  readonly #options: TpchOptions
  readonly #attached = new Map<NodeId, Attachment>()
  readonly #executors = new Map<TaskId, number>()

  constructor(stages: readonly TpchStage[], seed: number, options: TpchOptions) {
    this.#stages = stages
    this.#seed = seed
    this.#options = options
  }

  start(task: SimTask, node: SimNode, context: StartContext, plan: { setupMs: number; runMs: number }): void {
    const stage = this.#stages[task.id - 1]
    if (stage === undefined) return
    const before = this.#attached.get(node.id)
    if (before?.group !== task.group) {
      if (before !== undefined) this.#count(before.group, -1)
      this.#count(task.group, 1)
      plan.setupMs = this.#options.moveMs
    }
    const idle = before?.group !== task.group || before.freeSince < context.now
    const draw = (salt: number): number => uniform(this.#seed, task.id, context.attempt, salt)
    const level = executorLevel(this.#executors.get(task.group) ?? 1, draw(1))
    plan.runMs = this.#duration(
      stage,
      level,
      idle ? 'fresh' : before.stage === stage ? 'rest' : 'first',
      draw(2)
    )
    this.#attached.set(node.id, {
      group: task.group,
      stage,
      freeSince: context.now + plan.setupMs + plan.runMs
    })
  }

  #count(group: TaskId, change: number): void {
    this.#executors.set(group, (this.#executors.get(group) ?? 0) + change)
  }

  #duration(stage: TpchStage, level: number, wave: 'fresh' | 'first' | 'rest', chance: number): number {
    const { fresh, first, rest } = stage
    if (wave === 'fresh') {
      const ms = pick(fresh, level, chance)
      if (ms !== undefined) return ms
      return (pick(first, level, chance) ?? stage.meanMs) + this.#options.warmUpMs
    }
    const later = wave === 'rest' ? pick(rest, level, chance) : undefined
    return later ?? pick(first, level, chance) ?? pick(fresh, level, chance) ?? stage.meanMs
  }
}

/** The measured executor count that stands for this many: one of its two neighbours, the nearer more often. */
function executorLevel(executors: number, chance: number): number {
  const above = LEVELS.findIndex((level) => level >= executors)
  const high = LEVELS[above]
  if (high === undefined) return LEVELS.at(-1) ?? executors
  const low = LEVELS[above - 1]
  if (low === undefined || high === executors) return high
  return 1 + Math.floor(chance * (high - low)) <= executors - low ? low : high
}

function pick(levels: DurationLevels, wanted: number, chance: number): number | undefined {
  let index = levels.counts.indexOf(wanted)
  // More executors than the job has tasks: the largest measured count.
  if (index < 0) index = levels.counts.length - 1
  const values = levels.values[index] ?? []
  return values[Math.floor(chance * values.length)]
}
