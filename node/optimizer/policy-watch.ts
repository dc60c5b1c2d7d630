/**
 * Asks now and then whether the policy in use is worth it: replays recent history with it and with the default one, and
 * raises an alarm while the default would have been faster for sure. It changes nothing: the policy was an operator's choice.
 */
import type { ReplayAnswer } from './protocol.ts'

export interface PolicyWatchOptions {
  /** Replays history under the policies, the first being the base; undefined when that is not possible now. */
  readonly replay: (policies: readonly [base: string, other: string]) => Promise<ReplayAnswer | undefined>
}

const DEFAULT_POLICY = 'least-loaded'
/** Ended tasks between two replays. */
export const REPLAY_EVERY = 1024
/** The default is faster by more than this, by the nearer end of the interval. */
const TOLERATED_LOSS = 0.05

export class PolicyWatch {
  readonly #replay: PolicyWatchOptions['replay']
  #ended = 0
  #busy = false
  #policy = ''
  #alarm: string | undefined

  constructor({ replay }: PolicyWatchOptions) {
    this.#replay = replay
  }

  /** Undefined while nothing is wrong, or nothing is known. */
  get alarm(): string | undefined {
    return this.#alarm
  }

  /** So many tasks have ended under this policy since the last call. */
  observe(ended: number, policy: string): void {
    if (policy !== this.#policy) {
      this.#policy = policy
      this.#alarm = undefined
      this.#ended = 0
    }
    this.#ended += ended
    if (policy === DEFAULT_POLICY || this.#busy || this.#ended < REPLAY_EVERY) return
    this.#ended = 0
    this.#busy = true
    this.#replay([policy, DEFAULT_POLICY])
      .then((answer) => {
        if (this.#policy === policy) this.#alarm = answer === undefined ? undefined : alarmOf(answer)
      })
      .catch(() => {
        // The thread failed, or there was too little to replay: nothing is known.
        this.#alarm = undefined
      })
      .finally(() => {
        this.#busy = false
      })
  }
}

function alarmOf({ base, tasks, results }: ReplayAnswer): string | undefined {
  const other = results[1]
  if (other === undefined || -other.jct.relativeInterval.high <= TOLERATED_LOSS) return undefined
  const percent = (-other.jct.relative * 100).toFixed(1)
  return `the last ${tasks} tasks would have taken ${percent} % less under ${other.name} than under ${base}`
}
