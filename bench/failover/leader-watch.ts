/**
 * Watches who leads, from outside: asks the nodes that are up every 20 ms. A node leads when it says so of itself; the
 * victim of a fault counts no more from the moment of the fault until it is back.
 */
import { HEADERS } from '../../base/wire/headers.ts'
import { monotonicNow } from './work.ts'

const INTERVAL_MS = 20
const REPLY_TIMEOUT_MS = 400

export interface WatchedNode {
  readonly id: number
  readonly url: string
}

export class LeaderWatch {
  readonly #nodes: () => readonly WatchedNode[]
  #excluded: number | undefined
  #gaps: number[] = []
  #lostAt: number | undefined
  #stopped = false
  #leader: number | undefined

  constructor(nodes: () => readonly WatchedNode[]) {
    this.#nodes = nodes
    void this.#watch()
  }

  /** The node that said last that it leads. */
  get leader(): number | undefined {
    return this.#leader
  }

  /** A fault happens now: whatever the victim says or said does not count. */
  fault(victim: number): void {
    this.#gaps = []
    this.#excluded = victim
    if (this.#leader !== victim) return
    this.#leader = undefined
    this.#lostAt = monotonicNow()
  }

  /** The victim is back and counts again. */
  healed(): void {
    this.#excluded = undefined
  }

  /** Lengths of the intervals without a leader since the fault, in milliseconds. */
  gaps(): readonly number[] {
    const open = this.#lostAt === undefined ? [] : [monotonicNow() - this.#lostAt]
    return [...this.#gaps, ...open].map(Math.round)
  }

  stop(): void {
    this.#stopped = true
  }

  async #watch(): Promise<void> {
    while (!this.#stopped) {
      const askedAt = monotonicNow()
      const asked = this.#nodes().filter(({ id }) => id !== this.#excluded)
      const answers = await Promise.all(asked.map(leaderOf))
      this.#judge(asked, answers, askedAt)
      await new Promise((resolve) => setTimeout(resolve, INTERVAL_MS))
    }
  }

  #judge(asked: readonly WatchedNode[], answers: readonly Answer[], askedAt: number): void {
    const leads = asked.find(({ id }, index) => answers[index] === id && id !== this.#excluded)
    if (leads !== undefined) {
      this.#leader = leads.id
      if (this.#lostAt !== undefined) this.#gaps.push(monotonicNow() - this.#lostAt)
      this.#lostAt = undefined
      return
    }
    // A node that is only slow to answer may lead: without its answer there is nothing to conclude.
    if (answers.includes('no answer') || asked.length === 0) return
    this.#lostAt ??= askedAt
  }
}

type Answer = number | 'no answer' | 'none'

/** The leader that the node knows of; any reply tells. */
async function leaderOf({ url }: WatchedNode): Promise<Answer> {
  try {
    const reply = await fetch(`${url}/livez`, { signal: AbortSignal.timeout(REPLY_TIMEOUT_MS) })
    await reply.arrayBuffer()
    const leader = reply.headers.get(HEADERS.leader)
    return leader === null ? 'none' : Number(leader)
  } catch {
    return 'no answer'
  }
}
