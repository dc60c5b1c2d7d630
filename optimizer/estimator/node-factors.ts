/**
 * How much slower or faster nodes are than a typical one: ln t = class + profile + name × profile + node, each term shrunk to 0.
 *
 * Each term is the mean of a normal posterior: residuals weigh by the inverse of their class's variance, so that what a steady class
 * shows counts for more than the noise of a wild one. Factors are relative: their mean over profiles (nodes of a profile) by what they ran is
 * taken off, so where there is one profile (one node) its factor is 1 exactly.
 *
 * 1. A residual counts less the further it is from what was expected, as under Student's t: a task that fails at once or straggles says
 *    little of its node (Lange, Little & Taylor, JASA 1989).
 * 2. A class's variance is drawn to what is usual for classes, so the second run of a class teaches something, but not much.
 * 3. How far names differ in what a profile does to them is estimated from the names themselves (empirical Bayes, by moments). Where
 *    machines are just faster or slower, a name's own term is noise, and is left out in the end.
 *
 * Learns from completions only. Old evidence decays, since a node's neighbours come and go.
 */
import type { NodeId } from '../../base/ids.ts'

/** Prior variances of the terms, in (ln t)²: profiles differ by a factor of 1.6 or so, nodes of one profile by 1.15. */
const PROFILE_VARIANCE = 0.25
const NODE_VARIANCE = 0.02
/** The same for names, before they have said anything; how much precision that counts for; and its limits. */
const NAME_VARIANCE = 0.05
const NAME_PRIOR = 200
const LEAST_NAME_VARIANCE = 0.001
const MOST_NAME_VARIANCE = 0.25
/** Added to a class's variance: not even a class that was steady so far is exact. */
const LEAST_VARIANCE = 0.01
/** The variance of a class of which nothing is known, to begin with; how many runs that counts for; and how fast it follows. */
const USUAL_VARIANCE = 0.3
const USUAL_WEIGHT = 2
const USUAL_STEP = 0.02
/** Standard deviations beyond which a residual says no more of what is usual. */
const MOST_USUAL = 3
const DECAY = 0.995
/** Degrees of freedom of rule 1. */
const FREEDOM = 4
/** Residuals beyond this are stragglers or new behaviour, not the node. */
const LARGEST_RESIDUAL = 2
/** Names × profiles kept at most; the oldest go first. */
const MOST_NAMES = 20_000

/** What was known of a class when one of its runs ended. */
export interface ClassSpread {
  /** Variance of its ln t on a typical node. */
  readonly varianceLn: number
  /** Runs that it was worked out from, at least 1; decayed. */
  readonly runs: number
}

/** Evidence of one term. */
interface Term {
  /** Σ 1 ÷ variance and Σ residual ÷ variance, decayed. */
  precision: number
  weighted: number
  /** The variance of `weighted` if the term were 0. */
  noise: number
}

/** What a profile does to a name. */
interface NameTerm extends Term {
  readonly name: string
  readonly profile: string
}

export class NodeFactors {
  readonly #profiles = new Terms<string>(PROFILE_VARIANCE)
  /** By profile. */
  readonly #nodes = new Map<string, Terms<NodeId>>()
  readonly #profileOf = new Map<NodeId, string>()
  /** By profile, then by name. */
  readonly #names = new Map<string, Map<string, NameTerm>>()
  /** The same terms, the oldest first. */
  readonly #byAge = new Set<NameTerm>()
  /** Rule 3: moments of names' terms. */
  #nameSignal = 0
  #namePrecision = 0
  #usualVariance = USUAL_VARIANCE
  #version = 0

  /** Grows whenever a factor may have changed. */
  get version(): number {
    return this.#version
  }

  /** ln of the factor by which `node` multiplies the run times of `name`. */
  lnFactor(name: string, profile: string, node: NodeId): number {
    const ofNode = this.#profileOf.get(node) === profile ? (this.#nodes.get(profile)?.relative(node) ?? 0) : 0
    if (this.#profiles.size < 2) return ofNode
    return this.#profiles.relative(profile) + this.#ofName(this.#names.get(profile)?.get(name)) + ofNode
  }

  /** The part of it that is the node's own, so many standard deviations above what is expected. */
  lnOfNode(profile: string, node: NodeId, deviations: number): number {
    const isKnown = this.#profileOf.get(node) === profile
    const known = isKnown ? this.#nodes.get(profile)?.relative(node, deviations) : undefined
    return known ?? deviations * Math.sqrt(NODE_VARIANCE)
  }

  /** Learns from a run that took `residualLn` more than its class takes on a typical node. */
  observe(
    name: string,
    profile: string,
    node: NodeId,
    residualLn: number,
    { varianceLn, runs }: ClassSpread
  ): void {
    const residual = Math.max(-LARGEST_RESIDUAL, Math.min(LARGEST_RESIDUAL, residualLn))
    const ofName = this.#nameTerm(name, profile)
    const several = this.#profiles.size > 1
    const byProfile = several ? this.#profiles.relative(profile) : 0
    const byName = several ? this.#ofName(ofName) : 0
    // The class's mean is not exact either.
    const unsure = 1 + 1 / runs
    const drawn = (runs * varianceLn + USUAL_WEIGHT * this.#usualVariance) / (runs + USUAL_WEIGHT)
    const variance = (drawn + LEAST_VARIANCE) * unsure
    const offSquared = (residual - byProfile - byName) ** 2
    const usual = Math.min(offSquared, MOST_USUAL ** 2 * variance) / unsure
    this.#usualVariance += USUAL_STEP * (usual - this.#usualVariance)
    const precision = (FREEDOM + 1) / (FREEDOM + offSquared / variance) / variance
    this.#profiles.learn(profile, residual, precision)
    this.#learnName(ofName, residual - byProfile, precision)
    this.#nodesOf(profile, node).learn(node, residual - byProfile - byName, precision)
    this.#version++
  }

  #nodesOf(profile: string, node: NodeId): Terms<NodeId> {
    const before = this.#profileOf.get(node)
    if (before !== undefined && before !== profile) this.#nodes.get(before)?.forget(node)
    this.#profileOf.set(node, profile)
    let nodes = this.#nodes.get(profile)
    if (nodes === undefined) {
      nodes = new Terms(NODE_VARIANCE)
      this.#nodes.set(profile, nodes)
    }
    return nodes
  }

  #ofName(term: Term | undefined): number {
    const variance = (NAME_VARIANCE * NAME_PRIOR + this.#nameSignal) / (NAME_PRIOR + this.#namePrecision)
    return mean(term, Math.max(LEAST_NAME_VARIANCE, Math.min(MOST_NAME_VARIANCE, variance)))
  }

  #nameTerm(name: string, profile: string): Term {
    let terms = this.#names.get(profile)
    if (terms === undefined) {
      terms = new Map()
      this.#names.set(profile, terms)
    }
    let term = terms.get(name)
    if (term !== undefined) return term
    term = { name, profile, precision: 0, weighted: 0, noise: 0 }
    terms.set(name, term)
    this.#byAge.add(term)
    if (this.#byAge.size > MOST_NAMES) {
      for (const oldest of this.#byAge) {
        this.#forgetName(oldest)
        break
      }
    }
    return term
  }

  #forgetName(term: NameTerm): void {
    this.#countName(term, -1)
    this.#byAge.delete(term)
    const terms = this.#names.get(term.profile)
    terms?.delete(term.name)
    if (terms?.size === 0) this.#names.delete(term.profile)
  }

  #learnName(term: Term, residual: number, precision: number): void {
    this.#countName(term, -1)
    add(term, residual, precision)
    this.#countName(term, 1)
  }

  /** E[weighted²] = noise + precision² × variance: what is above the noise says how far names differ. */
  #countName({ weighted, noise, precision }: Term, sign: 1 | -1): void {
    if (precision === 0) return
    this.#nameSignal += (sign * (weighted * weighted - noise)) / precision
    this.#namePrecision += sign * precision
  }
}

/** Terms that are relative to each other, with their mean at hand. */
class Terms<K> {
  readonly #terms = new Map<K, Term>()
  readonly #variance: number
  #sum = 0
  #weight = 0

  constructor(variance: number) {
    this.#variance = variance
  }

  get size(): number {
    return this.#terms.size
  }

  /** The term, or so many deviations of its posterior above it, less the mean of all, by what they ran. */
  relative(key: K, deviations = 0): number {
    const term = this.#terms.get(key)
    const above = deviations === 0 ? 0 : deviations * deviation(term, this.#variance)
    return mean(term, this.#variance) + above - (this.#weight > 0 ? this.#sum / this.#weight : 0)
  }

  learn(key: K, residual: number, precision: number): void {
    let term = this.#terms.get(key)
    if (term === undefined) {
      term = { precision: 0, weighted: 0, noise: 0 }
      this.#terms.set(key, term)
    }
    this.#count(term, -1)
    add(term, residual, precision)
    this.#count(term, 1)
  }

  forget(key: K): void {
    const term = this.#terms.get(key)
    if (term === undefined) return
    this.#terms.delete(key)
    this.#count(term, -1)
    if (this.#terms.size === 0) {
      this.#sum = 0
      this.#weight = 0
    }
  }

  #count(term: Term, sign: 1 | -1): void {
    this.#sum += sign * term.precision * mean(term, this.#variance)
    this.#weight += sign * term.precision
  }
}

function add(term: Term, residual: number, precision: number): void {
  term.precision = term.precision * DECAY + precision
  term.weighted = term.weighted * DECAY + precision * residual
  term.noise = term.noise * DECAY * DECAY + precision
}

/** Posterior mean of a term whose prior is normal with mean 0. */
function mean(term: Term | undefined, variance: number): number {
  return term === undefined ? 0 : term.weighted / (term.precision + 1 / variance)
}

function deviation(term: Term | undefined, variance: number): number {
  return Math.sqrt(1 / ((term?.precision ?? 0) + 1 / variance))
}
