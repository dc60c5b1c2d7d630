/** Equal indexes, equal states: the checksum that any node, in any of its lives, has for an index is the only one. */
export class ChecksumChecker {
  readonly #byIndex = new Map<number, { readonly checksum: string; readonly node: number }>()
  readonly violations: string[] = []

  observe(node: number, index: number, checksum: string): void {
    const known = this.#byIndex.get(index)
    if (known === undefined) this.#byIndex.set(index, { checksum, node })
    else if (known.checksum !== checksum)
      this.violations.push(`index ${index}: the states of nodes ${known.node} and ${node} differ`)
  }
}
