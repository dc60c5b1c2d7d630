/**
 * What a node can say of its tasks: predictions, times of arrival, alarms and suggestions, in the words of the API.
 *
 * Owns the last forecast, its calibration, and when each alarm was first raised. Pure: whoever owns an advisor tells it of
 * events, gives it the time, and decides when a forecast is worth making (`refresh`); `horizonMs` and `isOff` say how long the last one
 * holds.
 *
 * 1. Answers about one task cost a few microseconds: they read the last forecast.
 * 2. `refresh` reads what changes in its first step alone; the steps after it read specs, which never do.
 * 3. Everything here is advice: nothing of it is replicated, and a wrong estimator makes it wrong, never dangerous.
 */
import { formatTaskId } from '../../base/ids.ts'
import type { TaskId } from '../../base/ids.ts'
import { timestampMs } from '../../base/units.ts'
import type { Alarm, Eta, Predicted, Suggestion } from '../../base/wire/forecast.ts'
import { viewOfTask } from '../../scheduler/planner/task-view.ts'
import type { AttemptFeedback } from '../../scheduler/policy.ts'
import type { SchedulerState } from '../../scheduler/state.ts'
import type { HistoryRow, Task } from '../../scheduler/types.ts'
import type { Estimator } from '../estimate.ts'
import { judgeDeadline } from './deadlines.ts'
import { EtaCalibration } from './eta-calibration.ts'
import type { EtaRecord } from './eta-calibration.ts'
import { forecastInSteps } from './eta.ts'
import type { Forecast, Moment } from './eta.ts'
import type { ForecastOrder } from './orders.ts'
import { stateSource } from './state-source.ts'
import { stuckAfterMs } from './stuck.ts'
import { SuggestionBook } from './suggest.ts'

export interface AdvisorOptions {
  readonly state: SchedulerState
  readonly estimator: Estimator
  /** The order of the policy that places now; followers do not hear of one that failed on the leader and was replaced. */
  readonly order: () => ForecastOrder
  /** Who predicts now: `statistics`, or `model 7`. */
  readonly predictedBy: () => string
  readonly seed: number
}

/** Forecasts that are kept for judgement out of each one made. */
const SAMPLED = 64
/** Ends after which a forecast can be said to be off, and by what part of the time that it gave them. */
const FEWEST_ENDS = 8
const FAR_OFF = 0.5
/** Tasks looked at for alarms in one go. */
const MOST_WATCHED = 10_000

export class Advisor {
  readonly #options: AdvisorOptions
  readonly #calibration = new EtaCalibration()
  readonly #book = new SuggestionBook()
  /** When an alarm was first raised, by kind and task. */
  readonly #raised = new Map<string, number>()
  #forecast: Forecast | undefined
  #horizonMs = Infinity
  /** Of ends since the last forecast: how many, how far off they were, and how far away they were said to be, in milliseconds. */
  #ends = { count: 0, offMs: 0, saidMs: 0 }
  #made = 0
  #heard = false

  constructor(options: AdvisorOptions) {
    this.#options = options
  }

  /** State time of the last forecast; undefined before the first. */
  get forecastAt(): number | undefined {
    return this.#forecast?.at
  }

  /** How far away the last forecast sees the median end, in milliseconds; Infinity where it sees none. */
  get horizonMs(): number {
    return this.#horizonMs
  }

  /** Whether tasks have ended since the last forecast far from when it said. */
  get isOff(): boolean {
    const { count, offMs, saidMs } = this.#ends
    return count >= FEWEST_ENDS && offMs > FAR_OFF * saidMs
  }

  /** Whether any attempt has been heard of: before that, predictions are what holds for tasks of any kind. */
  get hasLearned(): boolean {
    return this.#heard
  }

  /** Whether the last forecast says what there is to say of the task. */
  covers(id: TaskId): boolean {
    const forecast = this.#forecast
    // One that had to leave tasks out would leave this one out again.
    return forecast !== undefined && (forecast.has(id) || forecast.truncated)
  }

  /** How earlier forecasts turned out. */
  get record(): EtaRecord {
    return this.#calibration.record
  }

  /** An attempt is over; the estimator has heard of it. */
  attemptEnded(feedback: AttemptFeedback): void {
    this.#heard = true
    this.#book.observe(feedback)
  }

  /** A task is over. */
  taskEnded(row: HistoryRow): void {
    this.#noteEnd(row)
    if (row.status === 'succeeded') this.#calibration.finished(row.id, row.finishedAt)
    else this.#calibration.forget(row.id)
    for (const kind of ['deadline', 'stuck']) this.#raised.delete(`${kind}/${row.id}`)
  }

  #noteEnd({ id, finishedAt, status }: HistoryRow): void {
    const forecast = this.#forecast
    const made = status === 'succeeded' ? forecast?.task(id) : undefined
    if (forecast === undefined || made === undefined) return
    const { p50At } = this.#shown(made.earliestAt, made.finish)
    this.#ends.count++
    this.#ends.offMs += Math.abs(finishedAt - p50At)
    this.#ends.saidMs += p50At - forecast.at
  }

  /** Makes a new forecast in steps; the last one answers until it is done. */
  *refresh(now: number): Generator<undefined, void, undefined> {
    const { state, estimator, order, seed } = this.#options
    this.#made++
    const forecast = yield* forecastInSteps(stateSource(state, timestampMs(now)), {
      estimator,
      order: order(),
      seen: (task) => this.#book.samples(task),
      seed: seed + this.#made
    })
    this.#forecast = forecast
    this.#ends = { count: 0, offMs: 0, saidMs: 0 }
    this.#calibration.revise(forecast.at, (id) => forecast.task(id)?.finish)
    const aheadMs: number[] = []
    const step = Math.max(1, Math.floor(forecast.ids.length / SAMPLED))
    for (let index = this.#made % step; index < forecast.ids.length; index += step) {
      const id = forecast.ids[index]
      const made = id === undefined ? undefined : forecast.task(id)
      // Of a task that is delayed there is little to learn: most of what is forecast of it is certain.
      if (id === undefined || made?.earliestAt !== forecast.at) continue
      this.#calibration.remember(id, forecast.at, made.finish)
      aheadMs.push(made.finish.p50At - forecast.at)
    }
    this.#horizonMs = aheadMs.sort((a, b) => a - b)[aheadMs.length >> 1] ?? Infinity
  }

  /** What one attempt of the task will take on a typical node. */
  predicted(task: Task): Predicted {
    const prediction = this.#options.estimator.predict(viewOfTask(task))
    const memoryP95Bytes = Math.round(prediction.memoryBytes(0.95))
    return {
      medianMs: prediction.medianMs,
      p90Ms: prediction.quantileMs(0.9),
      p99Ms: prediction.quantileMs(0.99),
      failureProbability: prediction.failureProbability,
      ...(memoryP95Bytes > 0 ? { memoryP95Bytes } : {}),
      by: this.#options.predictedBy()
    }
  }

  /** Predicted median of one attempt, in milliseconds. */
  expectedMs(task: Task): number {
    return this.#options.estimator.predict(viewOfTask(task)).medianMs
  }

  /** Undefined before the first forecast, and for a task that is not in it or never can run. */
  eta(task: Task): Eta | undefined {
    const forecast = this.#forecast
    const made = forecast?.task(task.id)
    if (forecast === undefined || made === undefined) return undefined
    // Once it runs, what was forecast of its start is history.
    const waits = made.start !== undefined && task.placement === undefined
    return {
      ...(waits ? { startAt: this.#shown(made.earliestAt, made.start) } : {}),
      finishAt: this.#shown(made.earliestAt, made.finish),
      forecastAt: forecast.at
    }
  }

  /** When the last task of the group finishes. */
  groupEta(group: TaskId): Eta | undefined {
    const forecast = this.#forecast
    const made = forecast?.group(group)
    if (forecast === undefined || made === undefined) return undefined
    return { finishAt: this.#shown(made.earliestAt, made.finish), forecastAt: forecast.at }
  }

  /** What is certain, such as a delay, is not stretched. */
  #shown(earliestAt: number, moment: Moment): Moment {
    const { p50At, p90At } = this.#calibration.correct(earliestAt, moment)
    return { p50At: Math.round(p50At), p90At: Math.round(p90At) }
  }

  /** What is wrong with a live task, or about to be. */
  alarmsOf(task: Task, now: number): Alarm[] {
    const found = [this.#deadlineAlarm(task, now), this.#stuckAlarm(task, now)]
    return found.filter((alarm) => alarm !== undefined)
  }

  #deadlineAlarm(task: Task, now: number): Alarm | undefined {
    const { deadlineAt } = task.spec
    // Before anything is known of the work here, nearly every deadline would seem at risk.
    const finish = this.#heard ? this.eta(task)?.finishAt : undefined
    const verdict = judgeDeadline(deadlineAt, now, finish)
    if (verdict === 'safe') {
      this.#raised.delete(`deadline/${task.id}`)
      return undefined
    }
    const how = verdict === 'missed' ? 'has passed' : 'is earlier than its predicted p90 finish'
    return {
      ...this.#alarmAbout(
        task,
        'deadline',
        `${task.spec.name} (${formatTaskId(task.id)}): its deadline ${how}`,
        now
      ),
      deadlineAt,
      ...(finish === undefined ? {} : { finishP90At: finish.p90At })
    }
  }

  #stuckAlarm(task: Task, now: number): Alarm | undefined {
    const { placement } = task
    if (placement === undefined) return undefined
    const elapsedMs = now - (placement.startedAt || placement.placedAt)
    const prediction = this.#options.estimator.predict(viewOfTask(task))
    if (elapsedMs <= stuckAfterMs(prediction)) return undefined
    const expectedMs = prediction.quantileMs(0.99)
    const message = `${task.spec.name} (${formatTaskId(task.id)}) has run far longer than 99 of 100 of its kind`
    return { ...this.#alarmAbout(task, 'stuck', message, now), elapsedMs, expectedMs }
  }

  #alarmAbout(task: Task, kind: 'deadline' | 'stuck', message: string, now: number): Alarm {
    const key = `${kind}/${task.id}`
    const since = this.#raised.get(key) ?? now
    this.#raised.set(key, since)
    return { kind, message, id: formatTaskId(task.id), name: task.spec.name, since }
  }

  /** Alarms about tasks: deadlines by the time that is left, then what is stuck, the longest first. */
  alarms(now: number): Alarm[] {
    const found: Alarm[] = []
    let left = MOST_WATCHED
    for (const task of this.#options.state.tasks.values()) {
      if (task.placement === undefined && task.spec.deadlineAt === 0) continue
      if (left-- <= 0) break
      found.push(...this.alarmsOf(task, now))
    }
    return found.sort(
      (a, b) =>
        (a.deadlineAt ?? Infinity) - (b.deadlineAt ?? Infinity) || (b.elapsedMs ?? 0) - (a.elapsedMs ?? 0)
    )
  }

  /** What classes of tasks should ask for. */
  suggestions(name: string | undefined): Suggestion[] {
    return this.#book.suggestions(name)
  }
}
