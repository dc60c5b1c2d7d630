/**
 * How much slower or faster nodes are than a typical one: ln t = class + profile + name × profile + node, each term shrunk to 0.
 *
 * Each term is the mean of a normal posterior: residuals weigh by the inverse of their class's variance, so that what a steady class
 * shows counts for more than the noise of a wild one. Factors are relative: their mean over profiles (nodes of a profile) by what they ran is
 * taken off, so where there is one profile (one node) its factor is 1 exactly.
 *
 * Learns from completions only. Old evidence decays, since a node's neighbours come and go.
 */
import type { NodeId } from '../../base/ids.ts'

/** Prior variances of the terms, in (ln t)²: profiles differ by a factor of 1.6 or so, nodes of one profile by 1.15. */
const PROFILE_VARIANCE = 0.25
const NAME_VARIANCE = 0.05
const NODE_VARIANCE = 0.02
/** Added to a class's variance: not even a class that was steady so far is exact. */
const LEAST_VARIANCE = 0.01
const DECAY = 0.995
/** Residuals beyond this are stragglers or new behaviour, not the node. */
const LARGEST_RESIDUAL = 2

/** Evidence of one term. */
interface Term {
  /** Σ 1 ÷ variance and Σ residual ÷ variance, decayed. */
  precision: number
  weighted: number
}

interface Node {
  readonly profile: string
  readonly term: Term
}

/** Names × profiles kept at most; the oldest go first. */
const MOST_NAMES = 20_000

export class NodeFactors {
  readonly #profiles = new Map<string, Term>()
  readonly #nodes = new Map<NodeId, Node>()
  readonly #names = new Map<string, Term>()
  #version = 0

  /** Grows whenever a factor may have changed. */
  get version(): number {
    return this.#version
  }

  /** ln of the factor by which `node` multiplies the run times of `name`. */
  lnFactor(name: string, profile: string, node: NodeId): number {
    const byProfile =
      this.#profiles.size < 2
        ? 0
        : this.#centred(this.#profiles, profile, PROFILE_VARIANCE) +
          mean(this.#names.get(nameKey(name, profile)), NAME_VARIANCE)
    return byProfile + this.#ofNode(profile, node)
  }

  /** Learns from a run that took `residualLn` more than its class takes on a typical node; `varianceLn` is the class's. */
  observe(name: string, profile: string, node: NodeId, residualLn: number, varianceLn: number): void {
    const residual = Math.max(-LARGEST_RESIDUAL, Math.min(LARGEST_RESIDUAL, residualLn))
    const precision = 1 / (varianceLn + LEAST_VARIANCE)
    const key = nameKey(name, profile)
    const ofProfile = termOf(this.#profiles, profile)
    const ofName = termOf(this.#names, key)
    let known = this.#nodes.get(node)
    if (known?.profile !== profile) {
      known = { profile, term: { precision: 0, weighted: 0 } }
      this.#nodes.set(node, known)
    }
    const byProfile = this.#profiles.size < 2 ? 0 : this.#centred(this.#profiles, profile, PROFILE_VARIANCE)
    const byName = this.#profiles.size < 2 ? 0 : mean(ofName, NAME_VARIANCE)
    add(ofProfile, residual, precision)
    add(ofName, residual - byProfile, precision)
    add(known.term, residual - byProfile - byName, precision)
    if (this.#names.size > MOST_NAMES) {
      for (const oldest of this.#names.keys()) {
        this.#names.delete(oldest)
        break
      }
    }
    this.#version++
  }

  #centred(terms: ReadonlyMap<string, Term>, key: string, variance: number): number {
    let sum = 0
    let weight = 0
    for (const term of terms.values()) {
      sum += term.precision * mean(term, variance)
      weight += term.precision
    }
    return mean(terms.get(key), variance) - (weight > 0 ? sum / weight : 0)
  }

  /** A node's own term, relative to the nodes of its profile. */
  #ofNode(profile: string, node: NodeId): number {
    const own = this.#nodes.get(node)
    if (own?.profile !== profile) return 0
    let sum = 0
    let weight = 0
    for (const other of this.#nodes.values()) {
      if (other.profile !== profile) continue
      sum += other.term.precision * mean(other.term, NODE_VARIANCE)
      weight += other.term.precision
    }
    return mean(own.term, NODE_VARIANCE) - (weight > 0 ? sum / weight : 0)
  }
}

function nameKey(name: string, profile: string): string {
  return `${profile}\n${name}`
}

function termOf(terms: Map<string, Term>, key: string): Term {
  let term = terms.get(key)
  if (term === undefined) {
    term = { precision: 0, weighted: 0 }
    terms.set(key, term)
  }
  return term
}

function add(term: Term, residual: number, precision: number): void {
  term.precision = term.precision * DECAY + precision
  term.weighted = term.weighted * DECAY + precision * residual
}

/** Posterior mean of a term whose prior is normal with mean 0. */
function mean(term: Term | undefined, variance: number): number {
  return term === undefined ? 0 : term.weighted / (term.precision + 1 / variance)
}
