/**
 * What a leader does about models: scores the shadow and the serving one on attempts that end, has the shadow judged at each
 * look, takes back a serving model that does not earn its place. Decisions are the guard's (`optimizer/guard/`); here they are
 * gathered for and carried out.
 *
 * 1. One judgement and one decision are under way at a time, and a decision does not wait for a judgement. It names the
 *    state that it expects, so one that comes too late changes nothing; one that the log refused or lost is proposed again
 *    for as long as it is the same trial, without another judgement. A judgement that ends when decisions are not the guard's
 *    any more (models are frozen, the reign is over) leads to none.
 * 2. Losses begin anew with each shadow, with each serving model and with each reign.
 * 3. Nothing is promoted within `REST` scored attempts after another model began to serve, or none: be it by this guard or by an operator.
 */
import type { TrainingRow } from '../../optimizer/estimator/rows.ts'
import { LOOKS, nextLook, type Verdict } from '../../optimizer/guard/promotion.ts'
import { ModelWatch, REST, type Coverage } from '../../optimizer/guard/watch.ts'
import type { UsedModel } from './model-book.ts'
import { SCORED_AT_ONCE } from './bounds.ts'
import type { JudgeRequest } from './protocol.ts'
import { lossWithoutModel } from './scoring.ts'

/** A change of a model's state that the leader should propose. */
export interface ModelDecision {
  readonly version: number
  readonly verdict: 'promote' | 'reject' | 'roll-back'
  readonly expected: 'shadow' | 'serving'
  readonly reason: string
}

export interface ModelGuardOptions {
  /** Judges a shadow, off the main thread; the request lacks the replay, which the owner adds. Undefined: it cannot now. */
  readonly judge: (request: Omit<JudgeRequest, 'type' | 'replay'>) => Promise<Verdict | undefined>
  /** How well what predicts now covers run times; undefined while there is too little to say. */
  readonly coverage: () => Coverage | undefined
  /** Resolves when the log has answered, to whether it took the decision. */
  readonly decide: (decision: ModelDecision) => Promise<boolean>
}

/** Losses of the shadow and of what it would replace, over the same attempts. */
interface Trial {
  readonly version: number
  readonly incumbent: number[]
  readonly challenger: number[]
  /** Scored attempts at the last look. */
  judgedAt: number
  /** What that look led to; undefined: to wait. Once carried out, the trial is over. */
  decision: ModelDecision | undefined
}

export class ModelGuard {
  readonly #options: ModelGuardOptions
  #trial: Trial | undefined
  /** Whether what serves was looked at in this reign. */
  #hasLooked = false
  #watch: { readonly version: number; readonly watch: ModelWatch } | undefined
  #judging = false
  #deciding = false
  #acts = false
  /** Scored attempts until the next promotion may come. */
  #rest = 0
  readonly #counts = { promote: 0, reject: 0, 'roll-back': 0 }

  constructor(options: ModelGuardOptions) {
    this.#options = options
  }

  /** Decisions that the log took, since the node's start. */
  get counts(): Readonly<Record<ModelDecision['verdict'], number>> {
    return this.#counts
  }

  /** What the watch over the serving model finds odd. */
  get alarms(): readonly string[] {
    return this.#watch?.watch.assessment.alarms ?? []
  }

  /** Attempts that the shadow was scored on. */
  get shadowScored(): number {
    return this.#trial?.challenger.length ?? 0
  }

  /** A reign is over: what was scored on the way has gaps from here on. */
  forget(): void {
    this.#trial = undefined
    this.#watch = undefined
    this.#hasLooked = false
    this.#acts = false
  }

  /** Attempts ended. `acts`: whether decisions are the guard's to make now. */
  observe(
    rows: readonly TrainingRow[],
    serving: UsedModel | undefined,
    shadow: UsedModel | undefined,
    acts: boolean
  ): void {
    this.#acts = acts
    this.#follow(serving, shadow)
    if (acts && serving !== undefined && serving.model === undefined)
      this.#decide({
        version: serving.version,
        verdict: 'roll-back',
        expected: 'serving',
        reason: serving.problem
      })
    if (acts && shadow !== undefined && shadow.model === undefined)
      this.#decide({ version: shadow.version, verdict: 'reject', expected: 'shadow', reason: shadow.problem })
    for (const row of sampled(rows)) this.#score(row, serving, shadow)
    if (!acts) return
    const rollBack = this.#watch?.watch.assessment.rollBack
    if (serving !== undefined && rollBack !== undefined)
      this.#decide({ version: serving.version, verdict: 'roll-back', expected: 'serving', reason: rollBack })
    this.#look()
  }

  #follow(serving: UsedModel | undefined, shadow: UsedModel | undefined): void {
    if (serving?.version !== this.#watch?.version) {
      // The state tells of a decision whose answer was lost as well, and of none that was refused.
      if (this.#hasLooked) this.#rest = REST
      this.#watch =
        serving === undefined
          ? undefined
          : { version: serving.version, watch: new ModelWatch(this.#options.coverage) }
      // What the shadow is compared with has changed.
      this.#trial = undefined
    }
    this.#hasLooked = true
    if (shadow?.version !== this.#trial?.version)
      this.#trial =
        shadow === undefined
          ? undefined
          : { version: shadow.version, incumbent: [], challenger: [], judgedAt: 0, decision: undefined }
  }

  #score(row: TrainingRow, serving: UsedModel | undefined, shadow: UsedModel | undefined): void {
    if (this.#rest > 0) this.#rest--
    const without = lossWithoutModel(row)
    const current = serving?.scorer?.loss(row)
    const trial = this.#trial
    if (
      trial !== undefined &&
      shadow?.scorer !== undefined &&
      trial.challenger.length < (LOOKS.at(-1) ?? 0)
    ) {
      trial.incumbent.push(current ?? without)
      trial.challenger.push(shadow.scorer.loss(row))
    }
    if (current !== undefined) this.#watch?.watch.add({ model: current, statistics: without })
  }

  #look(): void {
    const trial = this.#trial
    if (trial === undefined || this.#judging || this.#deciding || this.#rest > 0) return
    if (trial.decision !== undefined) {
      this.#decide(trial.decision)
      return
    }
    const due = nextLook(trial.judgedAt)
    if (due === undefined || trial.challenger.length < due) return
    const at = LOOKS.findLast((look) => look <= trial.challenger.length) ?? due
    const incumbent = Float64Array.from(trial.incumbent.slice(0, at))
    const challenger = Float64Array.from(trial.challenger.slice(0, at))
    this.#judging = true
    this.#options
      .judge({ incumbent, challenger, last: nextLook(at) === undefined })
      .then((verdict) => {
        this.#judging = false
        if (verdict === undefined || !this.#acts || this.#trial !== trial || this.#deciding) return
        trial.judgedAt = at
        if (verdict.verdict === 'wait') return
        trial.decision = {
          version: trial.version,
          verdict: verdict.verdict,
          expected: 'shadow',
          reason: verdict.reason
        }
        this.#decide(trial.decision)
      })
      .catch(() => {
        // The thread failed: its owner knows, and the look comes again.
        this.#judging = false
      })
  }

  #decide(decision: ModelDecision): void {
    if (this.#deciding) return
    this.#deciding = true
    void this.#options
      .decide(decision)
      .then((taken) => {
        if (taken) this.#counts[decision.verdict]++
      })
      .finally(() => {
        this.#deciding = false
      })
  }
}

/** At most `SCORED_AT_ONCE` of them, evenly: two forward passes a row are 30 µs, and a turn has few milliseconds. */
function sampled(rows: readonly TrainingRow[]): readonly TrainingRow[] {
  const step = Math.ceil(rows.length / SCORED_AT_ONCE)
  return step <= 1 ? rows : rows.filter((_, index) => index % step === 0)
}
