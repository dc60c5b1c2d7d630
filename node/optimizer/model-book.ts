/**
 * The models of the log as this node uses them: the serving one predicts, the shadow is only scored.
 *
 * 1. A model that does not decode (another version, damage, a weight that is no number) predicts nothing, here and
 *    everywhere; it is an alarm on every node, and the leader takes it out of the way.
 * 2. Decoding happens when a model changes, never when something is predicted.
 */
import type { Logger } from '../../runtime/ports/log.ts'
import { modelIn } from '../../scheduler/state.ts'
import type { SchedulerState } from '../../scheduler/state.ts'
import type { ModelRecord } from '../../scheduler/types.ts'
import { decodeModel, type Model } from '../../optimizer/estimator/weights.ts'
import { ModelScorer } from './scoring.ts'

/** A version that is in use on this node; `model` is undefined when it does not decode. */
export interface UsedModel {
  readonly version: number
  readonly model: Model | undefined
  /** Present when `model` is. */
  readonly scorer: ModelScorer | undefined
  readonly problem: string
}

export class ModelBook {
  readonly #logger: Logger
  readonly #use: (model: Model | undefined) => void
  #serving: UsedModel | undefined
  #shadow: UsedModel | undefined

  /** `use` is told the model that predicts from now on; undefined: none. */
  constructor(logger: Logger, use: (model: Model | undefined) => void) {
    this.#logger = logger
    this.#use = use
  }

  get serving(): UsedModel | undefined {
    return this.#serving
  }

  get shadow(): UsedModel | undefined {
    return this.#shadow
  }

  /** Takes over what the state says. To be called when a model changed, or the state was replaced. */
  sync(state: SchedulerState): void {
    const serving = modelIn(state, 'serving')
    if (serving?.version !== this.#serving?.version) {
      this.#serving = serving === undefined ? undefined : this.#decode(serving)
      this.#use(this.#serving?.model)
      this.#logger.info({ version: serving?.version ?? 0, problem: this.#serving?.problem }, 'serving model')
    }
    const shadow = modelIn(state, 'shadow')
    if (shadow?.version !== this.#shadow?.version)
      this.#shadow = shadow === undefined ? undefined : this.#decode(shadow)
  }

  #decode({ version, weights }: ModelRecord): UsedModel {
    // What was decoded as a shadow serves as it is.
    if (this.#shadow?.version === version) return this.#shadow
    try {
      const model = decodeModel(weights)
      return { version, model, scorer: new ModelScorer(model), problem: '' }
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error)
      this.#logger.error({ version, problem }, 'a model does not decode')
      return { version, model: undefined, scorer: undefined, problem }
    }
  }
}
