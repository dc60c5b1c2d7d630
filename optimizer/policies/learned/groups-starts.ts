/**
 * By how much longer cold starts take than going on does, node by node, so that no difference between nodes is taken for one between starts.
 *
 * Each node's difference of means weighs by the inverse of its variance, up to a factor that is the same for all: 1 ÷ (1 ÷ cold + 1 ÷ warm)
 * for so many starts of either kind. A node that has seen one kind only says nothing.
 */
import type { NodeId } from '../../../base/ids.ts'

/** Weight of what a node has shown before each further start. */
const DECAY = 0.99
/** What is left of weights that were taken off is rounding. */
const LEAST_WEIGHT = 1e-9

/** Decayed counts, and sums of ln. */
interface Starts {
  cold: number
  coldLn: number
  warm: number
  warmLn: number
}

export class PairedStarts {
  readonly #byNode = new Map<NodeId, Starts>()
  /** Sums over nodes: of weights, and of differences by weight. */
  #weight = 0
  #sum = 0

  /** A start on the node took `ln` in relation to what is typical of its class. */
  add(node: NodeId, isCold: boolean, ln: number): void {
    let starts = this.#byNode.get(node)
    if (starts === undefined) {
      starts = { cold: 0, coldLn: 0, warm: 0, warmLn: 0 }
      this.#byNode.set(node, starts)
    }
    this.#count(starts, -1)
    starts.cold = starts.cold * DECAY + (isCold ? 1 : 0)
    starts.coldLn = starts.coldLn * DECAY + (isCold ? ln : 0)
    starts.warm = starts.warm * DECAY + (isCold ? 0 : 1)
    starts.warmLn = starts.warmLn * DECAY + (isCold ? 0 : ln)
    this.#count(starts, 1)
  }

  /** Nodes that are not among these say nothing any more. */
  keep(nodes: ReadonlySet<NodeId>): void {
    for (const [node, starts] of this.#byNode) {
      if (nodes.has(node)) continue
      this.#count(starts, -1)
      this.#byNode.delete(node)
    }
  }

  /** ln of the factor; 0 while nothing is known. */
  get differenceLn(): number {
    return this.#weight > LEAST_WEIGHT ? this.#sum / this.#weight : 0
  }

  #count({ cold, coldLn, warm, warmLn }: Starts, sign: 1 | -1): void {
    if (cold === 0 || warm === 0) return
    const weight = (cold * warm) / (cold + warm)
    this.#weight += sign * weight
    this.#sum += sign * weight * (coldLn / cold - warmLn / warm)
  }
}
