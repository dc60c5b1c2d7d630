/**
 * How often attempts fail: by class (`FailureTally`, `failureProbability`), and by place (`FailurePlaces`).
 *
 * 1. A class's probability is the mean of a Beta posterior. Its prior has the strength of a few attempts and the rate of the level
 *    above *without* the class's own ends: counted again at each level, the same thirty successes would be taken for a proof.
 * 2. What took longer under another limit than this class may is expected to fail, until its own ends say otherwise: a timeout that is
 *    too short for the work fails every attempt, of which none has been seen when the first task comes with it.
 * 3. It never falls below `LEAST`: that nothing has failed yet does not say that nothing can, and odds of 10⁻⁹ could not be moved any more.
 * 4. Places: failures seen there ÷ failures that their classes led to expect, shrunk to 1. A class that always fails makes no node look bad,
 *    since its failures were expected.
 */
import type { NodeId } from '../../base/ids.ts'
import type { AttemptEnd } from '../../scheduler/events.ts'

/** Whether the attempt ran to an end of its own, so that its run time is that of the work. A copy that won too late did. */
export function hasRun(end: AttemptEnd): boolean {
  return end === 'succeeded' || end === 'failed' || end === 'superseded'
}

/** Before anything has ended. */
const GUESS = 0.02
/** Attempts that a prior counts for. */
const PRIOR = 4
const LEAST = 1e-4
/** The levels of `class-tree.ts` of which each holds the next: a limit is not above a tenant. */
const NESTED = [0, 2, 3, 4, 5] as const
/** Attempts elsewhere that may count at most. */
const MOST_ELSEWHERE = 30
/** Own ends fade slowly: failures are rare, and a burst must not be forgotten at once. */
const OWN_FADE = 0.97
/** Per end of any class, so that what a class adds to the levels above can be taken off them again exactly. */
const FADE_LN = Math.log(0.9995)

/** Attempts of all classes that have ended: the clock by which tallies fade. */
export interface FailureClock {
  ends: number
}

/** Ends of one level. */
export class FailureTally {
  ownFailed = 0
  ownEnded = 0
  #failed = 0
  #ended = 0
  #at = 0

  /** An attempt has ended when `clock` attempts have. */
  add(failed: boolean, clock: number): void {
    const kept = this.#kept(clock)
    this.#failed = this.#failed * kept + (failed ? 1 : 0)
    this.#ended = this.#ended * kept + 1
    this.#at = clock
    this.ownFailed = this.ownFailed * OWN_FADE + (failed ? 1 : 0)
    this.ownEnded = this.ownEnded * OWN_FADE + 1
  }

  failedBy(clock: number): number {
    return this.#failed * this.#kept(clock)
  }

  endedBy(clock: number): number {
    return this.#ended * this.#kept(clock)
  }

  #kept(clock: number): number {
    return Math.exp(FADE_LN * (clock - this.#at))
  }
}

/** The failure probability of the class with these levels, from the general to its own; `cutOff` is how likely its limit ends an attempt. */
export function failureProbability(
  levels: readonly { readonly value: { readonly failures: FailureTally } }[],
  clock: number,
  cutOff = 0
): number {
  let expected = GUESS
  for (let index = 0; index < NESTED.length - 1; index++) {
    const wide = levels[NESTED[index] ?? 0]?.value.failures
    const narrow = levels[NESTED[index + 1] ?? 0]?.value.failures
    if (wide === undefined || narrow === undefined) continue
    const ended = Math.max(0, wide.endedBy(clock) - narrow.endedBy(clock))
    if (ended < 0.5) continue
    const rate = Math.max(0, wide.failedBy(clock) - narrow.failedBy(clock)) / ended
    const weight = Math.min(ended, MOST_ELSEWHERE)
    expected = (Math.min(1, rate) * weight + PRIOR * expected) / (weight + PRIOR)
  }
  expected = 1 - (1 - expected) * (1 - cutOff)
  const own = levels.at(-1)?.value.failures
  if (own === undefined) return expected
  return Math.max(LEAST, (own.ownFailed + PRIOR * expected) / (own.ownEnded + PRIOR))
}

/** Expected failures that the prior counts for: a node must exceed expectation by about this many to be believed bad. */
const PRIOR_FAILURES = 1
/** Evidence fades: nodes are repaired. */
const FADE = 0.98
const LARGEST = 0.99

interface Tally {
  failed: number
  expected: number
}

export class FailurePlaces {
  readonly #nodes = new Map<NodeId, Tally>()
  readonly #profiles = new Map<string, Tally>()

  /** An attempt that was expected to fail with probability `expected` has ended there. */
  observe(profile: string, node: NodeId, expected: number, failed: boolean): void {
    const ofProfile = tallyOf(this.#profiles, profile)
    const byProfile = Math.min(LARGEST, expected * ratio(ofProfile))
    add(ofProfile, expected, failed)
    add(tallyOf(this.#nodes, node), byProfile, failed)
  }

  /** The probability there of what has probability `expected` on a typical node. */
  probability(profile: string, node: NodeId, expected: number): number {
    return Math.min(LARGEST, expected * ratio(this.#profiles.get(profile)) * ratio(this.#nodes.get(node)))
  }
}

function tallyOf<K>(tallies: Map<K, Tally>, key: K): Tally {
  let tally = tallies.get(key)
  if (tally === undefined) {
    tally = { failed: 0, expected: 0 }
    tallies.set(key, tally)
  }
  return tally
}

function ratio(tally: Tally | undefined): number {
  return tally === undefined ? 1 : (tally.failed + PRIOR_FAILURES) / (tally.expected + PRIOR_FAILURES)
}

function add(tally: Tally, expected: number, failed: boolean): void {
  tally.failed = tally.failed * FADE + (failed ? 1 : 0)
  tally.expected = tally.expected * FADE + expected
}
