/**
 * Learning on one node, put together: who hears of what, and when which part acts.
 *
 * Every node observes, so that every node can predict and any can lead. The leader trains (`trainer.ts`) and judges
 * (`model-guard.ts`); what it decides goes through the log, and every node, itself included, does what the log says
 * (`model-book.ts`).
 *
 * 1. Nothing of this can fail the node: a lost thread, a bad model or a refused proposal is logged and counted, and
 *    statistics predict.
 * 2. TensorFlow.js is loaded in the training thread alone, so on leaders that train and nowhere else.
 */
import { setTimeout } from 'node:timers/promises'
import { Advisor } from '../../optimizer/advice/advisor.ts'
import { createLearnedEstimator, type LearnedEstimator } from '../../optimizer/estimator/learned.ts'
import { History, type FinishedTask } from '../../optimizer/guard/history.ts'
import type { Verdict } from '../../optimizer/guard/promotion.ts'
import { TrustedEstimator } from '../../optimizer/guard/trusted-estimator.ts'
import type { Coverage } from '../../optimizer/guard/watch.ts'
import type { NodeRuntime } from '../../runtime/node-runtime.ts'
import type { Logger } from '../../runtime/ports/log.ts'
import type { RuntimeOptions } from '../../runtime/runtime-options.ts'
import type { PolicyFactory } from '../../scheduler/policy.ts'
import type { ModelMode } from '../../scheduler/types.ts'
import { optimizerAlarms, type OptimizerAlarm } from './alarms.ts'
import { BEAT_MS, HISTORY_TASKS, PAUSE_MS } from './bounds.ts'
import { CatchUp } from './catch-up.ts'
import { KeptRows } from './kept-rows.ts'
import { ModelBook } from './model-book.ts'
import { ModelGuard } from './model-guard.ts'
import { orderOf, policiesOn } from './policies.ts'
import { policyPast } from './policy-past.ts'
import { PolicyWatch, type PolicyPast } from './policy-watch.ts'
import { Proposer } from './proposer.ts'
import type { JudgeRequest, ReplayAnswer, TrainedModel } from './protocol.ts'
import { EstimatorFeed } from './estimator-feed.ts'
import { FaultLog } from './fault-log.ts'
import { replayOfModels, replayPolicies, type PolicyReplay, type ReplayGround } from './replay-requests.ts'
import { ToldUntil } from './told-until.ts'
import { Trainer } from './trainer.ts'
import type { Watchers } from './watching.ts'

export interface LearningSettings {
  /** Whether this node trains when it leads. Default true. */
  readonly trains?: boolean
  /** Attempts that must have ended before a leader begins to train. Default 256. */
  readonly trainAfter?: number
  /** Share of one core that training, replays and judgements may use in any ten seconds, in (0, 1]. Default 0.1. */
  readonly cpuShare?: number
}

export interface LearningOptions extends LearningSettings {
  readonly logger: Logger
  readonly seed: () => number
  /** A monotonic clock, in milliseconds. */
  readonly now: () => number
  /** Resolves after the pause between two slices of reading history. Default: after `PAUSE_MS`. */
  readonly pause?: () => Promise<unknown>
}

const TRAIN_AFTER = 256
const CPU_SHARE = 0.1
/** The policy that tells the estimator the time. */
const LEARNED_POLICY = 'learned'
/** Scored predictions before their coverage says something. */
const FEWEST_COVERED = 128

type Hooks = Pick<RuntimeOptions, 'beforeEvents' | 'onReign' | 'onReplaced' | 'onPolicyFailure'>

export class Learning {
  readonly estimator: LearnedEstimator
  /** For the runtime: what a leader may use. */
  readonly policies: ReadonlyMap<string, PolicyFactory>
  readonly history = new History(HISTORY_TASKS)
  readonly book: ModelBook
  readonly guard: ModelGuard
  readonly trainer: Trainer
  readonly policyWatch: PolicyWatch
  /** Rows from which on a leader trains. */
  readonly trainAfter: number
  readonly #options: LearningOptions
  /** What policies ask, and what hears of attempts for the estimator. */
  readonly #trusted: TrustedEstimator
  readonly #feed: EstimatorFeed
  readonly #proposer: Proposer
  readonly #toldUntil = new ToldUntil()
  readonly #catchUp: CatchUp
  readonly #beats: FaultLog
  /** Ends replays of the policy that are under way. */
  #replaying = new AbortController()
  readonly #rows: KeptRows
  #newTasks: FinishedTask[] = []
  #runtime: NodeRuntime | undefined
  #advisor: Advisor | undefined
  #timer: NodeJS.Timeout | undefined
  #reigns = false
  #stopped = false
  /** Tasks that ended since the last beat. */
  #ended = 0
  /** A model was asked for, or is being proposed. */
  #awaitsModel = false
  #policyFailure: { readonly policy: string; readonly alarm: string } | undefined

  constructor(options: LearningOptions) {
    this.#options = options
    const { logger, now, seed, cpuShare = CPU_SHARE, trainAfter = TRAIN_AFTER } = options
    this.trainAfter = trainAfter
    this.#proposer = new Proposer(logger, () => this.#runtime)
    this.#beats = new FaultLog(logger, 'error', 'a beat of learning failed')
    this.#catchUp = new CatchUp({
      logger,
      now,
      pause: options.pause ?? (() => setTimeout(PAUSE_MS, undefined, { ref: false })),
      watchers: () => this.#watchers(),
      toldUntil: this.#toldUntil,
      onRead: () => this.#rows.gather()
    })
    this.estimator = createLearnedEstimator()
    this.#rows = new KeptRows(this.estimator)
    this.#trusted = new TrustedEstimator(this.estimator, (distrust) => {
      if (distrust === undefined) logger.info({}, 'predictions are taken again')
      else logger.warn({ reason: distrust }, 'predictions mislead: policies go by class means')
    })
    this.#feed = new EstimatorFeed(this.#trusted, now)
    this.policies = policiesOn(this.#trusted)
    this.book = new ModelBook(logger, (model) => {
      this.estimator.useModel(model)
    })
    this.guard = new ModelGuard({
      judge: (request) => this.#judge(request),
      coverage: () => this.#coverage(),
      decide: (decision) => this.#proposer.judge(decision)
    })
    this.policyWatch = new PolicyWatch({
      replay: (asked) => this.#policyReplay(asked),
      change: (change) => this.#proposer.changePolicy(change)
    })
    this.trainer = new Trainer({
      logger,
      now,
      cpuShare,
      seed,
      onModel: (model) => {
        void this.#publish(model)
      }
    })
  }

  /** What the runtime is opened with. */
  hooks(): Hooks {
    return {
      beforeEvents: (events) => {
        const runtime = this.#runtime
        if (runtime === undefined) return
        this.#catchUp.take(events, runtime.state)
        for (const { type } of events) if (type === 'task-ended') this.#ended++
        if (events.some(({ type }) => type === 'model-changed')) this.book.sync(runtime.state)
        for (const event of events) if (event.type === 'settings-changed') this.#settingsChanged(event.chosen)
      },
      onReign: (reigning) => {
        this.#reigns = reigning
        this.guard.forget()
        this.#endReplays()
        this.policyWatch.reign(reigning ? this.#policyPast() : undefined)
        this.#ended = 0
        this.#awaitsModel = false
        if (!reigning) {
          this.#policyFailure = undefined
          void this.trainer.end()
        }
      },
      onReplaced: () => {
        this.#look()
        void this.warmUp()
      },
      onPolicyFailure: ({ policy, fault, message }) => {
        this.#policyFailure = {
          policy,
          alarm: `policy ${policy} ${fault}: ${message}; least-loaded places instead`
        }
        const settings = this.#runtime?.state.settings
        if (settings !== undefined) this.policyWatch.failed(`it ${fault}: ${message}`, settings)
      }
    }
  }

  /** The runtime is open and not started: from here on nothing is missed, and it beats. */
  attach(runtime: NodeRuntime): void {
    this.#runtime = runtime
    this.#look()
    this.#timer = setInterval(() => {
      try {
        this.beat()
        this.#beats.worked()
      } catch (error) {
        // Nothing that learns may end the node (rule 1): the next beat looks again.
        this.#beats.failed(error)
      }
    }, BEAT_MS)
    this.#timer.unref()
  }

  /** The node is up: reads what it has, beside everything else. Resolves when all is told; never rejects. */
  async warmUp(): Promise<void> {
    await this.#catchUp.run()
  }

  async close(): Promise<void> {
    this.#stopped = true
    clearInterval(this.#timer)
    this.#catchUp.stop()
    this.#replaying.abort()
    await this.trainer.end()
  }

  /** Made anew when the state was replaced. Throws before `attach`. */
  get advisor(): Advisor {
    if (this.#advisor === undefined) throw new Error('the node is not open')
    return this.#advisor
  }

  /** Who predicts now: `statistics`, or `model 7`. */
  get predictedBy(): string {
    const { serving } = this.book
    return serving?.model === undefined ? 'statistics' : `model ${serving.version}`
  }

  get reigns(): boolean {
    return this.#reigns
  }

  /** What could not be done or told since the start, by what it was. */
  get faults(): { readonly beats: number; readonly proposals: number; readonly history: number } {
    return {
      beats: this.#beats.count,
      proposals: this.#proposer.refused,
      history: this.#catchUp.skipped
    }
  }

  get mode(): ModelMode {
    return this.#runtime?.state.settings.modelMode ?? 'auto'
  }

  /** Rows that a trainer would begin with. */
  get rows(): number {
    return this.#rows.all.length
  }

  /** `waiting`: for a reign or for more attempts. */
  get trainerState(): 'off' | 'waiting' | 'frozen' | 'starting' | 'training' | 'failed' {
    if (this.#options.trains === false) return 'off'
    if (this.mode === 'frozen') return 'frozen'
    if (this.trainer.failed) return 'failed'
    if (!this.trainer.running) return 'waiting'
    return this.trainer.progress === undefined ? 'starting' : 'training'
  }

  /** What is wrong with models or with the policy. */
  alarms(): OptimizerAlarm[] {
    const { serving, shadow } = this.book
    return optimizerAlarms({
      ...{ serving, shadow },
      ofGuard: this.guard.alarms,
      beat: this.#beats.message,
      distrust: this.#trusted.distrust,
      trainerFailed: this.trainer.failed,
      ofPolicy: [this.#policyFailure?.alarm, this.policyWatch.alarm]
    })
  }

  /** Whether history is still being read: until then, what is predicted and suggested is by a part of it. */
  get catchingUp(): boolean {
    return this.#catchUp.waiting
  }

  /** Looks at what is due; otherwise called by a timer. */
  beat(): void {
    const runtime = this.#runtime
    if (runtime === undefined || this.#stopped) return
    this.#passTime(runtime)
    const rows = this.#rows.gather()
    // Models may have been trained on what history tells.
    const unseen = this.#catchUp.reading ? [] : rows
    const acts = this.#reigns && this.mode === 'auto'
    if (this.#reigns) this.guard.observe(unseen, this.book.serving, this.book.shadow, acts)
    const tasks = this.#newTasks.splice(0)
    if (this.#reigns) this.#watchPolicy(runtime)
    if (!acts || this.#options.trains === false) {
      void this.trainer.end()
      return
    }
    if (this.trainer.running) this.trainer.feed(rows, tasks)
    else this.#beginTraining(runtime)
    if (this.trainer.running && this.book.shadow === undefined && !this.#awaitsModel) {
      this.#awaitsModel = true
      this.trainer.wantModel()
    }
  }

  /**
   * Where the learned policy places, it says what time it is, and hears whose predictions moved; elsewhere nobody else does. The settings
   * do not tell: it may have failed, or this leader may not have it.
   */
  #passTime({ state, policyStatus }: NodeRuntime): void {
    if (policyStatus.running !== LEARNED_POLICY) this.estimator.advance(state.time)
  }

  /** Whoever chooses the policy does so whether models may change or not: a replay needs none. */
  #watchPolicy({ state }: NodeRuntime): void {
    this.policyWatch.observe(this.#ended, state.settings)
    this.#ended = 0
  }

  #settingsChanged(chosen: boolean): void {
    // By the next beat it may be auto again, when training that was given up begins anew.
    if (this.mode !== 'auto') void this.trainer.end()
    const policy = this.#runtime?.state.settings.policy
    if (chosen || policy !== this.#policyFailure?.policy) this.#policyFailure = undefined
    if (!chosen) return
    this.#endReplays()
    this.policyWatch.chosen()
  }

  #endReplays(): void {
    this.#replaying.abort()
    this.#replaying = new AbortController()
  }

  #policyPast(): PolicyPast | undefined {
    const settings = this.#runtime?.state.settings
    return settings === undefined ? undefined : policyPast(settings, this.history)
  }

  #beginTraining(runtime: NodeRuntime): void {
    const rows = this.#rows.all
    if (this.#catchUp.reading || rows.length < this.trainAfter || !this.trainer.mayBegin) return
    const used = this.book.shadow ?? this.book.serving
    const weights =
      used?.model === undefined ? undefined : runtime.state.models.get(used.version)?.weights.slice()
    if (this.trainer.begin(weights, rows, this.history.newest(HISTORY_TASKS))) this.#awaitsModel = false
  }

  #watchers(): Watchers {
    return {
      estimator: this.#trusted,
      history: this.history,
      advisor: this.#advisor,
      feed: this.#feed,
      onFinished: (task) => {
        this.#toldUntil.told(task)
        if (this.trainer.running) this.#newTasks.push(task)
      }
    }
  }

  /** Takes the state as it is now; what ended before is to be read. */
  #look(): void {
    const runtime = this.#runtime
    if (runtime === undefined) return
    this.#advisor = new Advisor({
      state: runtime.state,
      estimator: this.estimator,
      order: () => orderOf(runtime.policyStatus.running ?? runtime.state.settings.policy),
      predictedBy: () => this.predictedBy,
      catchingUp: () => this.catchingUp,
      seed: this.#options.seed(),
      before: this.#advisor
    })
    this.book.sync(runtime.state)
    this.#catchUp.gap(runtime.state, runtime.store)
  }

  #coverage(): Coverage | undefined {
    const { outcomes, coverage90, coverage99 } = this.estimator.status()
    if (outcomes < FEWEST_COVERED || coverage90 === undefined || coverage99 === undefined) return undefined
    return [coverage90, coverage99]
  }

  async #judge(request: Omit<JudgeRequest, 'type' | 'replay'>): Promise<Verdict | undefined> {
    const ground = this.#ground()
    const replay = ground === undefined ? undefined : await replayOfModels(ground)
    return await this.trainer.ask<JudgeRequest>({ type: 'judge', ...request, replay })
  }

  async #policyReplay(asked: PolicyReplay): Promise<ReplayAnswer | undefined> {
    const ground = this.#ground()
    if (ground === undefined) return undefined
    return await replayPolicies(ground, asked, this.trainer, this.#replaying.signal)
  }

  #ground(): ReplayGround | undefined {
    const state = this.#runtime?.state
    return state === undefined ? undefined : { state, book: this.book, history: this.history }
  }

  async #publish(model: TrainedModel): Promise<void> {
    if (this.#reigns && this.mode === 'auto') await this.#proposer.publish(model)
    this.#awaitsModel = false
  }
}
