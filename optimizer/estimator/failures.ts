/**
 * Which nodes, and which profiles of nodes, make attempts fail: failures seen there ÷ failures that their classes led to expect, shrunk to 1.
 *
 * A class that always fails makes no node look bad, since its failures were expected.
 */
import type { NodeId } from '../../base/ids.ts'

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
