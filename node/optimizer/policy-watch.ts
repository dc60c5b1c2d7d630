/**
 * Asks now and then whether the policy in use is the right one, by replays of recent history (`optimizer/guard/recent.ts`).
 *
 * 1. Where operators alone choose, it changes nothing: it raises an alarm while the default policy would have been faster
 *    for sure.
 * 2. In mode `auto` it has the policy changed by the guard's rule (`optimizer/guard/policy-choice.ts`): between `learned`
 *    and what is in use, and from `learned` back to the default.
 * 3. What is under way belongs to a term: a reign, and in it what follows one choice of the operators. In a term it is one replay
 *    or change at a time. What a new term has overtaken neither holds it up nor has an effect when it ends; a replay that the
 *    thread is still at is waited for there, by the next one.
 * 4. A new leader goes on where the last one was: the log says how often the challenger was given up in mode `auto`, the history how
 *    many tasks have ended since. A challenger that it finds in use it looks at soon.
 * 5. What was found out before an operator chose binds nobody after it: a change names the choice that it rests on, and the log refuses it
 *    after another one.
 * 6. A challenger that fails is taken back even when it does so at once: as a leader begins, which is before its reign is told of here, or
 *    as the change to it is applied, which is before that is answered. Both wait for what is to come.
 */
import { PolicyChoice, type PolicySwitch } from '../../optimizer/guard/policy-choice.ts'
import type { PolicyMode, Settings } from '../../scheduler/types.ts'
import type { ReplayAnswer } from './protocol.ts'
import type { PolicyReplay } from './replay-requests.ts'

export interface PolicyWatchOptions {
  /** Replays history under the policies, the first being the base; undefined when that is not possible now. */
  readonly replay: (asked: PolicyReplay) => Promise<ReplayAnswer | undefined>
  /** Has the policy changed, in mode `auto`. Resolves to whether the log took it; never rejects. */
  readonly change: (change: LoggedSwitch) => Promise<boolean>
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

/** What a reign knows since an operator last chose, and what is under way. */
interface Term {
  choice: PolicyChoice
  /** How often the challenger has been given up; only what the log took counts. */
  returns: number
  looking: boolean
  /** The policy that a change leads to which is on its way through the log. */
  changing: string | undefined
  /** Of the challenger, while the change to it is on its way. */
  failure: Failure | undefined
  /** Ended tasks until a look at the challenger that is due whatever the choice says. */
  firstLook: number
}

interface Failure {
  readonly message: string
  readonly inUse: PolicyInUse
}

export class PolicyWatch {
  readonly #options: PolicyWatchOptions
  #term = termAfter(0)
  #reigns = false
  #policy = ''
  #mode: PolicyMode = 'fixed'
  #alarm: string | undefined
  #changes = 0
  /** What failed before the reign was told of. */
  #early: Failure | undefined

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
    const early = this.#early
    this.#early = undefined
    this.#alarm = undefined
    this.#reigns = past !== undefined
    this.#mode = past?.mode ?? 'fixed'
    this.#term = termAfter(past?.mode === 'auto' ? past.returns : 0)
    if (past?.mode !== 'auto') return
    if (past.policy === CHALLENGER) this.#term.firstLook = FIRST_LOOK
    else this.#term.choice.ended(past.ended, past.policy)
    if (early !== undefined) this.failed(early.message, early.inUse)
  }

  /** An operator chose the policy or its mode, be it what is in use: what was learned before does not bind it. */
  chosen(): void {
    this.#term = termAfter(0)
  }

  /** So many tasks have ended under this policy since the last call. */
  observe(ended: number, inUse: PolicyInUse): void {
    const { policy, policyMode: mode } = inUse
    const term = this.#term
    if (policy !== this.#policy || mode !== this.#mode) {
      this.#policy = policy
      this.#mode = mode
      this.#alarm = undefined
      term.choice.looked()
    }
    term.firstLook -= ended
    const due = term.choice.ended(ended, policy) || (policy === CHALLENGER && term.firstLook <= 0)
    if (!due || term.looking || (mode === 'fixed' && policy === DEFAULT_POLICY)) return
    term.choice.looked()
    term.firstLook = Infinity
    term.looking = true
    this.#look(term, inUse)
      .catch(() => {
        // The thread failed, or there was too little to replay: nothing is known.
        if (this.#term === term) this.#alarm = undefined
      })
      .finally(() => {
        term.looking = false
      })
  }

  /** The leader's policy failed and was replaced for this reign. */
  failed(message: string, inUse: PolicyInUse): void {
    const { policy, policyMode, policyChoice } = inUse
    const term = this.#term
    if (policyMode !== 'auto' || policy !== CHALLENGER) return
    if (!this.#reigns) this.#early = { message, inUse }
    else if (term.changing === CHALLENGER) term.failure = { message, inUse }
    else if (term.changing === undefined) void this.#change(term, term.choice.failed(message), policyChoice)
  }

  async #look(term: Term, { policy, policyMode: mode, policyChoice }: PolicyInUse): Promise<void> {
    const { replay } = this.#options
    const stillSo = (): boolean => this.#policy === policy && this.#mode === mode && this.#term === term
    if (mode === 'fixed') {
      // As when a challenger may be left.
      const answer = await replay({ policies: [policy, DEFAULT_POLICY], holdsUnended: false })
      if (stillSo()) this.#alarm = answer === undefined ? undefined : alarmOf(answer)
      return
    }
    const answer = await replay({
      policies: [policy === CHALLENGER ? DEFAULT_POLICY : policy, CHALLENGER],
      holdsUnended: term.choice.holdsUnended(policy)
    })
    if (answer === undefined || term.changing !== undefined || !stillSo()) return
    const wanted = term.choice.judge(policy, answer)
    if (wanted === undefined) return
    await this.#change(term, wanted, policyChoice)
  }

  async #change(term: Term, wanted: PolicySwitch, choice: number): Promise<void> {
    const returns = term.returns + (wanted.to === DEFAULT_POLICY ? 1 : 0)
    this.#changes++
    term.changing = wanted.to
    const taken = await this.#options.change({ ...wanted, returns, choice })
    term.changing = undefined
    if (taken) term.returns = returns
    // A return that did not come about makes no rest longer.
    else if (returns > term.returns) term.choice = choiceAfter(term.returns)
    const { failure } = term
    term.failure = undefined
    if (failure !== undefined && this.#term === term) this.failed(failure.message, failure.inUse)
  }
}

function termAfter(returns: number): Term {
  return {
    choice: choiceAfter(returns),
    returns,
    looking: false,
    changing: undefined,
    failure: undefined,
    firstLook: Infinity
  }
}

/** Each return makes the rest after it longer; here they are lived through again. */
function choiceAfter(returns: number): PolicyChoice {
  const choice = new PolicyChoice(DEFAULT_POLICY, CHALLENGER)
  for (let left = Math.min(returns, MOST_RETURNS); left > 0; left--) choice.failed('')
  return choice
}

function alarmOf({ base, tasks, results }: ReplayAnswer): string | undefined {
  const other = results[1]
  if (other === undefined || -other.jct.relativeInterval.high <= TOLERATED_LOSS) return undefined
  const percent = (-other.jct.relative * 100).toFixed(1)
  return `the last ${tasks} tasks would have taken ${percent} % less under ${other.name} than under ${base}`
}
