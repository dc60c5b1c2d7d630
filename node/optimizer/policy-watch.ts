/**
 * Asks now and then whether the policy in use is the right one, by replays of recent history (`optimizer/guard/recent.ts`).
 *
 * 1. Where operators alone choose, it changes nothing: it raises an alarm while the default policy would have been faster
 *    for sure.
 * 2. In mode `auto` it has the policy changed by the guard's rule (`optimizer/guard/policy-choice.ts`): between `learned`
 *    and what is in use, and from `learned` back to the default.
 * 3. Predictions that are found to mislead (`optimizer/guard/prediction-watch.ts`) end `learned` in mode `auto` without a replay, and are an alarm
 *    where operators alone choose.
 * 4. One replay or change is under way at a time, and none outlives its reign.
 */
import { PolicyChoice, type PolicySwitch } from '../../optimizer/guard/policy-choice.ts'
import type { PolicyMode } from '../../scheduler/types.ts'
import type { ReplayAnswer } from './protocol.ts'

export interface PolicyWatchOptions {
  /** Replays history under the policies, the first being the base; undefined when that is not possible now. */
  readonly replay: (policies: readonly [base: string, other: string]) => Promise<ReplayAnswer | undefined>
  /** Has the policy changed, in mode `auto`. Resolves when the log has answered, whatever it was. */
  readonly change: (change: PolicySwitch) => Promise<void>
}

const DEFAULT_POLICY = 'least-loaded'
const CHALLENGER = 'learned'
/** The default is faster by more than this, by the nearer end of the interval. */
const TOLERATED_LOSS = 0.05

export class PolicyWatch {
  readonly #options: PolicyWatchOptions
  #choice = new PolicyChoice(DEFAULT_POLICY, CHALLENGER)
  #busy = false
  #policy = ''
  #mode: PolicyMode = 'fixed'
  #alarm: string | undefined
  #changes = 0

  constructor(options: PolicyWatchOptions) {
    this.#options = options
  }

  /** Undefined while nothing is wrong, or nothing is known. */
  get alarm(): string | undefined {
    return this.#alarm
  }

  /** Changes that it asked for since the node's start. */
  get changes(): number {
    return this.#changes
  }

  /** A reign begins or ends. */
  forget(): void {
    this.#choice = new PolicyChoice(DEFAULT_POLICY, CHALLENGER)
    this.#alarm = undefined
  }

  /** So many tasks have ended under this policy since the last call. */
  observe(ended: number, policy: string, mode: PolicyMode): void {
    if (policy !== this.#policy || mode !== this.#mode) {
      this.#policy = policy
      this.#mode = mode
      this.#alarm = undefined
      this.#choice.looked()
    }
    const due = this.#choice.ended(ended, policy)
    if (!due || this.#busy || (mode === 'fixed' && policy === DEFAULT_POLICY)) return
    this.#choice.looked()
    this.#busy = true
    this.#look(policy, mode)
      .catch(() => {
        // The thread failed, or there was too little to replay: nothing is known.
        this.#alarm = undefined
      })
      .finally(() => {
        this.#busy = false
      })
  }

  /** The leader's policy failed and was replaced for this reign; `policy` and `mode` are what the log says. */
  failed(message: string, policy: string, mode: PolicyMode): void {
    if (mode !== 'auto' || policy !== CHALLENGER) return
    this.#changes++
    void this.#options.change(this.#choice.failed(message))
  }

  /** Predictions are worse than plain statistics; `policy` and `mode` are what the log says. */
  misled(reason: string, policy: string, mode: PolicyMode): void {
    if (mode === 'fixed') {
      if (policy !== DEFAULT_POLICY) this.#alarm = reason
      return
    }
    const wanted = this.#choice.misled(policy, reason)
    if (wanted === undefined) return
    this.#changes++
    void this.#options.change(wanted)
  }

  async #look(policy: string, mode: PolicyMode): Promise<void> {
    const choice = this.#choice
    const { replay, change } = this.#options
    const stillSo = (): boolean => this.#policy === policy && this.#mode === mode && this.#choice === choice
    if (mode === 'fixed') {
      const answer = await replay([policy, DEFAULT_POLICY])
      if (stillSo()) this.#alarm = answer === undefined ? undefined : alarmOf(answer)
      return
    }
    const answer = await replay([policy === CHALLENGER ? DEFAULT_POLICY : policy, CHALLENGER])
    if (answer === undefined || !stillSo()) return
    const wanted = choice.judge(policy, answer)
    if (wanted === undefined) return
    this.#changes++
    await change(wanted)
  }
}

function alarmOf({ base, tasks, results }: ReplayAnswer): string | undefined {
  const other = results[1]
  if (other === undefined || -other.jct.relativeInterval.high <= TOLERATED_LOSS) return undefined
  const percent = (-other.jct.relative * 100).toFixed(1)
  return `the last ${tasks} tasks would have taken ${percent} % less under ${other.name} than under ${base}`
}
