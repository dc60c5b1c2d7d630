/**
 * What a node can say of its tasks: predictions, times of arrival, alarms and suggestions, in the words of the API.
 *
 * Owns the last forecast and its calibration; what is stuck or late is judged by `stuck.ts` and `deadlines.ts`. Pure: whoever owns an
 * advisor tells it of events, gives it the time, and decides when a forecast is worth making (`refresh`) and for how long it stands
 * (`dropForecast`); `horizonMs` and `isOff` say how long the last one holds.
 *
 * 1. Answers about one task cost a few microseconds: they read the last forecast.
 * 2. `refresh` reads what changes in its first step alone; the steps after it read specs, which never do.
 * 3. Everything here is advice: nothing of it is replicated, and a wrong estimator makes it wrong, never dangerous.
 */
import { formatTaskId } from '../../base/ids.ts'
import type { TaskId } from '../../base/ids.ts'
import { timestampMs } from '../../base/units.ts'
import type { Alarm, Eta, Predicted, Suggestion } from '../../base/wire/forecast.ts'
import { acceptsPlacements, obstacle } from '../../scheduler/eligibility.ts'
import { viewOfTask } from '../../scheduler/planner/task-view.ts'
import type { AttemptFeedback } from '../../scheduler/policy.ts'
import type { SchedulerState } from '../../scheduler/state.ts'
import type { HistoryRow, Placement, Task } from '../../scheduler/types.ts'
import type { Estimator } from '../estimate.ts'
import { DeadlineWatch } from './deadlines.ts'
import type { DeadlineVerdict, Finish } from './deadlines.ts'
import { EtaCalibration } from './eta-calibration.ts'
import type { EtaRecord } from './eta-calibration.ts'
import { forecastInSteps } from './eta.ts'
import type { Forecast } from './eta.ts'
import type { Moment } from './moment.ts'
import type { ForecastOrder } from './orders.ts'
import { stateSource } from './state-source.ts'
import { StuckWatch, stuckAfterMs } from './stuck.ts'
import type { Attempt } from './stuck.ts'
import { atOnce } from './steps.ts'
import type { Steps } from './steps.ts'
import { SuggestionBook } from './suggest.ts'
import { watched } from './watched.ts'

export interface AdvisorOptions {
  readonly state: SchedulerState
  readonly estimator: Estimator
  /** The order of the policy that places now; followers do not hear of one that failed on the leader and was replaced. */
  readonly order: () => ForecastOrder
  /** Who predicts now: `statistics`, or `model 7`. */
  readonly predictedBy: () => string
  /** Whether what happened before is still being told. Default: never. */
  readonly catchingUp?: () => boolean
  readonly seed: number
  /** The advisor of the state that this one's replaced: what is known of classes, forecasts and alarms goes on. */
  readonly before?: Advisor | undefined
}

/** Alarms about tasks, by what is wrong. */
export interface AlarmCounts {
  readonly atRisk: number
  readonly missed: number
  readonly stuck: number
}

/** Forecasts that are kept for judgement out of each one made. */
const SAMPLED = 64
/** The share of futures from which on what happens in them is warned of: that of those in which a p90 does not hold. */
const LIKELY = 0.1
/** Ends after which a forecast can be said to be off, and by what part of the time that it gave them. */
const FEWEST_ENDS = 8
const FAR_OFF = 0.5
/** Tasks that are looked at for alarms in one step: beyond what is forecast each costs a prediction. */
const WATCHED_IN_A_STEP = 250
/** How long alarms are not counted again, in milliseconds: those who scrape ask as often as they like, each in a single turn. */
const COUNTED_MS = 5_000

export class Advisor {
  readonly #options: AdvisorOptions
  readonly #calibration: EtaCalibration
  readonly #book: SuggestionBook
  #deadlines: DeadlineWatch
  readonly #stuck: StuckWatch
  #forecast: Forecast | undefined
  #horizonMs = Infinity
  /** Of ends since the last forecast: how many, how far off they were, and how far away they were said to be, in milliseconds. */
  #ends = { count: 0, offMs: 0, saidMs: 0 }
  #counted: { readonly at: number; readonly counts: AlarmCounts } | undefined
  #made = 0
  #heard: boolean
  /** Another is there for the state that came; what this one is in the middle of ends as its own. */
  #isOver = false

  constructor(options: AdvisorOptions) {
    const { before, estimator, state } = options
    // Not kept: it would hold the state before, and the one before that.
    this.#options = { ...options, before: undefined }
    this.#calibration = before === undefined ? new EtaCalibration() : before.#calibration
    this.#deadlines = before === undefined ? new DeadlineWatch() : before.#deadlines
    if (before !== undefined) before.#end()
    // Of what ended in between nobody will say so.
    for (const kept of [this.#calibration, this.#deadlines]) kept.keepOnly((id) => state.tasks.has(id))
    this.#book = before === undefined ? new SuggestionBook() : before.#book
    this.#stuck = before === undefined ? new StuckWatch(estimator) : before.#stuck
    this.#heard = before?.hasLearned ?? false
  }

  #end(): void {
    this.#isOver = true
    this.#deadlines = new DeadlineWatch()
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

  /** Nothing is said by the last forecast any more. */
  dropForecast(): void {
    this.#forecast = undefined
    this.#horizonMs = Infinity
  }

  /** An attempt begins; the estimator has not heard of it yet. */
  attemptBegan(attempt: Attempt): void {
    this.#stuck.began(attempt, this.#options.state.time)
  }

  /** An attempt is over; the estimator has heard of it. */
  attemptEnded(feedback: AttemptFeedback): void {
    this.#heard = true
    this.#book.observe(feedback)
    this.#stuck.ended(feedback, this.#options.state.time)
  }

  /** These are all attempts that run; how others ended is not known. */
  reconcile(running: Parameters<StuckWatch['reconcile']>[0]): void {
    this.#stuck.reconcile(running)
  }

  /** A task is over. */
  taskEnded(row: HistoryRow): void {
    this.#noteEnd(row)
    if (row.status === 'succeeded') this.#calibration.finished(row.id, row.finishedAt)
    else this.#calibration.forget(row.id)
    this.#deadlines.forget(row.id)
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
    if (!this.#isOver)
      this.#calibration.revise(forecast.at, (id) => {
        const made = forecast.task(id)
        return made?.expires === 0 ? made.finish : undefined
      })
    const aheadMs: number[] = []
    const step = Math.max(1, Math.floor(forecast.ids.length / SAMPLED))
    for (let index = this.#made % step; index < forecast.ids.length; index += step) {
      const id = forecast.ids[index]
      const made = id === undefined ? undefined : forecast.task(id)
      // Of a task that is delayed there is little to learn: most of what is forecast of it is certain.
      if (id === undefined || made?.earliestAt !== forecast.at) continue
      // Nor of one that may fail: its finish is then in part that of a failure, and only successes are held to it.
      if (made.expires === 0 && !this.#isOver) this.#calibration.remember(id, forecast.at, made.finish)
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
      by: this.#options.predictedBy(),
      ...(this.#options.catchingUp?.() === true ? { catchingUp: true } : {})
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
    const { deadlineAt, name } = task.spec
    // Who cancels a task does not wait for it any more.
    if (deadlineAt === 0 || task.placement?.stopReason === 'cancel') return undefined
    const finish = this.#finishOf(task)
    const verdict = this.#deadlines.judge({ id: task.id, deadlineAt }, now, finish)
    if (verdict === undefined) return undefined
    return {
      kind: 'deadline',
      message: `${name} (${formatTaskId(task.id)}): its deadline ${wrongWith(verdict, finish, task)}`,
      ...{ id: formatTaskId(task.id), name, since: verdict.since, deadlineAt },
      ...(finish.type === 'p90' ? { finishP90At: finish.at } : {})
    }
  }

  /** What is known of when a live task with a deadline finishes. */
  #finishOf(task: Task): Finish {
    const { placement, notBefore } = task
    const made = this.#forecast?.task(task.id)
    if (made !== undefined) {
      // Before anything is known of the work here, nearly every deadline would seem at risk.
      if (!this.#heard) return { type: 'unknown' }
      if (made.expires > LIKELY) return { type: 'expires' }
      return { type: 'p90', at: this.#shown(made.earliestAt, made.finish).p90At }
    }
    const waits = placement === undefined
    if (waits && this.#neverRuns(task)) return { type: 'never' }
    const starts = this.#heard && waits ? this.#startsAfter(task) : undefined
    const earliest = Math.max(waits ? notBefore : 0, starts ?? 0)
    return earliest > 0 ? { type: 'not-before', at: earliest } : { type: 'unknown' }
  }

  /** No node may run it as it stands, or the forecast, which left nothing out, finds no way to its end. */
  #neverRuns(task: Task): boolean {
    const forecast = this.#forecast
    const nodes = [...this.#options.state.nodes.values()].filter(acceptsPlacements)
    // While none takes work (they start, or none is left), that is not the task's.
    if (nodes.length === 0) return false
    if (nodes.every(({ offer }) => obstacle(task.spec, offer) !== undefined)) return true
    return forecast?.truncated === false && forecast.has(task.id) && forecast.task(task.id) === undefined
  }

  /**
   * Of a task that the forecast left out, the p90 of its finish at least: that of its start, or, since both are as likely later as not,
   * the median of its start and then its own.
   */
  #startsAfter(task: Task): number | undefined {
    const forecast = this.#forecast
    if (forecast === undefined || !forecast.truncated || forecast.has(task.id)) return undefined
    const starts = forecast.startsAfter(viewOfTask(task))
    if (starts === undefined) return undefined
    const { p50At, p90At } = this.#shown(forecast.at, starts)
    return Math.max(p90At, p50At + this.expectedMs(task))
  }

  #stuckAlarm(task: Task, now: number): Alarm | undefined {
    const { placement } = task
    if (placement === undefined) return undefined
    const startedAt = placement.startedAt || placement.placedAt
    const expectedMs = this.#heldToMs(task, placement)
    const since = startedAt + stuckAfterMs(expectedMs)
    if (now <= since) return undefined
    const { name } = task.spec
    const id = formatTaskId(task.id)
    const message = `${name} (${id}) has run far longer than 99 of 100 of its kind`
    return { kind: 'stuck', message, id, name, since, elapsedMs: now - startedAt, expectedMs }
  }

  #heldToMs(task: Task, { node, placedAt }: Placement): number {
    return this.#stuck.p99Ms({ task: viewOfTask(task), node, at: placedAt }, this.#options.state.time)
  }

  /** How many alarms about tasks there are, by the last forecast; they were counted at most `COUNTED_MS` ago. */
  alarmCounts(now: number): AlarmCounts {
    return atOnce(this.alarmCountsInSteps(now))
  }

  /** The same in steps. */
  *alarmCountsInSteps(now: number): Steps<AlarmCounts> {
    const last = this.#counted
    if (last !== undefined && last.at <= now && now < last.at + COUNTED_MS) return last.counts
    const alarms = yield* this.alarmsInSteps(now)
    const missed = alarms.filter(({ deadlineAt = Infinity }) => deadlineAt < now).length
    const stuck = alarms.filter(({ kind }) => kind === 'stuck').length
    const counts = { missed, stuck, atRisk: alarms.length - missed - stuck }
    this.#counted = { at: now, counts }
    return counts
  }

  /** Alarms about tasks, or those of one group: deadlines by the time that is left, then what is stuck, the longest first. */
  alarms(now: number, group?: TaskId): Alarm[] {
    return atOnce(this.alarmsInSteps(now, group))
  }

  /** The same in steps, between which the state may change: what has ended by then is left out. */
  *alarmsInSteps(now: number, group?: TaskId): Steps<Alarm[]> {
    const found: Alarm[] = []
    let left = WATCHED_IN_A_STEP
    for (const task of yield* watched(this.#options.state.tasks.values(), group)) {
      if (this.#options.state.tasks.has(task.id)) found.push(...this.alarmsOf(task, now))
      if (--left > 0) continue
      left = WATCHED_IN_A_STEP
      yield
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

function wrongWith({ is }: DeadlineVerdict, finish: Finish, { spec, waitingOn }: Task): string {
  const { deadlineAt } = spec
  if (is === 'missed') return 'has passed'
  if (finish.type === 'never')
    return 'will be missed: no node that is up may run it, or what it needs, as it stands'
  if (finish.type === 'expires') {
    const who = waitingOn > 0 ? 'it, or what it needs,' : 'it'
    return `will be missed: ${who} is likely to wait for longer than its scheduleToStartMs, and to fail`
  }
  if (finish.type === 'p90' && finish.at > deadlineAt) return 'is earlier than its predicted p90 finish'
  if (finish.type === 'not-before' && finish.at > deadlineAt) return 'is earlier than it is expected to start'
  return 'was earlier than its predicted p90 finish, and is not clearly later yet'
}
