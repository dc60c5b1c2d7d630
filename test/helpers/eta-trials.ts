/**
 * Trials of ETAs: generated runs go through the simulator past a fresh estimator, forecasts of the whole run are made by production
 * code as it goes on, and are held to when the run was done.
 *
 * 1. A trial is one seed: run times, the order of tasks and futures all come from it.
 * 2. What is forecast is the end of the submission (`Forecast.group`), uncorrected by `EtaCalibration`.
 */
import { taskId } from '../../base/ids.ts'
import { createRng } from '../../base/prng.ts'
import type { Rng } from '../../base/prng.ts'
import { forecast } from '../../optimizer/advice/eta.ts'
import type { Forecast } from '../../optimizer/advice/eta.ts'
import type { ForecastSource } from '../../optimizer/advice/problem.ts'
import { byArrival } from '../../optimizer/advice/orders.ts'
import { SuggestionBook } from '../../optimizer/advice/suggest.ts'
import type { Estimator } from '../../optimizer/estimate.ts'
import { createLearnedEstimator } from '../../optimizer/estimator/learned.ts'
import { simulate } from '../../optimizer/sim/engine.ts'
import { fixedRunTimes } from '../../optimizer/sim/run-models.ts'
import { policyFactory } from '../../scheduler/policies/index.ts'
import type { ClusterView, Policy, TaskView } from '../../scheduler/policy.ts'
import { nodesOf, workloadOf } from './workloads.ts'
import type { TaskSketch } from './workloads.ts'

/** Shares of a run's tasks that have ended when its forecast is judged. */
export const PROGRESS = [0.1, 0.25, 0.5, 0.75] as const

const NAMES = ['fast', 'mid', 'slow'] as const
const TENANTS = ['a', 'b'] as const
/** Shortest run times of the classes in milliseconds. */
const BASES_MS = [35, 280, 1050] as const

/** A run time of the class, in milliseconds. */
type Draw = (rng: Rng, base: number) => number

const even: Draw = (rng, base) => base * (1 + rng.nextFloat())

/** What the run times of a class are like; each class has its own scale. */
const KINDS = {
  /** Run times from a base to twice as long. */
  even,
  /** Log-normal, with a standard deviation of ln t of 1.5. */
  logNormal: (rng, base) => base * Math.exp(1.5 * normal(rng)),
  /** Pareto with an index of 1.5: no variance. */
  pareto: (rng, base) => base * (1 - rng.nextFloat()) ** (-1 / 1.5),
  /** One in a hundred takes fifty times as long. */
  stragglers: (rng, base) => even(rng, base) * (rng.nextFloat() < 0.01 ? 50 : 1)
} satisfies Record<string, Draw>

type Kind = keyof typeof KINDS

interface Trial {
  readonly kind: Kind
  readonly seed: number
  readonly tasks?: number
  readonly slots?: number
  /** Runs one after the other; the last is judged. */
  readonly runs?: number
  /** Default `PROGRESS`. */
  readonly progress?: readonly number[]
}

/** What was forecast at some point of a run and what came, in milliseconds from then. */
interface Outcome {
  readonly p50Ms: number
  readonly p90Ms: number
  readonly actualMs: number
}

/** What was forecast of a run as it went on, and what came. */
export function outcomesOf(trial: Trial): Outcome[] {
  const { kind, seed, tasks = 300, slots = 6, runs = 1, progress = PROGRESS } = trial
  const rng = createRng(seed)
  const sketches = Array.from({ length: runs }, (_, run) =>
    runOf(rng, KINDS[kind], { tasks, first: run * tasks + 1, at: run * DAY_MS })
  ).flat()
  const watch = new Watch({ tasks, runs, seed, progress })
  const cluster = nodesOf([1, 1, 1], Math.ceil(slots / 3))
  simulate(workloadOf(sketches), cluster, watch.around(policyFactory('fifo')(rng)), {
    model: fixedRunTimes()
  })
  return watch.outcomes()
}

const DAY_MS = 86_400_000

/** One submission, its classes in an order of chance. */
function runOf(
  rng: Rng,
  draw: Draw,
  { tasks, first, at }: { tasks: number; first: number; at: number }
): TaskSketch[] {
  return Array.from({ length: tasks }, () => {
    const which = rng.nextInt(NAMES.length)
    return {
      work: Math.max(1, Math.round(draw(rng, BASES_MS[which] ?? 1))),
      at,
      name: NAMES[which] ?? '',
      tenant: TENANTS[rng.nextInt(TENANTS.length)] ?? '',
      group: first
    }
  })
}

type Watched = Required<Pick<Trial, 'tasks' | 'runs' | 'seed' | 'progress'>>

/** Tells an estimator what the policy hears, and has the last run forecast. */
class Watch {
  readonly #trial: Watched
  readonly #estimator: Estimator = createLearnedEstimator({ rows: false })
  readonly #book = new SuggestionBook()
  readonly #made: { readonly at: number; readonly p50At: number; readonly p90At: number }[] = []
  #ended = 0
  #lastAt = 0

  constructor(trial: Watched) {
    this.#trial = trial
  }

  around(inner: Policy): Policy {
    return {
      ...inner,
      next: (view) => {
        const choice = inner.next(view)
        const task = choice === undefined ? undefined : view.task(choice.taskId)
        const node = choice === undefined ? undefined : view.node(choice.node)
        if (task !== undefined && node !== undefined) this.#estimator.placed?.(task, node, view.now)
        if (choice === undefined) this.#look(view)
        return choice
      },
      onEnded: (feedback, view) => {
        this.#ended++
        this.#lastAt = view.now
        this.#estimator.observe(feedback)
        this.#book.observe(feedback)
        inner.onEnded?.(feedback, view)
      }
    }
  }

  outcomes(): Outcome[] {
    return this.#made.map(({ at, p50At, p90At }) => ({
      p50Ms: p50At - at,
      p90Ms: p90At - at,
      actualMs: this.#lastAt - at
    }))
  }

  #look(view: ClusterView): void {
    const { tasks, runs, progress } = this.#trial
    const before = (runs - 1) * tasks
    const due = progress[this.#made.length]
    if (due === undefined || this.#ended < before + due * tasks) return
    this.#estimator.advance?.(view.now)
    const finish = this.#forecast(view).group(taskId(before + 1))?.finish
    this.#made.push({
      at: view.now,
      p50At: finish?.p50At ?? Infinity,
      p90At: finish?.p90At ?? Infinity
    })
  }

  #forecast(view: ClusterView): Forecast {
    return forecast(sourceOfView(view), {
      estimator: this.#estimator,
      order: byArrival,
      seen: (task) => this.#book.samples(task),
      seed: this.#trial.seed
    })
  }
}

/** The present as a policy sees it. */
function sourceOfView(view: ClusterView): ForecastSource {
  return {
    now: view.now,
    nodes: view.nodes(),
    running: [...view.running()].flatMap((attempt) => {
      const task = view.task(attempt.taskId)
      return task === undefined ? [] : [{ task, node: attempt.node, since: attempt.placedAt }]
    }),
    waiting: [...view.ready()].map((task: TaskView) => ({ task, waitsFor: [], notBefore: 0 })),
    eligible: (task, node) => view.eligible(task, node)
  }
}

interface Score {
  /** Shares of runs that were done by the p50 and the p90. */
  readonly by50: number
  readonly by90: number
  /** Median |ln(p50 ÷ actual)|, and median p90 ÷ p50. */
  readonly errorLn: number
  readonly width: number
}

/** One score for each of `PROGRESS`, over the trials of these seeds. */
export function scores(trial: Omit<Trial, 'seed' | 'progress'>, seeds: readonly number[]): Score[] {
  const all = seeds.map((seed) => outcomesOf({ ...trial, seed }))
  return PROGRESS.map((_, at) => {
    const outcomes = all.flatMap((one) => one[at] ?? [])
    const share = (holds: (outcome: Outcome) => boolean): number =>
      outcomes.filter(holds).length / Math.max(1, outcomes.length)
    return {
      by50: share(({ actualMs, p50Ms }) => actualMs <= p50Ms),
      by90: share(({ actualMs, p90Ms }) => actualMs <= p90Ms),
      errorLn: median(outcomes.map(({ actualMs, p50Ms }) => Math.abs(Math.log(p50Ms / actualMs)))),
      width: median(outcomes.map(({ p50Ms, p90Ms }) => p90Ms / p50Ms))
    }
  })
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? NaN
}

function normal(rng: Rng): number {
  return Math.sqrt(-2 * Math.log(1 - rng.nextFloat())) * Math.cos(2 * Math.PI * rng.nextFloat())
}
