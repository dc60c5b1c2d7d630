/**
 * What a leader's learning asks of the log. A proposal that is refused or lost is counted and forgotten: whoever asked looks
 * again later, at what the log says then. Of refusals in a row the first is logged.
 */
import { LIMITS } from '../../base/limits.ts'
import type { NodeRuntime } from '../../runtime/node-runtime.ts'
import type { Logger } from '../../runtime/ports/log.ts'
import { PROPOSE_MS } from './bounds.ts'
import { FaultLog } from './fault-log.ts'
import type { ModelDecision } from './model-guard.ts'
import type { LoggedSwitch } from './policy-watch.ts'
import type { TrainedModel } from './protocol.ts'

export class Proposer {
  readonly #logger: Logger
  readonly #runtime: () => NodeRuntime | undefined
  readonly #models: FaultLog
  readonly #policies: FaultLog
  readonly #verdicts: FaultLog

  /** `runtime`: undefined before the node is open. */
  constructor(logger: Logger, runtime: () => NodeRuntime | undefined) {
    this.#logger = logger
    this.#runtime = runtime
    this.#models = new FaultLog(logger, 'warn', 'a model was not published')
    this.#policies = new FaultLog(logger, 'warn', 'a change of policy was not taken')
    this.#verdicts = new FaultLog(logger, 'warn', 'a verdict was not taken')
  }

  /** Proposals that were refused or lost since the start. */
  get refused(): number {
    return this.#models.count + this.#policies.count + this.#verdicts.count
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
      this.#models.worked()
      this.#logger.info({ version, trainedOn }, 'model published')
    } catch (error) {
      this.#models.failed(error)
    }
  }

  /**
   * By the log, so that it holds for every leader; refused when an operator chose meanwhile, be it what was in use. Resolves to whether the
   * log took it; one that was lost may be taken later all the same.
   */
  async changePolicy({ to, reason, returns, choice }: LoggedSwitch): Promise<boolean> {
    try {
      await this.#runtime()?.propose(
        {
          type: 'set-settings',
          settings: { policy: to },
          expectedPolicyChoice: choice,
          returns,
          reason: reason.slice(0, LIMITS.modelReasonLength)
        },
        PROPOSE_MS
      )
      this.#policies.worked()
      this.#logger.info({ policy: to, reason }, 'policy changed')
      return true
    } catch (error) {
      this.#policies.failed(error, { policy: to })
      return false
    }
  }

  /** Resolves to whether the log took it; one that was lost may be taken later all the same. */
  async judge({ version, verdict, expected, reason }: ModelDecision): Promise<boolean> {
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
      this.#verdicts.worked()
      this.#logger.info({ version, verdict, reason }, 'model judged')
      return true
    } catch (error) {
      this.#verdicts.failed(error, { version, verdict })
      return false
    }
  }
}
