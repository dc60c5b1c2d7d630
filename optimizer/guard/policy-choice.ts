/**
 * When a cluster that chooses its policy by itself changes it: between a safe policy, which asks no prediction, and a
 * challenger, which does. Evidence is a replay of recent history under both (`recent.ts`).
 *
 * 1. To the challenger when it saves more than `LEAST_GAIN` of the mean completion time, by the lower end of the interval.
 * 2. Back to the safe policy when that is faster by more than `TOLERATED_LOSS` by the nearer end of the interval, when the
 *    challenger does not get through the replay, or when it failed in production.
 * 3. Between the two thresholds nothing changes. After a return the challenger is not tried again for a rest; each return
 *    doubles the rest, up to `LONGEST_REST`, so that a challenger that keeps disappointing is tried ever more seldom.
 * 4. To the challenger no replay leads that lacks much of what the policy in charge put off (`ofSurvivors`). Back it may: one
 *    that puts off most tasks makes for such replays itself. They lack what it put off, so some are wrong either way.
 * 5. Whether to leave the challenger is judged on what has ended alone (`holdsUnended`). What has not would be replayed with what its class
 *    took before, so that classes which turned into their opposite would not mislead in the replay.
 * 6. A return never waits for a rest, and a challenger that was just switched to is looked at soon, then less and less
 *    often: what replays could not show costs most while nobody has looked.
 */
import type { PairedDifference } from '../lab/statistics.ts'
import { ofSurvivors, type Extent, type RecentComparison } from './recent.ts'
import { intervalText, shareText } from './shares.ts'

/** Ended tasks between two replays. */
export const REPLAY_EVERY = 1024
const LEAST_GAIN = 0.02
const TOLERATED_LOSS = 0.05
/** Ended tasks until the first replay after a change to the challenger; doubles until `REPLAY_EVERY`. */
const FIRST_LOOK = 32
/** Ended tasks. */
const REST = 2 * REPLAY_EVERY
const LONGEST_REST = 64 * REPLAY_EVERY

/** What the challenger saves of the safe policy's mean completion time, as a share, with its 95 % interval. */
export interface Gain {
  readonly mean: number
  readonly low: number
  readonly high: number
}

export interface PolicySwitch {
  readonly to: string
  readonly reason: string
  /** Of the policy that is switched to, over the other; undefined when no replay led to the switch. */
  readonly gain: Gain | undefined
}

export class PolicyChoice {
  readonly safe: string
  readonly challenger: string
  #sinceReplay = 0
  #interval = REPLAY_EVERY
  #rest = 0
  #restAfterReturn = REST

  constructor(safe: string, challenger: string) {
    this.safe = safe
    this.challenger = challenger
  }

  /** So many tasks ended; returns whether it is time for a replay, until `looked`. */
  ended(count: number, current: string): boolean {
    this.#sinceReplay += count
    this.#rest = Math.max(0, this.#rest - count)
    return this.#sinceReplay >= this.#interval && (current === this.challenger || this.#rest === 0)
  }

  /** A replay is made, or there is reason to wait for the next one. */
  looked(): void {
    this.#sinceReplay = 0
    this.#interval = Math.min(REPLAY_EVERY, 2 * this.#interval)
  }

  /** Whether the replay that is judged while `current` is in use also holds what has not ended. */
  holdsUnended(current: string): boolean {
    return current !== this.challenger
  }

  /** What a replay of the safe policy, the base, and the challenger asks for while `current` is in use. */
  judge(
    current: string,
    replay: Extent & Pick<RecentComparison, 'results' | 'failures'>
  ): PolicySwitch | undefined {
    const { tasks, results, failures } = replay
    const [failure] = failures
    if (failure !== undefined)
      return current === this.challenger ? this.failed(`failed in the replay: ${failure.message}`) : undefined
    const jct = results[1]?.jct
    if (jct === undefined) return undefined
    const saved = gainOf(jct)
    if (current !== this.challenger && saved.low > LEAST_GAIN && !ofSurvivors(replay)) {
      this.#interval = FIRST_LOOK
      return { to: this.challenger, gain: saved, reason: described(saved, tasks, current) }
    }
    const regained: Gain = {
      mean: turned(saved.mean),
      low: turned(saved.high),
      high: turned(saved.low)
    }
    if (current !== this.challenger || !(regained.low > TOLERATED_LOSS)) return undefined
    return this.#back(described(regained, tasks, this.challenger), regained)
  }

  /** The challenger was in use and failed. */
  failed(reason: string): PolicySwitch {
    return this.#back(reason, undefined)
  }

  #back(reason: string, gain: Gain | undefined): PolicySwitch {
    this.#interval = REPLAY_EVERY
    this.#rest = this.#restAfterReturn
    this.#restAfterReturn = Math.min(LONGEST_REST, 2 * this.#restAfterReturn)
    return { to: this.safe, reason, gain }
  }
}

function gainOf({ relative, relativeInterval: { low, high } }: PairedDifference): Gain {
  return { mean: -relative, low: -high, high: -low }
}

/**
 * The safe policy's gain over the challenger, of the challenger's mean, by the challenger's over the safe one: what is lost
 * of 1, grown by the loss. Of a mean of which all may be saved nothing is known: −∞.
 */
function turned(saved: number): number {
  return saved >= 1 ? -Infinity : 1 - 1 / (1 - saved)
}

function described(gain: Gain, tasks: number, other: string): string {
  return `the last ${tasks} tasks would have taken ${shareText(gain.mean)} ${intervalText(gain)} less than under ${other}`
}
