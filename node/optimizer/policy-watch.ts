/**
 * Asks now and then whether the policy in use is the right one, by replays of recent history (`optimizer/guard/recent.ts`).
 *
 * 1. Where operators alone choose, it changes nothing: it raises an alarm while the default policy would have been faster
 *    for sure.
 * 2. In mode `auto` it has the policy changed by the guard's rule (`optimizer/guard/policy-choice.ts`): between `learned`
 *    and what is in use, and from `learned` back to the default.
 * 3. One replay or change is under way at a time, and none outlives its reign.
 * 4. A new leader goes on where the last one was: the log says how often the challenger was given up in mode `auto`, the history how
 *    many tasks have ended since. A challenger that it finds in use it looks at soon.
 * 5. What was found out before an operator chose binds nobody after it: a change names the choice that it rests on, and the log refuses it
 *    after another one.
 */
import { PolicyChoice, type PolicySwitch } from '../../optimizer/guard/policy-choice.ts'
import type { PolicyMode, Settings } from '../../scheduler/types.ts'
import type { ReplayAnswer } from './protocol.ts'

export interface PolicyWatchOptions {
  /** Replays history under the policies, the first being the base; undefined when that is not possible now. */
  readonly replay: (policies: readonly [base: string, other: string]) => Promise<ReplayAnswer | undefined>
  /** Has the policy changed, in mode `auto`. Resolves when the log has answered, whatever it was. */
  readonly change: (change: LoggedSwitch) => Promise<void>
}

/** A change of policy, with what the log keeps of it for the next leader. */
export interface LoggedSwitch extends PolicySwitch {
  /** How often the challenger has been given up since an operator last chose, this change included. */
  readonly returns: number
  /** The operators' choice that it rests on. */
  readonly choice: number
}

/** What the log says of the policy. */
export type PolicyInUse = Pick<Settings, 'policy' | 'policyMode' | 'policyChoice'>

/** What is known of earlier choices when a reign begins. */
export interface PolicyPast {
  readonly policy: string
  readonly mode: PolicyMode
  readonly returns: number
  /** Tasks that ended since the policy changed last, as far as is known. */
  readonly ended: number
}

const DEFAULT_POLICY = 'least-loaded'
const CHALLENGER = 'learned'
/** The default is faster by more than this, by the nearer end of the interval. */
const TOLERATED_LOSS = 0.05
/** Ended tasks until a new leader looks at a challenger that it finds in use. */
const FIRST_LOOK = 32
/** Returns that make the rest longer; more would only take time to live through. */
const MOST_RETURNS = 32

export class PolicyWatch {
  readonly #options: PolicyWatchOptions
  #choice = new PolicyChoice(DEFAULT_POLICY, CHALLENGER)
  #busy = false
  #policy = ''
  #mode: PolicyMode = 'fixed'
  #alarm: string | undefined
  #changes = 0
  #returns = 0
  /** The operators' choice that a change rests on which is on its way through the log. */
  #changing: number | undefined
  /** Ended tasks until a look that is due whatever the choice says. */
  #firstLook = Infinity

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

  /** A reign begins, with what is known of earlier ones, or ends. */
  reign(past: PolicyPast | undefined): void {
    this.#choice = new PolicyChoice(DEFAULT_POLICY, CHALLENGER)
    this.#alarm = undefined
    this.#returns = 0
    this.#firstLook = Infinity
    this.#mode = past?.mode ?? 'fixed'
    if (past?.mode !== 'auto') return
    this.#returns = past.returns
    // Each return makes the rest after it longer; here they are lived through again.
    for (let left = Math.min(past.returns, MOST_RETURNS); left > 0; left--) this.#choice.failed('')
    if (past.policy === CHALLENGER) this.#firstLook = FIRST_LOOK
    else this.#choice.ended(past.ended, past.policy)
  }

  /** An operator chose the policy or its mode, be it what is in use: what was learned before does not bind it. */
  chosen(): void {
    this.#choice = new PolicyChoice(DEFAULT_POLICY, CHALLENGER)
    this.#returns = 0
  }

  /** So many tasks have ended under this policy since the last call. */
  observe(ended: number, inUse: PolicyInUse): void {
    const { policy, policyMode: mode } = inUse
    if (policy !== this.#policy || mode !== this.#mode) {
      this.#policy = policy
      this.#mode = mode
      this.#alarm = undefined
      this.#choice.looked()
    }
    this.#firstLook -= ended
    const due = this.#choice.ended(ended, policy) || this.#firstLook <= 0
    if (!due || this.#busy || (mode === 'fixed' && policy === DEFAULT_POLICY)) return
    this.#choice.looked()
    this.#firstLook = Infinity
    this.#busy = true
    this.#look(inUse)
      .catch(() => {
        // The thread failed, or there was too little to replay: nothing is known.
        this.#alarm = undefined
      })
      .finally(() => {
        this.#busy = false
      })
  }

  /** The leader's policy failed and was replaced for this reign. */
  failed(message: string, { policy, policyMode, policyChoice }: PolicyInUse): void {
    if (policyMode !== 'auto' || policy !== CHALLENGER || this.#changing === policyChoice) return
    void this.#change(this.#choice.failed(message), policyChoice)
  }

  async #look({ policy, policyMode: mode, policyChoice }: PolicyInUse): Promise<void> {
    const choice = this.#choice
    const { replay } = this.#options
    const stillSo = (): boolean => this.#policy === policy && this.#mode === mode && this.#choice === choice
    if (mode === 'fixed') {
      const answer = await replay([policy, DEFAULT_POLICY])
      if (stillSo()) this.#alarm = answer === undefined ? undefined : alarmOf(answer)
      return
    }
    const answer = await replay([policy === CHALLENGER ? DEFAULT_POLICY : policy, CHALLENGER])
    if (answer === undefined || this.#changing === policyChoice || !stillSo()) return
    const wanted = choice.judge(policy, answer)
    if (wanted === undefined) return
    await this.#change(wanted, policyChoice)
  }

  async #change(wanted: PolicySwitch, choice: number): Promise<void> {
    this.#changes++
    if (wanted.to === DEFAULT_POLICY) this.#returns++
    this.#changing = choice
    try {
      await this.#options.change({ ...wanted, returns: this.#returns, choice })
    } finally {
      // Another one may be on its way by then, after another choice.
      if (this.#changing === choice) this.#changing = undefined
    }
  }
}

function alarmOf({ base, tasks, results }: ReplayAnswer): string | undefined {
  const other = results[1]
  if (other === undefined || -other.jct.relativeInterval.high <= TOLERATED_LOSS) return undefined
  const percent = (-other.jct.relative * 100).toFixed(1)
  return `the last ${tasks} tasks would have taken ${percent} % less under ${other.name} than under ${base}`
}
