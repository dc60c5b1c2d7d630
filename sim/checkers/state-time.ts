/**
 * State time follows the voters' clocks: it never runs ahead of true time by more than clocks may be off, as
 * long as only a minority's are.
 */
import { LIMITS } from '../../base/limits.ts'
import { CLOCK_SKEW_MS } from '../sim-node.ts'
import { EPOCH_MS } from '../virtual-time.ts'

/** Own skew, offset that is still trusted, the skew of those it is measured against, and network trips. */
const AHEAD_LIMIT_MS = LIMITS.maxClockOffsetMs + 2 * CLOCK_SKEW_MS + 300

export class StateTimeChecker {
  readonly #now: () => number
  readonly violations: string[] = []

  constructor(now: () => number) {
    this.#now = now
  }

  observe(node: number, stateTime: number): void {
    const aheadMs = stateTime - (EPOCH_MS + this.#now())
    if (aheadMs <= AHEAD_LIMIT_MS || this.violations.length > 0) return
    this.violations.push(`state time of node ${node} is ${aheadMs.toFixed(0)} ms ahead of true time`)
  }
}
