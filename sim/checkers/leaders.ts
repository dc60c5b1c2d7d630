/** Election safety (Raft paper §5.2): at most one leader in a term, over the whole simulation. */
export class LeaderChecker {
  readonly #byTerm = new Map<number, number>()
  readonly violations: string[] = []

  led(node: number, term: number): void {
    const known = this.#byTerm.get(term)
    if (known === undefined) this.#byTerm.set(term, node)
    else if (known !== node) this.violations.push(`term ${term}: nodes ${known} and ${node} both led`)
  }

  /** Terms that had a leader. */
  get terms(): number {
    return this.#byTerm.size
  }
}
