/**
 * What a leader's learning asks of the log. A proposal that is refused or lost is logged and forgotten: whoever asked looks
 * again later, at what the log says then.
 */
import { toAppError } from '../../base/errors.ts'
import { LIMITS } from '../../base/limits.ts'
import type { PolicySwitch } from '../../optimizer/guard/policy-choice.ts'
import type { NodeRuntime } from '../../runtime/node-runtime.ts'
import type { Logger } from '../../runtime/ports/log.ts'
import { PROPOSE_MS } from './bounds.ts'
import type { ModelDecision } from './model-guard.ts'
import type { TrainedModel } from './protocol.ts'

export class Proposer {
  readonly #logger: Logger
  readonly #runtime: () => NodeRuntime | undefined

  /** `runtime`: undefined before the node is open. */
  constructor(logger: Logger, runtime: () => NodeRuntime | undefined) {
    this.#logger = logger
    this.#runtime = runtime
  }

  /** A new model, as a shadow. */
  async publish({ weights, trainedOn, evaluation }: TrainedModel): Promise<void> {
    try {
      const value = await this.#runtime()?.propose(
        {
          type: 'publish-model',
          weights,
          trainedOn,
          evaluation: new TextEncoder().encode(JSON.stringify(evaluation))
        },
        PROPOSE_MS
      )
      const version = value?.type === 'model' ? value.version : undefined
      this.#logger.info({ version, trainedOn }, 'model published')
    } catch (error) {
      this.#logger.warn({ error: toAppError(error).message }, 'a model was not published')
    }
  }

  /** By the log, so that it holds for every leader; refused when an operator chose meanwhile. */
  async changePolicy({ to, reason }: PolicySwitch): Promise<void> {
    try {
      await this.#runtime()?.propose(
        {
          type: 'set-settings',
          settings: { policy: to },
          expectedPolicyMode: 'auto',
          reason: reason.slice(0, LIMITS.modelReasonLength)
        },
        PROPOSE_MS
      )
      this.#logger.info({ policy: to, reason }, 'policy changed')
    } catch (error) {
      this.#logger.warn({ policy: to, error: toAppError(error).message }, 'a change of policy was not taken')
    }
  }

  async judge({ version, verdict, expected, reason }: ModelDecision): Promise<void> {
    try {
      await this.#runtime()?.propose(
        {
          type: 'judge-model',
          version,
          verdict,
          expected,
          toPrevious: true,
          reason: reason.slice(0, LIMITS.modelReasonLength)
        },
        PROPOSE_MS
      )
      this.#logger.info({ version, verdict, reason }, 'model judged')
    } catch (error) {
      this.#logger.warn({ version, verdict, error: toAppError(error).message }, 'a verdict was not taken')
    }
  }
}
