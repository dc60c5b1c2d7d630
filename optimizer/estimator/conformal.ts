/**
 * Keeps promised quantiles honest (Gibbs & Candès, "Adaptive Conformal Inference Under Distribution Shift", 2021): the level that is asked
 * of the distribution moves a little after each outcome, up when the outcome was above, down when below, so that in the long run the
 * share of outcomes above is what was promised, whatever the outcomes are.
 *
 * One track per tenant; a tenant with few outcomes uses the track of all. Levels are kept as logits: steps matter alike at .9 and .99.
 */

/** The quantiles that are kept honest. Others are read between them. */
const PROMISED = [0.5, 0.9, 0.99] as const
/** Steps per outcome, on the logit of the level, divided by the variance of the outcome: small enough for bursts of like outcomes. */
const STEP = 0.01
/** Outcomes before a tenant has a track of its own that counts. */
const OWN_AFTER = 100
const LARGEST_LOGIT = 9
const MOST_TENANTS = 4096

interface Track {
  readonly logits: number[]
  outcomes: number
}

export class Conformal {
  readonly #all = fresh()
  readonly #tenants = new Map<string, Track>()

  /** The level to ask of the distribution when `q` is promised. Rises with `q`. */
  level(tenant: string, q: number): number {
    const own = this.#tenants.get(tenant)
    const { logits } = own !== undefined && own.outcomes >= OWN_AFTER ? own : this.#all
    const [, low = 0, high = 0] = logits
    const wanted = logit(q)
    const [at50, at90, at99] = PROMISED_LOGITS
    if (wanted <= at50) return q
    if (wanted <= at90) return level(((wanted - at50) / (at90 - at50)) * low)
    if (wanted <= at99) return level(low + ((wanted - at90) / (at99 - at90)) * (high - low))
    return level(high + (wanted - at99))
  }

  /** An outcome of the tenant stood at `share` of its predicted distribution, in [0, 1]. */
  observe(tenant: string, share: number): void {
    let own = this.#tenants.get(tenant)
    if (own === undefined) {
      // A new tenant starts where all are.
      own = { logits: [...this.#all.logits], outcomes: 0 }
      this.#tenants.set(tenant, own)
      if (this.#tenants.size > MOST_TENANTS) {
        for (const oldest of this.#tenants.keys()) {
          this.#tenants.delete(oldest)
          break
        }
      }
    }
    learn(this.#all, share)
    learn(own, share)
  }
}

function learn(track: Track, share: number): void {
  track.outcomes++
  for (let index = 1; index < PROMISED.length; index++) {
    const promised = PROMISED[index] ?? 0.9
    const at = track.logits[index] ?? 0
    const above = share > level(at) ? 1 : 0
    const step = (STEP * (above - (1 - promised))) / Math.sqrt(promised * (1 - promised))
    track.logits[index] = Math.max(0, Math.min(LARGEST_LOGIT, at + step))
  }
  // The higher promise never asks for less.
  track.logits[2] = Math.max(track.logits[1] ?? 0, track.logits[2] ?? 0)
}

function fresh(): Track {
  return { logits: PROMISED.map(logit), outcomes: 0 }
}

function logit(q: number): number {
  return Math.log(q / (1 - q))
}

function level(at: number): number {
  return 1 / (1 + Math.exp(-at))
}

const PROMISED_LOGITS = [logit(0.5), logit(0.9), logit(0.99)] as const
