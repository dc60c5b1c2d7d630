/**
 * Makes the placement policy that the settings name, watched by a `GuardedPolicy`, and keeps account of failures and of what
 * decisions cost. One desk serves all reigns of a node.
 */
import { AppError } from '../../base/errors.ts'
import type { Rng } from '../../base/prng.ts'
import type { Policy, PolicyFactory } from '../../scheduler/policy.ts'
import { policyFactory } from '../../scheduler/policies/index.ts'
import type { Clock } from '../ports/clock.ts'
import type { Logger } from '../ports/log.ts'
import { RecentTimes } from '../recent-times.ts'
import { GuardedPolicy, type PolicyFailure } from './guarded-policy.ts'

export interface PolicyDeskInput {
  readonly clock: Clock
  readonly logger: Logger
  readonly rng: Rng
  readonly policies: ReadonlyMap<string, PolicyFactory>
  /** The policy that the settings name cannot be used, or no more; `least-loaded` places until they name another. */
  readonly onPolicyFailure?: (failure: PolicyFailure) => void
}

/** Which policy this leader uses, and what its decisions cost. */
export interface PolicyStatus {
  /** As the settings name it; undefined while this node does not lead. */
  readonly wanted: string | undefined
  /** The one that decides: another than `wanted` once that one failed. */
  readonly running: string | undefined
  /** Policies that failed since the node started. */
  readonly failures: number
  /** Over the latest decisions of this node, in microseconds. */
  readonly decisions: { readonly count: number; readonly p50Us: number; readonly p99Us: number }
}

/** A policy in use: the name that the settings gave it, and the watched policy itself. */
export interface Seat {
  readonly wanted: string
  readonly guard: GuardedPolicy
}

/** Takes the place of a policy that is unknown or fails. */
const STAND_IN = 'least-loaded'

export class PolicyDesk {
  readonly #input: PolicyDeskInput
  readonly #onFailed: () => void
  readonly #times = new RecentTimes()
  #failures = 0

  /** `onFailed`: the policy was replaced just now, so there may be more to place. */
  constructor(input: PolicyDeskInput, onFailed: () => void) {
    this.#input = input
    this.#onFailed = onFailed
  }

  /** A policy that this version does not know must not stop the cluster: the default takes its place, loudly. */
  make(wanted: string): Seat {
    const { policies, rng, clock } = this.#input
    const standIn = (): Policy => policyFactory(STAND_IN)(rng.fork())
    const onFailure = (failure: PolicyFailure): void => {
      this.#failed({ ...failure, policy: wanted })
    }
    let policy: Policy
    try {
      policy = policyFactory(wanted, policies)(rng.fork())
    } catch (error) {
      const isUnknown = error instanceof AppError && error.code === 'CONFIG_INVALID'
      onFailure({ policy: wanted, fault: isUnknown ? 'unknown' : 'threw', message: String(error) })
      policy = standIn()
    }
    return { wanted, guard: new GuardedPolicy({ policy, standIn, clock, times: this.#times, onFailure }) }
  }

  status(seat: Seat | undefined): PolicyStatus {
    const { p50, p99 } = this.#times.summary()
    return {
      wanted: seat?.wanted,
      running: seat?.guard.name,
      failures: this.#failures,
      decisions: { count: this.#times.count, p50Us: p50, p99Us: p99 }
    }
  }

  #failed(failure: PolicyFailure): void {
    this.#failures += 1
    this.#onFailed()
    this.#input.logger.error({ ...failure }, `the placement policy cannot be used; ${STAND_IN} places`)
    this.#input.onPolicyFailure?.(failure)
  }
}
