/** What is wrong with models or with the policy, in words: the alarms of the optimizer itself. Pure. */
import type { UsedModel } from './model-book.ts'

export interface Troubles {
  readonly serving: UsedModel | undefined
  readonly shadow: UsedModel | undefined
  /** What the guard has against the serving model. */
  readonly ofGuard: readonly string[]
  /** Why the last look at what is due failed. */
  readonly beat: string | undefined
  /** Why predictions are not gone by. */
  readonly distrust: string | undefined
  readonly trainerFailed: boolean
  /** What is wrong with the policy. */
  readonly ofPolicy: readonly (string | undefined)[]
}

export interface OptimizerAlarm {
  readonly kind: 'model' | 'policy'
  readonly message: string
}

export function optimizerAlarms(troubles: Troubles): OptimizerAlarm[] {
  const { serving, shadow, ofGuard, beat, distrust, trainerFailed, ofPolicy } = troubles
  const problems: string[] = []
  if (serving !== undefined && serving.model === undefined)
    problems.push(
      `model ${serving.version} does not decode, so statistics predict: ${serving.problem}; ` +
        `dtss model rollback ${serving.version} takes it back, which the leader does unless models are frozen`
    )
  if (shadow !== undefined && shadow.model === undefined)
    problems.push(`model ${shadow.version} does not decode: ${shadow.problem}`)
  if (beat !== undefined) problems.push(`looking after models fails: ${beat}`)
  if (distrust !== undefined) problems.push(`policies go by class means: ${distrust}`)
  if (trainerFailed)
    problems.push(
      'training keeps failing and has been given up for this reign: see the log, then dtss model freeze and unfreeze begin it anew'
    )
  problems.push(...ofGuard.map((alarm) => `model ${serving?.version ?? 0}: ${alarm}`))
  return [
    ...problems.map((message) => ({ kind: 'model' as const, message })),
    ...ofPolicy.flatMap((message) => (message === undefined ? [] : [{ kind: 'policy' as const, message }]))
  ]
}
