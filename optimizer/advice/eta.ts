/**
 * When tasks and groups will start and finish: many possible futures (`list-schedule.ts`) with run times drawn from the
 * predicted distributions, and the quantiles of what comes out.
 *
 * 1. p50 ≤ p90, and no quantile lies before the forecast's time.
 * 2. A run time of a running attempt is drawn from what is left of its distribution, given how long it has run.
 * 3. What is not known of a class is drawn once for all its tasks (`future-durations.ts`).
 * 4. When all comes at the latest is one more future, in which every attempt takes what its timeout allows.
 * 5. The same source, estimator and seed give the same forecast. Futures are drawn one a step, so that whoever makes a forecast
 *    can do other things in between.
 *
 * It knows nothing of what will be submitted later: under policies that let short tasks pass, waiting may be longer.
 * `eta-calibration.ts` corrects for what it systematically gets wrong.
 */
import type { TaskId } from '../../base/ids.ts'
import { createRng } from '../../base/prng.ts'
import type { TaskView } from '../../scheduler/policy.ts'
import type { Estimator } from '../estimate.ts'
import { FutureDurations } from './future-durations.ts'
import { LastStarts } from './last-starts.ts'
import { playOut } from './list-schedule.ts'
import type { Futures, RunTimes } from './list-schedule.ts'
import { momentOf } from './moment.ts'
import type { Moment } from './moment.ts'
import { readInSteps } from './problem.ts'
import type { ForecastOrder } from './orders.ts'
import type { ForecastSource, Problem } from './problem.ts'
import { atOnce } from './steps.ts'

interface TaskForecast {
  /** Undefined for a task that runs already, and for one that is likely to fail without a start. */
  readonly start: Moment | undefined
  /** The share of futures in which it, or what it needs, waits for longer than it may, and fails for that: it finishes then. */
  readonly expires: number
  readonly finish: Moment
  /** It cannot start before: the time of the forecast, or of its delay. */
  readonly earliestAt: number
}

type GroupForecast = Pick<TaskForecast, 'finish' | 'earliestAt'>

export interface Forecast {
  readonly at: number
  /** Tasks that it says something of. */
  readonly ids: readonly TaskId[]
  /** Whether tasks were left out, since there are too many. */
  readonly truncated: boolean
  /** Whether the task was in it. */
  has(id: TaskId): boolean
  /** Undefined for a task that was not in it, or that never can run as things are. */
  task(id: TaskId): TaskForecast | undefined
  /** When the last of the group's tasks finishes. */
  group(id: TaskId): GroupForecast | undefined
  /**
   * Of a waiting task that was left out: it starts no earlier than this, when the last of those is placed that go before it in the
   * policy's order, wherever it may run. Undefined when none does.
   */
  startsAfter(task: TaskView): Moment | undefined
}

export interface ForecastOptions {
  readonly estimator: Estimator
  readonly order: ForecastOrder
  readonly seed: number
  /** How many attempts of tasks like this one have been seen. Default: many, so that nothing is left to learn of a class. */
  readonly seen?: (task: TaskView) => number
  /** Futures. Default 39, and 19 for long queues. */
  readonly draws?: number
}

/** Of 39 values in order the 20th is the median and the 36th the 90th percentile exactly; of 19 the 10th and the 18th. */
const DRAWS = 39
const FEWER_DRAWS = 19
/** Longer queues are forecast with fewer futures: sums of many run times differ less. */
const LONG_QUEUE = 1_000

/** Makes a forecast in steps: first what there is, then one future each. Run it to its end for the result. */
export function* forecastInSteps(
  source: ForecastSource,
  { estimator, order, seed, ...options }: ForecastOptions
): Generator<undefined, Forecast, undefined> {
  const { seen = () => Infinity } = options
  const problem = yield* readInSteps(source, estimator, order(source.nodes), seen)
  const draws = options.draws ?? (problem.ids.length > LONG_QUEUE ? FEWER_DRAWS : DRAWS)
  const durations = new FutureDurations(problem, draws, createRng(seed))
  const count = problem.ids.length
  const futures = noFutures(count, draws)
  const runTimes: RunTimes = { durationMs: new Float64Array(count), mostMs: new Float64Array(count) }
  for (let draw = 0; draw < draws; draw++) {
    yield
    durations.next(runTimes)
    playOut(problem, runTimes, draw, futures)
  }
  yield
  const latest = noFutures(count, 1)
  durations.latest(runTimes)
  playOut(problem, runTimes, 0, latest)
  return new Result(problem, futures, latest)
}

function noFutures(tasks: number, draws: number): Futures {
  const [startAt, finishAt] = [new Float64Array(tasks * draws), new Float64Array(tasks * draws)]
  return { draws, startAt: startAt.fill(Infinity), finishAt: finishAt.fill(Infinity) }
}

/** The same at once. */
export function forecast(source: ForecastSource, options: ForecastOptions): Forecast {
  return atOnce(forecastInSteps(source, options))
}

/** By future, when the last task of a group finishes, when at the latest, and the latest of the times before which one of them cannot start. */
interface GroupFinishes {
  readonly finishes: Float64Array
  readonly latestAt: number
  readonly earliestAt: number
}

class Result implements Forecast {
  readonly at: number
  readonly ids: readonly TaskId[]
  readonly truncated: boolean
  readonly #problem: Problem
  readonly #futures: Futures
  /** The future of rule 4. */
  readonly #latest: Futures
  readonly #running: ReadonlySet<number>
  readonly #lastStarts: LastStarts
  #groups: ReadonlyMap<TaskId, GroupFinishes> | undefined

  constructor(problem: Problem, futures: Futures, latest: Futures) {
    this.at = problem.now
    this.ids = problem.ids
    this.truncated = problem.truncated
    this.#problem = problem
    this.#futures = futures
    this.#latest = latest
    this.#lastStarts = new LastStarts(problem, futures)
    this.#running = new Set(problem.running.map(({ index }) => index))
  }

  has(id: TaskId): boolean {
    return this.#problem.indexOf.has(id)
  }

  task(id: TaskId): TaskForecast | undefined {
    const index = this.#problem.indexOf.get(id)
    if (index === undefined) return undefined
    const { draws, startAt, finishAt } = this.#futures
    const finish = bounded(
      momentOf(finishAt.slice(index * draws, (index + 1) * draws)),
      this.#latest.finishAt[index]
    )
    if (finish === undefined) return undefined
    if (this.#running.has(index)) return { start: undefined, expires: 0, finish, earliestAt: this.at }
    const starts = startAt.slice(index * draws, (index + 1) * draws)
    const expires = starts.filter((at) => at === Infinity).length / draws
    const start = momentOf(starts) === undefined ? undefined : this.#start(index)
    return { start, expires, finish, earliestAt: this.#earliestAt(index) }
  }

  group(id: TaskId): GroupForecast | undefined {
    this.#groups ??= this.#lastFinishes()
    const group = this.#groups.get(id)
    const finish = group === undefined ? undefined : bounded(momentOf(group.finishes.slice()), group.latestAt)
    return group === undefined || finish === undefined ? undefined : { finish, earliestAt: group.earliestAt }
  }

  startsAfter(task: TaskView): Moment | undefined {
    const place = this.#problem.placeOf(task)
    if (place === undefined) return undefined
    // One that was not ready yet comes after all that are; among those of a rank the forecast named all others first.
    return this.#lastStarts.before(place, task.readyAt > 0 ? task.readyAt : Infinity)
  }

  /** Where it fails without a start it waits until then: what starts is said to before it finishes. */
  #start(index: number): Moment | undefined {
    const until = ({ draws, startAt, finishAt }: Futures): Float64Array =>
      startAt
        .slice(index * draws, (index + 1) * draws)
        .map((at, draw) => Math.min(at, finishAt[index * draws + draw] ?? Infinity))
    return bounded(momentOf(until(this.#futures)), until(this.#latest)[0])
  }

  #earliestAt(index: number): number {
    return Math.max(this.at, this.#problem.notBefore[index] ?? 0)
  }

  #lastFinishes(): Map<TaskId, GroupFinishes> {
    const { draws, finishAt } = this.#futures
    const groups = new Map<TaskId, GroupFinishes>()
    const { ids, indexOf } = this.#problem
    this.#problem.groups.forEach((group, index) => {
      if (indexOf.get(ids[index] ?? group) !== index) return
      const known = groups.get(group)
      const last = known?.finishes ?? new Float64Array(draws)
      const earliestAt = Math.max(known?.earliestAt ?? 0, this.#earliestAt(index))
      for (let draw = 0; draw < draws; draw++) {
        last[draw] = Math.max(last[draw] ?? 0, finishAt[index * draws + draw] ?? Infinity)
      }
      const latestAt = Math.max(known?.latestAt ?? 0, this.#latest.finishAt[index] ?? Infinity)
      groups.set(group, { finishes: last, latestAt, earliestAt })
    })
    return groups
  }
}

function bounded(moment: Moment | undefined, latestAt = Infinity): Moment | undefined {
  return moment === undefined ? undefined : { ...moment, latestAt: Math.max(latestAt, moment.p90At) }
}
